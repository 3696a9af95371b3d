"""The client against a scripted server: sending, receiving, acknowledging, catching up."""

from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
import pytest_asyncio

from clients.sdk.body import encode_text
from clients.sdk.client import Client
from clients.sdk.errors import DeviceRestored, DeviceRevoked, NotDelivered, SessionReplaced
from clients.sdk.events import (
    ChainBroken,
    ConnectionChanged,
    Event,
    MessageReceived,
    Synced,
    Typing,
)
from clients.sdk.streams import EventStream
from protocol.errors import ERRORS, ErrorCode
from protocol.messages import messaging as wire
from protocol.messages.session import Error, GoAway, Ok, Ping, Pong
from tests.clients.peer import KEEPALIVE_MS, Log, Peer, Wire
from tests.clients.world import World, client_of, make_folder

pytestmark = pytest.mark.asyncio


@pytest_asyncio.fixture
async def peer() -> AsyncIterator[Peer]:
    async with Peer() as listening:
        yield listening


@pytest.fixture
def log() -> Log:
    return Log("juliet", "romeo")


async def until(events: EventStream, test: Callable[[Event], bool]) -> Event:
    """Return the first event that passes."""
    async for event in events:
        if test(event):
            return event
    raise AssertionError("the events ended")


async def texts_of(events: EventStream, count: int) -> list[str | None]:
    """Return the texts of the next messages."""
    texts: list[str | None] = []
    while len(texts) < count:
        event = await until(events, lambda e: isinstance(e, MessageReceived))
        assert isinstance(event, MessageReceived)
        texts.append(event.message.text)
    return texts


async def handled(wire_: Wire, client: Client, log: Log) -> None:
    """Wait until the client has handled all that was sent to it."""
    events = client.events()
    wire_.send(wire.TypingEvent(log.id, "juliet", True))
    await until(events, lambda e: isinstance(e, Typing))


def store(wire_: Wire, log: Log, send: wire.Send) -> None:
    """Store a message and say so."""
    entry = log.add("romeo", send.body, message_id=send.message_id)
    assert entry.n == send.n
    wire_.send(wire.Sent(send.request, entry.seq, entry.at_ms, log.chains[entry.seq]))


def refuse(wire_: Wire, send: wire.Send, code: ErrorCode, retry_after_ms: int = 0) -> None:
    """Answer a send with an error."""
    info = ERRORS[code]
    wire_.send(Error(send.request, code, info.text, info.retryable, retry_after_ms))


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


async def test_client_acknowledges_what_it_stored(peer: Peer, tmp_path: Path, log: Log) -> None:
    async with client_of(make_folder(tmp_path, peer)) as romeo:
        events = romeo.events()
        wire_ = await peer.log_in()
        await romeo.wait_synced()
        wire_.send(wire.Event(log.id, log.add("juliet", encode_text("Ay me!"))))
        acks = await wire_.expect(wire.Acks)
        assert [(a.conversation, a.seq) for a in acks.acks] == [(log.id, 1)]
        assert await texts_of(events, 1) == ["Ay me!"]


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


async def test_client_pulls_history_when_an_entry_is_not_its_next(
    peer: Peer, tmp_path: Path, log: Log
) -> None:
    for number in range(3):
        log.add("juliet", encode_text(str(number)))
    async with client_of(make_folder(tmp_path, peer)) as romeo:
        events = romeo.events()
        wire_ = await peer.log_in()
        await romeo.wait_synced()
        wire_.send(wire.Event(log.id, log.entries[2]))
        pull = await wire_.expect(wire.History)
        assert (pull.direction, pull.position) == (0, 0)
        wire_.send(wire.HistoryPage(pull.request, 1, 3, log.id, tuple(log.entries[:2]), True))
        assert (await wire_.expect(wire.Acks)).acks[0].seq == 2
        pull = await wire_.expect(wire.History)
        assert pull.position == 2
        wire_.send(
            wire.HistoryPage(pull.request, 1, 3, log.chains[2], tuple(log.entries[2:]), False)
        )
        assert await texts_of(events, 3) == ["0", "1", "2"]


async def test_client_ignores_an_entry_it_has(peer: Peer, tmp_path: Path, log: Log) -> None:
    first, second = log.add("juliet", encode_text("1")), log.add("juliet", encode_text("2"))
    async with client_of(make_folder(tmp_path, peer)) as romeo:
        events = romeo.events()
        wire_ = await peer.log_in()
        wire_.send(wire.Event(log.id, first), wire.Event(log.id, first))
        wire_.send(wire.Event(log.id, second), wire.Event(log.id, first))
        assert await texts_of(events, 2) == ["1", "2"]
        assert [m.seq for m in await romeo.history("juliet")] == [1, 2]


async def test_client_flags_a_broken_chain_and_shows_the_message(
    peer: Peer, tmp_path: Path, log: Log
) -> None:
    world = World()
    async with client_of(make_folder(tmp_path, peer), world) as romeo:
        events = romeo.events()
        wire_ = await peer.log_in()
        await romeo.wait_synced()
        wire_.send(wire.Event(log.id, log.add("juliet", encode_text("1"))))
        await texts_of(events, 1)
        forged = Log("juliet", "romeo")
        forged.add("juliet", encode_text("another 1"))
        forged.add("juliet", encode_text("2"))
        wire_.cut()
        await until(events, lambda e: isinstance(e, ConnectionChanged) and not e.online)
        world.advance(1_000)
        wire_ = await peer.log_in(forged.head("romeo", acked=1))
        pull = await wire_.expect(wire.History)
        page = wire.HistoryPage(pull.request, 1, 2, forged.chains[1], (forged.entries[1],), False)
        wire_.send(page)
        broken = await until(events, lambda e: isinstance(e, ChainBroken))
        assert broken == ChainBroken("juliet", 1)
        assert await texts_of(events, 1) == ["2"]


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
