"""The life of a connection: synchronising, silence, draining, endings."""

from pathlib import Path

import pytest

from clients.sdk.body import encode_text
from clients.sdk.errors import DeviceRestored, DeviceRevoked, SessionReplaced
from clients.sdk.events import (
    ConnectionChanged,
    Synced,
)
from protocol.errors import ERRORS, ErrorCode
from protocol.messages import messaging as wire
from protocol.messages.session import Error, GoAway, Ok, Ping, Pong
from tests.clients.dialogue import handled, refuse, texts_of, until
from tests.clients.peer import KEEPALIVE_MS, Log, Peer
from tests.clients.world import World, client_of, make_folder

pytestmark = pytest.mark.asyncio


async def test_client_synchronises_again_when_told(peer: Peer, tmp_path: Path, log: Log) -> None:
    async with client_of(make_folder(tmp_path, peer)) as romeo:
        events = romeo.events()
        wire_ = await peer.log_in(commit=41)
        await until(events, lambda e: isinstance(e, Synced))
        wire_.send(wire.Resync())
        sync = await wire_.expect(wire.Sync)
        assert sync.since == 41
        wire_.send(wire.SyncPage(sync.request, 50, (), (), 0))
        await until(events, lambda e: isinstance(e, Synced))


async def test_client_reconnects_when_the_server_drains(peer: Peer, tmp_path: Path) -> None:
    world = World()
    async with client_of(make_folder(tmp_path, peer), world) as romeo:
        events = romeo.events()
        wire_ = await peer.log_in()
        await romeo.wait_synced()
        wire_.send(GoAway(ErrorCode.DRAINING, 3_000))
        wire_.cut()
        gone = await until(events, lambda e: isinstance(e, ConnectionChanged) and not e.online)
        assert isinstance(gone, ConnectionChanged)
        assert gone.retry_in_ms is not None
        assert gone.retry_in_ms >= 3_000
        world.advance(gone.retry_in_ms)
        await peer.log_in()
        await romeo.wait_synced()


@pytest.mark.parametrize(
    ("code", "error"),
    [
        (ErrorCode.SESSION_REPLACED, SessionReplaced),
        (ErrorCode.DEVICE_REVOKED, DeviceRevoked),
    ],
)
async def test_client_stops_when_told_that_it_is_over(
    peer: Peer, tmp_path: Path, code: ErrorCode, error: type[Exception]
) -> None:
    async with client_of(make_folder(tmp_path, peer)) as romeo:
        events = romeo.events()
        wire_ = await peer.log_in()
        wire_.send(GoAway(code, 0))
        wire_.cut()
        with pytest.raises(error):
            await until(events, lambda e: False)
        with pytest.raises(error):
            await romeo.wait_online()


@pytest.mark.parametrize("how", ["login", "send", "head"])
async def test_client_stops_when_its_store_is_a_copy(
    peer: Peer, tmp_path: Path, log: Log, how: str
) -> None:
    folder = make_folder(tmp_path, peer)
    async with client_of(folder) as romeo:
        handle = await romeo.send("juliet", "one")
        if how == "login":
            wire_ = await peer.hello()
            await wire_.receive()
            info = ERRORS[ErrorCode.CREDENTIAL_ROLLED_BACK]
            wire_.send(Error(1, ErrorCode.CREDENTIAL_ROLLED_BACK, info.text, False, 0))
        elif how == "send":
            wire_ = await peer.log_in()
            refuse(wire_, await wire_.expect(wire.Send), ErrorCode.DIVERGED)
        else:
            log.add("romeo", b"of the other copy")
            await peer.log_in(log.head("romeo", last_n=2))
        with pytest.raises(DeviceRestored):
            await handle.wait_sent()
    async with client_of(folder) as romeo:
        with pytest.raises(DeviceRestored, match="chat join LINK --existing"):
            await romeo.wait_online()
        assert [m.text for m in await romeo.history("juliet")] == ["one"]


async def test_client_probes_a_silent_connection_and_leaves_a_dead_one(
    peer: Peer, tmp_path: Path
) -> None:
    world = World()
    async with client_of(make_folder(tmp_path, peer), world) as romeo:
        events = romeo.events()
        wire_ = await peer.log_in()
        await romeo.wait_synced()
        world.advance(KEEPALIVE_MS * 3 / 4)
        ping = await wire_.expect(Ping)
        wire_.send(Pong(ping.nonce))
        await handled(wire_, romeo, Log("romeo", "juliet"))
        world.advance(KEEPALIVE_MS / 2)
        await wire_.expect(Ping)
        world.advance(KEEPALIVE_MS * 5 / 4)
        gone = await until(events, lambda e: isinstance(e, ConnectionChanged) and not e.online)
        assert "silent" in str(gone)


async def test_client_tells_its_read_mark_until_it_is_confirmed(
    peer: Peer, tmp_path: Path, log: Log
) -> None:
    world = World()
    async with client_of(make_folder(tmp_path, peer), world) as romeo:
        events = romeo.events()
        wire_ = await peer.log_in()
        wire_.send(wire.Event(log.id, log.add("juliet", encode_text("1"))))
        await texts_of(events, 1)
        await wire_.expect(wire.Acks)
        await romeo.mark_read("juliet")
        assert (await wire_.expect(wire.Read)).seq == 1
        wire_.cut()
        await until(events, lambda e: isinstance(e, ConnectionChanged) and not e.online)
        world.advance(1_000)
        wire_ = await peer.log_in(log.head("romeo", acked=1))
        read = await wire_.expect(wire.Read)
        assert (read.seq, read.public) == (1, True)
        wire_.send(Ok(read.request))
