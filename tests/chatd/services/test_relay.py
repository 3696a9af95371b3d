"""Catch-up: SYNC tells what moved, HISTORY brings it, and a slow reader loses nothing."""

import pytest

from chatd.services.relay import MOST_READS
from protocol import limits
from protocol.derive import chain_entry, direct_id
from protocol.errors import ErrorCode
from protocol.messages import messaging, session
from tests.chatd.actor import Actor, expect, refused
from tests.chatd.house import House

pytestmark = pytest.mark.asyncio

BIG = b"x" * 60_000


async def falls_behind(house: House, talker: Actor, sleeper: Actor) -> int:
    """Send until the reader's outbox is full and something was left out; return the head."""
    slow = house.session(sleeper)
    seq = 0
    while not slow.behind:
        seq = (await talker.says(sleeper.me.user, BIG)).seq
        assert seq < 300
    return seq


async def wakes(sleeper: Actor) -> int:
    """Read what was pushed, up to RESYNC; return the last seq, which must be in order."""
    last = 0
    while isinstance(message := await sleeper.push(), messaging.Event):
        assert message.entry.seq == last + 1
        last += 1
    expect(messaging.Resync, message)
    return last


async def catches_up(reader: Actor, peer: str, last: int) -> int:
    """Pull HISTORY forward until there is no more; return the last seq."""
    more = True
    while more:
        page = await reader.history(peer, last)
        for entry in page.entries:
            assert entry.seq == last + 1
            last += 1
        more = page.more
    return last


async def test_history_is_paged_in_both_directions_and_chained(house: House) -> None:
    romeo, juliet = await house.arrives("romeo"), await house.arrives("juliet")
    for i in range(1, 8):
        await romeo.says("juliet", f"line {i}")
    cid = direct_id("romeo", "juliet")
    forward = await juliet.history("romeo", 0, most=3)
    assert [entry.seq for entry in forward.entries] == [1, 2, 3]
    assert (forward.first_seq, forward.head, forward.anchor, forward.more) == (1, 7, cid, True)
    chain = cid
    for entry in forward.entries:
        chain = chain_entry(chain, entry)
    assert (await juliet.history("romeo", 3, most=9)).anchor == chain
    backward = await juliet.history("romeo", 8, direction=1, most=3)
    assert [entry.seq for entry in backward.entries] == [5, 6, 7]
    assert backward.more
    first = await juliet.history("romeo", 4, direction=1, most=3)
    assert ([entry.seq for entry in first.entries], first.more) == ([1, 2, 3], False)
    beyond = await juliet.history("romeo", 99)
    assert (beyond.entries, beyond.more) == ((), False)


async def test_history_is_sought_by_time(house: House) -> None:
    romeo, juliet = await house.arrives("romeo"), await house.arrives("juliet")
    times = []
    for i in range(4):
        times.append((await romeo.says("juliet", f"line {i}")).at_ms)
        await house.environment.advance(1_000)
    page = await juliet.history("romeo", times[2], direction=2)
    assert [entry.seq for entry in page.entries] == [3, 4]
    page = await juliet.history("romeo", times[3] + 1, direction=2)
    assert page.entries == ()


async def test_page_is_bounded_in_bytes_and_still_holds_one_entry(house: House) -> None:
    romeo, juliet = await house.arrives("romeo"), await house.arrives("juliet")
    for _ in range(3):
        await romeo.says("juliet", b"x" * limits.MAX_BODY_BYTES)
    page = await juliet.history("romeo", 0, most_bytes=1)
    assert ([entry.seq for entry in page.entries], page.more) == ([1], True)
    page = await juliet.history("romeo", 1, most_bytes=limits.MAX_PAGE_BYTES)
    assert ([entry.seq for entry in page.entries], page.more) == ([2], True)


