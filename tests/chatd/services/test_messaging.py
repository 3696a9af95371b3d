"""Sending, acknowledging, reading, typing, over real TLS."""

from pathlib import Path

import pytest

from chatd.settings import Limits
from protocol.derive import chain_entry, direct_id
from protocol.errors import ErrorCode
from protocol.header import ClearHeader, Kind, encode_header
from protocol.messages import messaging, session
from storage.commands import Acknowledge
from tests.chatd.actor import expect, refused
from tests.chatd.house import House, open_house

pytestmark = pytest.mark.asyncio


def deletion(target: int) -> bytes:
    return encode_header(ClearHeader(kind=Kind.DELETION, target=target))


async def test_romeo_and_juliet_talk(house: House) -> None:
    romeo, juliet = await house.arrives("romeo"), await house.arrives("juliet")

    sent = await romeo.says("juliet", "But soft!")
    event = await juliet.receives("But soft!", seq=1)
    assert (sent.seq, sent.at_ms) == (1, event.entry.at_ms)
    assert sent.chain == chain_entry(direct_id("romeo", "juliet"), event.entry)
    assert (event.entry.user, event.entry.device, event.entry.n) == ("romeo", 1, 1)

    juliet.acks("romeo", 1)
    await romeo.is_told("juliet", "juliet", delivered=1, read=0)
    await juliet.reads("romeo", 1)
    await romeo.is_told("juliet", "juliet", delivered=1, read=1)
    await romeo.hears_nothing()
    await juliet.hears_nothing()


async def test_messages_keep_their_order_when_they_are_pipelined(house: House) -> None:
    romeo, juliet = await house.arrives("romeo"), await house.arrives("juliet")
    lines = [f"line {i}" for i in range(1, 33)]
    requests = [romeo.sends("juliet", line) for line in lines]
    replies = [(await romeo.sent(request)).seq for request in requests]
    assert replies == list(range(1, 33))
    for seq, line in enumerate(lines, 1):
        await juliet.receives(line, seq=seq)


async def test_nobody_is_told_before_the_commit(house: House) -> None:
    romeo, juliet = await house.arrives("romeo"), await house.arrives("juliet")
    await romeo.says("juliet", "first")
    await juliet.receives("first")
    await house.core.idle()

    house.disk.hold()
    request = romeo.sends("juliet", "second")
    juliet.acks("romeo", 1)
    await romeo.ping()  # handled, and applied; not on disk
    await romeo.hears_nothing()
    await juliet.hears_nothing()
    assert not romeo.has_answer(request)

    house.disk.release()
    assert (await romeo.sent(request)).seq == 2
    await juliet.receives("second", seq=2)
    await romeo.is_told("juliet", "juliet", delivered=1, read=0)


async def test_retry_gets_its_place_and_nobody_hears_it_twice(house: House) -> None:
    romeo, juliet = await house.arrives("romeo"), await house.arrives("juliet")
    first = await romeo.says("juliet", "once")
    again = await romeo.says("juliet", "once", n=1)
    assert (again.seq, again.at_ms, again.chain) == (first.seq, first.at_ms, first.chain)
    await juliet.receives("once", seq=1)
    await juliet.hears_nothing()


async def test_retry_on_a_new_connection_gets_its_place(house: House) -> None:
    romeo, juliet = await house.arrives("romeo"), await house.arrives("juliet")
    house.disk.hold()
    romeo.sends("juliet", "did it arrive?")
    await romeo.ping()
    romeo.drop()
    house.disk.release()
    romeo = await house.returns(romeo)
    assert (await romeo.says("juliet", "did it arrive?", n=1)).seq == 1
    await juliet.receives("did it arrive?", seq=1)
    await juliet.hears_nothing()


async def test_send_is_refused_when_n_is_used_or_skipped(house: House) -> None:
    romeo = await house.arrives("romeo")
    await house.arrives("juliet")
    await romeo.says("juliet", "one")
    other_id = romeo.sends("juliet", "two", n=1, message_id=bytes(16))
    skipped = romeo.sends("juliet", "three", n=3)
    assert refused(await romeo.answer(other_id)) is ErrorCode.DIVERGED
    assert refused(await romeo.answer(skipped)) is ErrorCode.OUT_OF_ORDER


