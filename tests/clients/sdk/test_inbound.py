"""What comes from the server: accepted, pulled, ignored, flagged, acknowledged."""

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest

from clients.sdk.body import encode_text
from clients.sdk.events import (
    ChainBroken,
    ConnectionChanged,
    Event,
    MessageReceived,
    ReceiptMoved,
)
from protocol.messages import messaging as wire
from tests.clients.dialogue import store, texts_of, until
from tests.clients.peer import Log, Peer
from tests.clients.world import World, client_of, make_folder

pytestmark = pytest.mark.asyncio


async def test_client_acknowledges_what_it_stored(peer: Peer, tmp_path: Path, log: Log) -> None:
    async with client_of(make_folder(tmp_path, peer)) as romeo:
        events = romeo.events()
        wire_ = await peer.log_in()
        await romeo.wait_synced()
        wire_.send(wire.Event(log.id, log.add("juliet", encode_text("Ay me!"))))
        acks = await wire_.expect(wire.Acks)
        assert [(a.conversation, a.seq) for a in acks.acks] == [(log.id, 1)]
        assert await texts_of(events, 1) == ["Ay me!"]


async def test_client_pulls_history_when_an_entry_is_not_its_next(
    peer: Peer, tmp_path: Path, log: Log
) -> None:
    for number in range(4):
        log.add("juliet", encode_text(str(number)))
    async with client_of(make_folder(tmp_path, peer)) as romeo:
        events = romeo.events()
        wire_ = await peer.log_in()
        await romeo.wait_synced()
        wire_.send(wire.Event(log.id, log.entries[0]), wire.Event(log.id, log.entries[3]))
        assert (await wire_.expect(wire.Acks)).acks[0].seq == 1
        pull = await wire_.expect(wire.History)
        assert (pull.direction, pull.position) == (0, 1)
        page: tuple[wire.Entry, ...] = (log.entries[1],)
        wire_.send(wire.HistoryPage(pull.request, 1, 4, log.chains[1], page, True))
        assert (await wire_.expect(wire.Acks)).acks[0].seq == 2
        pull = await wire_.expect(wire.History)
        assert pull.position == 2
        page = tuple(log.entries[2:])
        wire_.send(wire.HistoryPage(pull.request, 1, 4, log.chains[2], page, False))
        assert await texts_of(events, 4) == ["0", "1", "2", "3"]


async def test_client_asks_who_it_is_when_an_unknown_conversation_shows_up(
    peer: Peer, tmp_path: Path, log: Log
) -> None:
    log.add("romeo", encode_text("from my other device"), device=2)
    async with client_of(make_folder(tmp_path, peer)) as romeo:
        events = romeo.events()
        wire_ = await peer.log_in()
        await romeo.wait_synced()
        wire_.send(wire.Event(log.id, log.entries[0]))
        sync = await wire_.expect(wire.Sync)
        wire_.send(wire.SyncPage(sync.request, 9, (log.head("romeo"),), (), 0))
        pull = await wire_.expect(wire.History)
        wire_.send(wire.HistoryPage(pull.request, 1, 1, log.id, tuple(log.entries), False))
        assert await texts_of(events, 1) == ["from my other device"]
        assert (await wire_.expect(wire.Acks)).acks[0].seq == 1