async def test_history_of_others_is_not_found(house: House) -> None:
    romeo = await house.arrives("romeo")
    await house.arrives("juliet")
    tybalt = await house.arrives("tybalt")
    await romeo.says("juliet", "ours")
    for cid in (direct_id("romeo", "juliet"), bytes(32)):
        history = messaging.History(tybalt.request(), cid, 0, 0, 10, 1_000)
        assert refused(await tybalt.asks(history)) is ErrorCode.NOT_FOUND
    assert (await tybalt.syncs()).heads == ()


async def test_sync_costs_what_is_new(house: House) -> None:
    romeo, juliet = await house.arrives("romeo"), await house.arrives("juliet")
    tybalt = await house.arrives("tybalt")
    await romeo.says("juliet", "one")
    await romeo.says("tybalt", "two")
    page = await romeo.syncs()
    assert [head.peer for head in page.heads] == ["juliet", "tybalt"]
    assert (await romeo.syncs(since=page.commit)).heads == ()
    tybalt.acks("romeo", 1)
    await romeo.is_told("tybalt", "tybalt", delivered=1, read=0)
    news = await romeo.syncs(since=page.commit)
    assert [head.peer for head in news.heads] == ["tybalt"]
    cid = direct_id("romeo", "tybalt")
    assert news.watermarks == (messaging.Watermark(cid, "tybalt", 1, 0),)
    await juliet.ping()


async def test_sync_has_pages_when_there_are_many_conversations(house: House) -> None:
    romeo = await house.arrives("romeo")
    for i in range(limits.MAX_PAGE_HEADS + 1):
        await house.adds(f"friend{i}")
        await romeo.says(f"friend{i}", "hello")
    first = await romeo.syncs()
    assert len(first.heads) == limits.MAX_PAGE_HEADS
    assert first.next
    second = await romeo.syncs(page=first.next)
    assert (len(second.heads), second.next) == (1, 0)


async def test_connection_has_four_reads_under_way_and_no_more(house: House) -> None:
    romeo = await house.arrives("romeo")
    await house.arrives("juliet")
    await romeo.says("juliet", "one")
    cid = direct_id("romeo", "juliet")
    house.disk.hold_reads()
    messages: list[messaging.Sync | messaging.History] = [
        messaging.Sync(romeo.request(), 0, 0),
        messaging.History(romeo.request(), cid, 0, 0, 1, 1),
        messaging.Sync(romeo.request(), 0, 0),
        messaging.History(romeo.request(), bytes(32), 0, 0, 1, 1),
    ]
    assert len(messages) == MOST_READS
    over: list[messaging.Sync | messaging.History] = [
        messaging.History(romeo.request(), cid, 0, 0, 1, 1),
        messaging.Sync(romeo.request(), 0, 0),
    ]
    romeo.tell(*messages, *over)
    for asked in over:
        assert refused(await romeo.answer(asked.request)) is ErrorCode.RATE_LIMITED
    house.disk.release_reads()
    for read in messages:
        await romeo.answer(read.request)
    await romeo.history("juliet")  # there is room again


async def test_slow_reader_is_left_behind_and_catches_up_with_nothing_lost(house: House) -> None:
    romeo = await house.arrives("romeo")
    juliet = await house.arrives("juliet", receive_bytes=4_096)
    paris = await house.arrives("paris")
    await falls_behind(house, romeo, juliet)
    await paris.says("juliet", "are you there?")
    head = (await romeo.says("juliet", "did you hear?")).seq

    last = await wakes(juliet)
    assert last < head
    page = await juliet.syncs()
    assert {h.peer: h.head for h in page.heads} == {"romeo": head, "paris": 1}
    assert await catches_up(juliet, "romeo", last) == head
    assert await catches_up(juliet, "paris", 0) == 1
    assert house.session(juliet).behind == {}
    await romeo.says("juliet", "now?")
    await juliet.receives("now?", seq=head + 1)
    await juliet.hears_nothing()