async def test_refused_send_harms_no_batch_mate(house: House) -> None:
    romeo, juliet = await house.arrives("romeo"), await house.arrives("juliet")
    house.disk.hold()
    bad = romeo.sends("juliet", "bad", n=7)
    good = romeo.sends("juliet", "good", n=1)
    house.disk.release()
    assert refused(await romeo.answer(bad)) is ErrorCode.OUT_OF_ORDER
    assert (await romeo.sent(good)).seq == 1
    await juliet.receives("good", seq=1)


async def test_send_is_refused_when_there_is_nobody(house: House) -> None:
    romeo = await house.arrives("romeo")
    await house.arrives("juliet")
    nobody = romeo.sends("nobody", "hello")
    himself = romeo.sends("romeo", "hello")
    wrong = romeo.sends("juliet", "hello", conversation=direct_id("romeo", "tybalt"))
    unnamed = romeo.sends("juliet", "hello", n=1, peer=None)
    for request in (nobody, himself, wrong, unnamed):
        assert refused(await romeo.answer(request)) is ErrorCode.NOT_FOUND


async def test_stranger_cannot_write_into_a_conversation_of_others(house: House) -> None:
    romeo = await house.arrives("romeo")
    await house.arrives("juliet")
    tybalt = await house.arrives("tybalt")
    await romeo.says("juliet", "ours")
    cid = direct_id("romeo", "juliet")
    intrusion = tybalt.sends("romeo", "mine", conversation=cid, peer=None)
    assert refused(await tybalt.answer(intrusion)) is ErrorCode.NOT_FOUND
    read = messaging.Read(tybalt.request(), cid, 1, True)
    assert refused(await tybalt.asks(read)) is ErrorCode.NOT_FOUND
    tybalt.tell(messaging.Acks((messaging.Ack(cid, 1),)), messaging.Typing(cid, True))
    await tybalt.ping()
    await house.core.idle()
    await romeo.hears_nothing()


@pytest.mark.parametrize(
    ("header", "code"),
    [
        (b"\xc1", ErrorCode.HEADER_INVALID),
        (b"\x90\x90", ErrorCode.HEADER_INVALID),
        (encode_header(ClearHeader(kind=9)), ErrorCode.HEADER_INVALID),
        (encode_header(ClearHeader(target=1)), ErrorCode.HEADER_INVALID),
        (encode_header(ClearHeader(kind=Kind.DELETION)), ErrorCode.HEADER_INVALID),
        (encode_header(ClearHeader(expires_ms=5)), ErrorCode.HEADER_INVALID),
        (encode_header(ClearHeader(roster=bytes(32))), ErrorCode.STALE_ROSTER),
        (encode_header(ClearHeader(assets=(bytes(16),))), ErrorCode.ASSET_UNKNOWN),
        (deletion(9), ErrorCode.HEADER_INVALID),
        (deletion(1), ErrorCode.NOT_ALLOWED),
    ],
)
async def test_send_is_refused_when_its_header_is_not_for_it(
    house: House, header: bytes, code: ErrorCode
) -> None:
    romeo, juliet = await house.arrives("romeo"), await house.arrives("juliet")
    await juliet.says("romeo", "hers")
    request = romeo.sends("juliet", "his", header=header)
    assert refused(await romeo.answer(request)) is code
    assert (await romeo.says("juliet", "his", n=1)).seq == 2


async def test_header_with_hints_is_stored_as_it_came(house: House) -> None:
    romeo, juliet = await house.arrives("romeo"), await house.arrives("juliet")
    header = encode_header(ClearHeader(notify=2, notify_users=("juliet",)))
    await romeo.says("juliet", "psst", header=header)
    assert (await juliet.receives("psst")).entry.header == header


async def test_deletion_leaves_a_tombstone_for_every_reader(house: House) -> None:
    romeo, juliet = await house.arrives("romeo"), await house.arrives("juliet")
    await romeo.says("juliet", "regretted")
    await romeo.says("juliet", b"", header=deletion(1))
    await juliet.receives("regretted")
    assert (await juliet.receives("", seq=2)).entry.header == deletion(1)
    stone, by = await juliet.log_of("romeo")
    assert (stone.body, stone.removed_by, by.seq) == (None, 2, 2)
    chain = chain_entry(direct_id("romeo", "juliet"), stone)
    assert chain_entry(chain, by) == (await juliet.syncs()).heads[0].chain


