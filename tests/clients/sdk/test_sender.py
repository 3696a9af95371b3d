"""The outbox on its way: retries, renumbering, the window."""

from pathlib import Path

import pytest

from clients.sdk.errors import NotDelivered
from clients.sdk.events import (
    ConnectionChanged,
)
from protocol.errors import ErrorCode
from protocol.messages import messaging as wire
from tests.clients.dialogue import handled, refuse, store, until
from tests.clients.peer import Log, Peer
from tests.clients.world import World, client_of, make_folder

pytestmark = pytest.mark.asyncio


async def test_client_sends_a_queued_message_when_connected(
    peer: Peer, tmp_path: Path, log: Log
) -> None:
    async with client_of(make_folder(tmp_path, peer)) as romeo:
        handle = await romeo.send("juliet", "But, soft!")
        wire_ = await peer.log_in()
        send = await wire_.expect(wire.Send)
        assert (send.n, send.peer, send.conversation) == (1, "juliet", log.id)
        store(wire_, log, send)
        assert await handle.wait_sent() == 1
        assert [m.state for m in await romeo.history("juliet")] == ["sent"]


async def test_client_repeats_the_same_bytes_when_the_answer_was_lost(
    peer: Peer, tmp_path: Path, log: Log
) -> None:
    world = World()
    async with client_of(make_folder(tmp_path, peer), world) as romeo:
        events = romeo.events()
        handle = await romeo.send("juliet", "She speaks")
        wire_ = await peer.log_in()
        first = await wire_.expect(wire.Send)
        log.add("romeo", first.body, message_id=first.message_id)
        wire_.cut()
        await until(events, lambda e: isinstance(e, ConnectionChanged) and not e.online)
        world.advance(1_000)
        wire_ = await peer.log_in()
        again = await wire_.expect(wire.Send)
        assert (again.n, again.message_id, again.header, again.body) == (
            first.n,
            first.message_id,
            first.header,
            first.body,
        )
        wire_.send(wire.Sent(again.request, 1, 1_000, log.chains[1]))
        assert await handle.wait_sent() == 1
        assert len(await romeo.history("juliet")) == 1


async def test_client_learns_from_the_log_that_its_message_was_stored(
    peer: Peer, tmp_path: Path, log: Log
) -> None:
    world = World()
    async with client_of(make_folder(tmp_path, peer), world) as romeo:
        events = romeo.events()
        handle = await romeo.send("juliet", "O, speak again")
        wire_ = await peer.log_in()
        send = await wire_.expect(wire.Send)
        log.add("romeo", send.body, message_id=send.message_id)
        wire_.cut()
        await until(events, lambda e: isinstance(e, ConnectionChanged) and not e.online)
        world.advance(1_000)
        wire_ = await peer.log_in(log.head("romeo", last_n=1))
        asked = [await wire_.receive(), await wire_.receive()]
        pull = next(m for m in asked if isinstance(m, wire.History))
        wire_.send(wire.HistoryPage(pull.request, 1, 1, log.id, tuple(log.entries), False))
        assert await handle.wait_sent() == 1
        assert await romeo.waiting() == 0


async def test_client_renumbers_only_what_stands_behind_a_refusal(
    peer: Peer, tmp_path: Path, log: Log
) -> None:
    world = World()
    async with client_of(make_folder(tmp_path, peer), world) as romeo:
        handles = [await romeo.send("juliet", text) for text in ("one", "two", "three")]
        wire_ = await peer.log_in()
        sends = [await wire_.expect(wire.Send) for _ in handles]
        store(wire_, log, sends[0])
        refuse(wire_, sends[1], ErrorCode.HEADER_INVALID)
        refuse(wire_, sends[2], ErrorCode.OUT_OF_ORDER)
        with pytest.raises(NotDelivered, match="header_invalid"):
            await handles[1].wait_sent()
        await handled(wire_, romeo, log)
        world.advance(1)
        again = await wire_.expect(wire.Send)
        assert (again.n, again.message_id) == (2, sends[2].message_id)
        store(wire_, log, again)
        assert await handles[2].wait_sent() == 2
        shown = [(m.text, m.state) for m in await romeo.history("juliet")]
        assert shown == [("one", "sent"), ("three", "sent"), ("two", "refused")]


async def test_client_keeps_the_number_when_the_server_is_busy(
    peer: Peer, tmp_path: Path, log: Log
) -> None:
    world = World()
    async with client_of(make_folder(tmp_path, peer), world) as romeo:
        handle = await romeo.send("juliet", "one")
        wire_ = await peer.log_in()
        await romeo.wait_synced()
        first = await wire_.expect(wire.Send)
        refuse(wire_, first, ErrorCode.DISK_FULL, 5_000)
        await handled(wire_, romeo, log)
        world.advance(8_000)
        again = await wire_.expect(wire.Send)
        assert (again.n, again.message_id) == (first.n, first.message_id)
        store(wire_, log, again)
        await handle.wait_sent()


async def test_client_has_at_most_32_unanswered_sends(peer: Peer, tmp_path: Path, log: Log) -> None:
    async with client_of(make_folder(tmp_path, peer)) as romeo:
        handles = [await romeo.send("juliet", str(number)) for number in range(33)]
        wire_ = await peer.log_in()
        sends = [await wire_.expect(wire.Send) for _ in range(32)]
        await handled(wire_, romeo, log)
        assert wire_.inbox.empty()
        for send in sends:
            store(wire_, log, send)
        store(wire_, log, await wire_.expect(wire.Send))
        assert await handles[-1].wait_sent() == 33