async def test_receipts_that_a_slow_reader_missed_come_by_sync(house: House) -> None:
    romeo = await house.arrives("romeo", receive_bytes=4_096)
    juliet = await house.arrives("juliet")
    nurse = await house.arrives("nurse")
    await romeo.says("nurse", "tell her")
    since = (await romeo.syncs()).commit
    await falls_behind(house, juliet, romeo)
    nurse.acks("romeo", 1)
    nurse.tell(messaging.Typing(direct_id("nurse", "romeo"), True))
    await nurse.ping()
    await house.core.idle()
    await wakes(romeo)
    await romeo.hears_nothing()  # neither the receipt nor the typing
    page = await romeo.syncs(since)
    cid = direct_id("nurse", "romeo")
    assert messaging.Watermark(cid, "nurse", 1, 0) in page.watermarks


async def test_entry_stored_while_a_behind_reader_reads_is_not_forgotten(house: House) -> None:
    romeo = await house.arrives("romeo")
    juliet = await house.arrives("juliet", receive_bytes=4_096)
    head = await falls_behind(house, romeo, juliet)
    last = await wakes(juliet)
    await juliet.syncs()
    while last < head - 1:
        last = (await juliet.history("romeo", last, most=1)).entries[-1].seq

    house.disk.hold_reads()
    done = house.disk.reads_done
    cid = direct_id("romeo", "juliet")
    history = messaging.History(juliet.request(), cid, 0, last, 512, 64_512)
    juliet.tell(history)
    await house.until(lambda: house.disk.reads_done > done)  # read, and not yet answered
    await romeo.says("juliet", "in between")
    house.disk.release_reads()
    page = expect(messaging.HistoryPage, await juliet.answer(history.request))
    assert (page.entries[-1].seq, page.more) == (head, True)
    assert await catches_up(juliet, "romeo", head) == head + 1
    await romeo.says("juliet", "live again")
    await juliet.receives("live again", seq=head + 2)


async def test_reading_backwards_does_not_bring_into_step(house: House) -> None:
    romeo = await house.arrives("romeo")
    juliet = await house.arrives("juliet", receive_bytes=4_096)
    head = await falls_behind(house, romeo, juliet)
    await wakes(juliet)
    await juliet.history("romeo", head + 1, direction=1)
    assert list(house.session(juliet).behind.values()) == [head]
    await catches_up(juliet, "romeo", head - 2)
    assert house.session(juliet).behind == {}


async def test_outbox_of_a_slow_reader_is_bounded_within_one_batch(house: House) -> None:
    romeo = await house.arrives("romeo")
    juliet = await house.arrives("juliet", receive_bytes=4_096)
    await romeo.says("juliet", "first")
    await juliet.receives("first")
    await house.core.idle()
    house.disk.hold()
    romeo.sends("juliet", "keeps the writer busy")
    await romeo.ping()
    requests = [romeo.sends("juliet", BIG) for _ in range(200)]
    await house.queued(200)
    house.disk.release()
    for request in requests:
        await romeo.sent(request)
    last = 1
    while isinstance(message := await juliet.push(), messaging.Event):
        assert message.entry.seq == last + 1
        last += 1
    expect(messaging.Resync, message)
    assert last < 150  # the outbox, and what the kernel took: 12 MB were stored
    assert await catches_up(juliet, "romeo", last) == 202


async def test_client_that_asks_before_it_reads_gets_every_answer(house: House) -> None:
    """Answers are never left out: reading from the client stops instead."""
    romeo = await house.arrives("romeo", receive_bytes=4_096)
    await house.arrives("juliet")
    await romeo.says("juliet", BIG)
    cid = direct_id("romeo", "juliet")
    answers = []
    for _ in range(40):
        ask = messaging.History(romeo.request(), cid, 0, 0, 1, 64_512)
        ping = session.Ping(romeo.request())
        romeo.tell(ask, ping)
        answers.append((ask.request, ping.nonce))
    for request, nonce in answers:
        answer = await romeo.answer(request)
        assert isinstance(answer, messaging.HistoryPage) or refused(answer) is (
            ErrorCode.RATE_LIMITED
        )
        await romeo.answer(nonce)