async def test_receipt_goes_only_to_those_whose_entries_are_passed(house: House) -> None:
    romeo, juliet = await house.arrives("romeo"), await house.arrives("juliet")
    await juliet.says("romeo", "mine")
    await romeo.receives("mine")
    juliet.acks("romeo", 1)  # her own entry: nobody learns anything new
    await juliet.reads("romeo", 1)
    await romeo.hears_nothing()
    await romeo.says("juliet", "his")
    juliet.acks("romeo", 2)
    await romeo.is_told("juliet", "juliet", delivered=2, read=1)
    juliet.acks("romeo", 2)
    juliet.acks("romeo", 1)
    juliet.acks("romeo", 99)
    await juliet.ping()
    await house.core.idle()
    await romeo.hears_nothing()


async def test_private_read_is_told_to_the_own_devices_alone(house: House) -> None:
    romeo, juliet = await house.arrives("romeo"), await house.arrives("juliet")
    tablet = await house.enrols(juliet)
    await romeo.says("juliet", "read me")
    await juliet.receives("read me")
    await tablet.receives("read me")
    await juliet.reads("romeo", 1, public=False)
    await romeo.is_told("juliet", "juliet", delivered=1, read=0)
    await tablet.is_told("romeo", "juliet", delivered=1, read=1)
    await juliet.reads("romeo", 1, public=True)
    await romeo.is_told("juliet", "juliet", delivered=1, read=1)
    await juliet.hears_nothing()


async def test_read_over_the_head_is_refused(house: House) -> None:
    romeo = await house.arrives("romeo")
    await house.arrives("juliet")
    await romeo.says("juliet", "one")
    read = messaging.Read(romeo.request(), direct_id("romeo", "juliet"), 2, True)
    assert refused(await romeo.asks(read)) is ErrorCode.NOT_FOUND


async def test_every_device_is_an_equal_reader(house: House) -> None:
    romeo, juliet = await house.arrives("romeo"), await house.arrives("juliet")
    phone, tablet = await house.enrols(romeo), await house.enrols(juliet)
    await romeo.says("juliet", "to all")
    for reader in (juliet, tablet, phone):
        await reader.receives("to all", seq=1)
    await romeo.hears_nothing()  # a device never gets its own entry back
    await phone.says("juliet", "from the phone")
    for reader in (juliet, tablet, romeo):
        event = await reader.receives("from the phone", seq=2)
        assert (event.entry.device, event.entry.n) == (2, 1)
    tablet.acks("romeo", 2)
    await romeo.is_told("juliet", "juliet", delivered=2, read=0)
    await phone.is_told("juliet", "juliet", delivered=2, read=0)
    juliet.acks("romeo", 2)  # delivered is the highest of her devices: known
    await juliet.ping()
    await house.core.idle()
    await romeo.hears_nothing()


async def test_typing_reaches_members_alone_and_is_not_stored(house: House) -> None:
    romeo, juliet = await house.arrives("romeo"), await house.arrives("juliet")
    tybalt = await house.arrives("tybalt")
    phone = await house.enrols(romeo)
    await romeo.says("juliet", "hm")
    await juliet.receives("hm")
    await phone.receives("hm")
    await house.core.idle()
    batches = len(house.disk.batches)
    cid = direct_id("romeo", "juliet")
    for active in (True, False):
        romeo.tell(messaging.Typing(cid, active))
        assert await juliet.push() == messaging.TypingEvent(cid, "romeo", active)
    await tybalt.hears_nothing()
    await phone.hears_nothing()
    assert len(house.disk.batches) == batches
    assert len(await juliet.log_of("romeo")) == 1


async def test_typing_in_a_conversation_out_of_memory_is_looked_up(house: House) -> None:
    romeo, juliet = await house.arrives("romeo"), await house.arrives("juliet")
    await romeo.says("juliet", "hm")
    await juliet.receives("hm")
    await house.core.idle()
    house.core.engine.writer.rollback()  # outside of a batch it only forgets
    cid = direct_id("romeo", "juliet")
    romeo.tell(messaging.Typing(bytes(32), True), messaging.Typing(cid, True))
    assert await juliet.push() == messaging.TypingEvent(cid, "romeo", True)
    await juliet.hears_nothing()


async def test_typing_over_the_budget_is_dropped_in_silence(house: House) -> None:
    romeo, juliet = await house.arrives("romeo"), await house.arrives("juliet")
    await romeo.says("juliet", "hm")
    await juliet.receives("hm")
    cid = direct_id("romeo", "juliet")
    burst = house.core.config.limits.requests_burst
    romeo.tell(*[messaging.Typing(cid, True)] * (burst + 10))
    await romeo.ping()
    await juliet.ping()
    assert len(juliet.pushes) == burst - 1  # his SYNC took one


