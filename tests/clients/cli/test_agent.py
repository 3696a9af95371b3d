"""One process holds an account and serves the others, over a private socket."""

import asyncio
import json
import os
import stat
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from clients.cli.agent import MAX_GUESTS, NAME, Agent, Guest, HolderGone
from clients.cli.exits import Failed
from clients.cli.operations import MAX_TEXTS, Params
from clients.cli.rows import Row
from clients.sdk.client import Client
from clients.sdk.home import AccountFolder
from tests.clients.peer import Peer
from tests.clients.world import KEY, World, make_folder

pytestmark = pytest.mark.asyncio

SEND: Params = {"peer": "juliet", "texts": ["one"], "wait": False, "timeout_ms": 1}


@pytest_asyncio.fixture
async def folder(tmp_path: Path) -> AsyncIterator[AccountFolder]:
    async with Peer() as peer:
        yield make_folder(tmp_path, peer)


@pytest_asyncio.fixture
async def holder(folder: AccountFolder) -> AsyncIterator[Agent]:
    async with Client(folder, KEY, World(), connect=False) as client:
        agent = Agent(client, folder.path)
        await agent.start()
        yield agent
        await agent.close()


def short_path(folder: AccountFolder) -> str:
    """Return the socket's path in a form that fits an address."""
    return os.path.relpath(folder.path / NAME)


async def connect(folder: AccountFolder) -> Guest:
    guest = await Guest.connect(folder.path)
    assert guest is not None
    return guest


async def perform(folder: AccountFolder, name: str, params: Params) -> list[Row]:
    guest = await connect(folder)
    try:
        return [row async for row in guest.perform(name, params)]
    finally:
        guest.close()


async def test_guest_has_its_operations_done_by_the_holder(
    folder: AccountFolder, holder: Agent
) -> None:
    (sent,) = await perform(folder, "send", SEND)
    assert (sent["state"], sent["peer"]) == ("queued", "juliet")
    read: Params = {"peer": "juliet", "limit": 9, "offline": True}
    assert [row["text"] for row in await perform(folder, "history", read)] == ["one"]


async def test_socket_is_private(folder: AccountFolder, holder: Agent) -> None:
    assert stat.S_IMODE((folder.path / NAME).stat().st_mode) == 0o600
    assert stat.S_IMODE(folder.path.stat().st_mode) == 0o700


async def test_guest_gets_the_holders_error_with_its_code(
    folder: AccountFolder, holder: Agent
) -> None:
    with pytest.raises(Failed) as caught:
        await perform(folder, "history", {"peer": "nurse", "limit": 1, "offline": True})
    assert (caught.value.code, caught.value.exit_code) == ("not_found", 3)
    for name, params in (("no such thing", SEND), ("send", {}), ("send", {**SEND, "texts": []})):
        with pytest.raises(Failed) as caught:
            await perform(folder, name, params)
        assert caught.value.exit_code == 2


async def test_send_takes_its_bound_of_texts_and_not_one_more(
    folder: AccountFolder, holder: Agent
) -> None:
    many: Params = {**SEND, "texts": ["x"] * MAX_TEXTS}
    assert len(await perform(folder, "send", many)) == MAX_TEXTS
    with pytest.raises(Failed):
        await perform(folder, "send", {**SEND, "texts": ["x"] * (MAX_TEXTS + 1)})


async def test_guest_finds_nobody_behind_a_dead_socket(folder: AccountFolder) -> None:
    assert await Guest.connect(folder.path) is None
    server = await asyncio.start_unix_server(lambda r, w: None, short_path(folder))
    server.close()
    assert (folder.path / NAME).exists()
    assert await Guest.connect(folder.path) is None
    async with Client(folder, KEY, World(), connect=False) as client:
        agent = Agent(client, folder.path)
        await agent.start()
        assert len(await perform(folder, "send", SEND)) == 1
        await agent.close()
    assert not (folder.path / NAME).exists()


async def test_watching_guest_is_cut_off_when_the_holder_ends(folder: AccountFolder) -> None:
    async with Client(folder, KEY, World(), connect=False) as client:
        agent = Agent(client, folder.path)
        await agent.start()
        reader, writer = await asyncio.open_unix_connection(short_path(folder))
        writer.write(b'{"operation": "watch", "params": {}}\n')
        assert json.loads(await reader.readline()) == {"begun": True}
        await agent.close()
        assert await reader.read() == b""
        writer.close()


async def test_holder_turns_guests_away_over_its_bound(
    folder: AccountFolder, holder: Agent
) -> None:
    guests = [await connect(folder) for _ in range(MAX_GUESTS)]
    for guest in guests:
        assert len([row async for row in guest.perform("send", SEND)]) == 1
    over = await connect(folder)
    with pytest.raises(HolderGone) as gone:
        await anext(over.perform("send", SEND))
    assert not gone.value.begun
    for guest in (*guests, over):
        guest.close()


@pytest.mark.parametrize("line", [b"\n", b"{\n", b"[]\n", b"x" * 2_000_000, b"\xff\n"])
async def test_holder_hangs_up_on_what_is_not_a_request(
    folder: AccountFolder, holder: Agent, line: bytes
) -> None:
    reader, writer = await asyncio.open_unix_connection(short_path(folder))
    writer.write(line)
    try:
        await writer.drain()
        assert await reader.read() == b""
    except ConnectionError:
        pass  # it hung up before everything was written
    writer.close()
    assert len(await perform(folder, "send", SEND)) == 1


async def test_holder_answers_in_lines_of_json(folder: AccountFolder, holder: Agent) -> None:
    reader, writer = await asyncio.open_unix_connection(short_path(folder))
    writer.write(json.dumps({"operation": "send", "params": dict(SEND)}).encode() + b"\n")
    lines = [json.loads(await reader.readline()) for _ in range(3)]
    assert lines[0] == {"begun": True}
    assert lines[1]["row"]["type"] == "state"
    assert lines[2] == {"end": True}
    writer.close()