async def test_new_device_begins_at_the_head_and_fetches_older_on_demand(
    peer: Peer, tmp_path: Path, log: Log
) -> None:
    for number in range(1, 6):
        log.add("juliet", encode_text(str(number)))
    async with client_of(make_folder(tmp_path, peer, device=2)) as romeo:
        events = romeo.events()
        wire_ = await peer.log_in(log.head("romeo", acked=5))
        await romeo.wait_synced()
        asking = asyncio.create_task(romeo.history("juliet", limit=3))
        older = await wire_.expect(wire.History)
        assert (older.direction, older.position) == (1, 6)
        page = tuple(log.entries[2:])
        wire_.send(wire.HistoryPage(older.request, 1, 5, log.chains[2], page, True))
        assert [m.text for m in await asking] == ["3", "4", "5"]
        asking = asyncio.create_task(romeo.history("juliet", at_ms=1_500))
        older = await wire_.expect(wire.History)
        assert older.position == 3
        forged = log.entries[1]
        forged = replace(forged, body=encode_text("forged"))
        page = (log.entries[0], forged)
        wire_.send(wire.HistoryPage(older.request, 1, 5, log.id, page, False))
        assert [m.text for m in await asking] == ["forged", "3", "4", "5"]
        assert await romeo.unseen() == []
        assert [c.broken for c in await romeo.conversations()] == [3]
        del events


async def test_client_stops_asking_when_more_is_promised_and_nothing_comes(
    peer: Peer, tmp_path: Path, log: Log
) -> None:
    for number in range(1, 6):
        log.add("juliet", encode_text(str(number)))
    async with client_of(make_folder(tmp_path, peer, device=2)) as romeo:
        wire_ = await peer.log_in(log.head("romeo", acked=5))
        await romeo.wait_synced()
        asking = asyncio.create_task(romeo.history("juliet", limit=3))
        older = await wire_.expect(wire.History)
        wire_.send(wire.HistoryPage(older.request, 1, 5, log.chains[5], (), True))
        assert await asking == []


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


async def test_client_puts_its_own_message_in_place_when_it_lacks_what_stands_before(
    peer: Peer, tmp_path: Path, log: Log
) -> None:
    log.add("juliet", encode_text("first"))
    async with client_of(make_folder(tmp_path, peer)) as romeo:
        events = romeo.events()
        handle = await romeo.send("juliet", "second")
        wire_ = await peer.log_in()
        store(wire_, log, await wire_.expect(wire.Send))
        assert await handle.wait_sent() == 2
        pull = await wire_.expect(wire.History)
        assert pull.position == 0
        wire_.send(wire.Event(log.id, log.entries[0]))  # the push comes after all
        wire_.send(wire.HistoryPage(pull.request, 1, 2, log.id, tuple(log.entries), False))
        assert await texts_of(events, 2) == ["first", "second"]
        assert (await wire_.expect(wire.Acks)).acks[0].seq == 2
        assert [m.text for m in await romeo.history("juliet")] == ["first", "second"]
        assert [(c.position, c.broken) for c in await romeo.conversations()] == [(2, 0)]


async def test_client_tells_only_of_receipts_for_messages_of_its_user(
    peer: Peer, tmp_path: Path, log: Log
) -> None:
    log.add("juliet", encode_text("hers"))
    log.add("romeo", encode_text("his"), device=2)
    log.add("juliet", encode_text("hers again"))
    seen: list[Event] = []

    def is_last(event: Event) -> bool:
        seen.append(event)
        return isinstance(event, MessageReceived) and event.message.seq == 3

    async with client_of(make_folder(tmp_path, peer)) as romeo:
        events = romeo.events()
        wire_ = await peer.log_in()
        await romeo.wait_synced()
        wire_.send(wire.Event(log.id, log.entries[0]), wire.Receipt(log.id, "juliet", 1, 0))
        wire_.send(wire.Event(log.id, log.entries[1]), wire.Receipt(log.id, "juliet", 2, 1))
        wire_.send(wire.Receipt(log.id, "juliet", 2, 2), wire.Receipt(log.id, "juliet", 3, 3))
        wire_.send(wire.Event(log.id, log.entries[2]))
        await until(events, is_last)
        receipts = [event for event in seen if isinstance(event, ReceiptMoved)]
        assert receipts == [ReceiptMoved("juliet", 2, 1), ReceiptMoved("juliet", 2, 2)]
        (c,) = await romeo.conversations()
        assert (c.peer_delivered, c.peer_read) == (3, 3)