async def test_device_that_acknowledges_too_fast_is_read_slower_and_loses_nothing(
    folder: Path,
) -> None:
    """threats.md class 14."""
    async with open_house(folder, limits=Limits(acks_per_second=1, acks_burst=5)) as house:
        romeo, juliet = await house.arrives("romeo"), await house.arrives("juliet")
        for n in range(1, 7):
            await romeo.says("juliet", f"{n}")
        peer = house.session(juliet).peer
        for n in range(1, 6):
            juliet.acks("romeo", n)
            await romeo.is_told("juliet", "juliet", delivered=n, read=0)
        assert not peer.paused_by_us
        juliet.acks("romeo", 6)
        await romeo.is_told("juliet", "juliet", delivered=6, read=0)
        await house.until(lambda: peer.paused_by_us)
        await house.environment.advance(1_000)
        await house.until(lambda: not peer.paused_by_us)
        await juliet.ping()


async def test_nothing_is_pushed_before_the_first_sync(house: House) -> None:
    romeo, juliet = await house.arrives("romeo"), await house.arrives("juliet")
    await juliet.leave()
    juliet = await house.returns(juliet, sync=False)
    await romeo.says("juliet", "while you looked away")
    await romeo.says("juliet", "and again")
    await juliet.hears_nothing()
    head = (await juliet.syncs()).heads[0]
    assert (head.head, head.acked, head.peer) == (2, 0, "romeo")
    await romeo.says("juliet", "now you hear me")
    await juliet.receives("now you hear me", seq=3)


async def test_sends_over_the_rate_are_refused_with_the_time_to_wait(house: House) -> None:
    romeo, juliet = await house.arrives("romeo"), await house.arrives("juliet")
    burst = house.core.config.limits.sends_burst
    rate = house.core.config.limits.sends_per_second
    requests = [romeo.sends("juliet", "x") for _ in range(burst + 1)]
    answers = [await romeo.answer(request) for request in requests]
    assert all(isinstance(answer, messaging.Sent) for answer in answers[:burst])
    error = expect(session.Error, answers[burst])
    assert (error.code, error.retryable) == (ErrorCode.RATE_LIMITED, True)
    assert error.retry_after_ms == 1000 // rate
    assert len(juliet.pushes) <= burst
    await house.environment.advance(error.retry_after_ms)
    assert (await romeo.says("juliet", "x", n=burst + 1)).seq == burst + 1


async def test_revoked_device_stores_nothing_any_more(house: House) -> None:
    romeo = await house.arrives("romeo")
    await house.arrives("juliet")
    await romeo.says("juliet", "one")
    await house.core.idle()
    house.disk.hold()
    await romeo.ping()
    romeo.sends("juliet", "keeps the writer busy")
    await romeo.ping()
    revoked = house.environment.spawn(house.admin.revoke_device("romeo", 1))
    await romeo.ping()
    late = romeo.sends("juliet", "too late")
    romeo.acks("juliet", 1)
    read = romeo.request()
    romeo.tell(messaging.Read(read, direct_id("romeo", "juliet"), 1, True))
    await romeo.ping()
    house.disk.release()
    assert refused(await romeo.answer(late)) is ErrorCode.AUTHENTICATION_FAILED
    assert refused(await romeo.answer(read)) is ErrorCode.AUTHENTICATION_FAILED
    assert (await romeo.is_sent_away()).code == ErrorCode.DEVICE_REVOKED
    await revoked


async def test_acknowledgements_on_a_disk_that_stays_full_are_dropped_quietly(
    house: House, caplog: pytest.LogCaptureFixture
) -> None:
    romeo, juliet = await house.arrives("romeo"), await house.arrives("juliet")
    await romeo.says("juliet", "one")
    await house.core.idle()
    house.disk.fills_up(commits=2)
    juliet.acks("romeo", 1)
    await juliet.ping()
    await house.core.idle()
    assert any(isinstance(command, Acknowledge) for command in house.disk.batches[-1])
    assert "callback_failed" not in caplog.text
    await romeo.hears_nothing()
    juliet.acks("romeo", 1)  # a client asserts it again on its next connection
    await romeo.is_told("juliet", "juliet", delivered=1, read=0)
