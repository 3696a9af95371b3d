"""Group commit on a disk that is slow, full or broken."""

from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from chatd.committer import MOST_QUEUED_BYTES
from chatd.settings import Limits, Storage
from protocol.errors import ErrorCode
from protocol.header import ClearHeader, Kind, encode_header
from protocol.messages import messaging, session
from storage.commands import Touch
from storage.errors import StorageFailed, StorageFull
from tests.chatd.actor import Actor, expect, refused
from tests.chatd.house import House, open_house

pytestmark = pytest.mark.asyncio


async def test_next_batch_gathers_while_one_is_committed(house: House) -> None:
    romeo, juliet = await house.arrives("romeo"), await house.arrives("juliet")
    await house.core.idle()
    before = len(house.disk.batches)
    house.disk.hold()
    first = romeo.sends("juliet", "alone")
    await romeo.ping()
    rest = [romeo.sends("juliet", f"together {i}") for i in range(20)]
    await house.queued(20)
    assert len(house.disk.batches) == before + 1
    house.disk.release()
    for seq, request in enumerate([first, *rest], 1):
        assert (await romeo.sent(request)).seq == seq
    assert [len(batch) for batch in house.disk.batches[before:]] == [1, 20]
    for seq in range(1, 22):
        assert expect(messaging.Event, await juliet.push()).entry.seq == seq


async def test_fault_of_one_receiver_is_not_its_batch_mates(
    house: House, caplog: pytest.LogCaptureFixture
) -> None:
    romeo, juliet = await house.arrives("romeo"), await house.arrives("juliet")
    await house.core.idle()
    house.disk.hold()
    romeo.sends("juliet", "keeps the writer busy")
    await romeo.ping()

    def faulty(_: object) -> None:
        raise ZeroDivisionError

    house.core.committer.submit(Touch(house.session(juliet).device), faulty)
    request = romeo.sends("juliet", "in the same batch")
    await house.queued(2)
    house.disk.release()
    assert (await romeo.sent(request)).seq == 2
    assert "callback_failed" in caplog.text


async def test_full_queue_pauses_reading_and_drops_nothing(folder: Path) -> None:
    limits = Limits(sends_burst=5_000, requests_burst=5_000)
    async with open_house(folder, storage=Storage(1, 4, queue=64), limits=limits) as house:
        romeo, juliet = await house.arrives("romeo"), await house.arrives("juliet")
        paris = await house.arrives("paris")
        await house.core.idle()
        house.disk.hold()
        romeo.sends("juliet", "keeps the writer busy")
        await romeo.ping()
        hers = [romeo.sends("juliet", f"{i}") for i in range(63)]
        await house.queued(63)
        assert not house.core.committer.full
        hers.append(romeo.sends("juliet", "the 64th"))
        await house.queued(64)
        await house.until(lambda: house.core.committer.full)
        his = [paris.sends("juliet", f"{i}") for i in range(200)]
        paused = house.session(paris).peer
        await house.until(lambda: paused.paused_by_us)
        assert house.session(romeo).peer.paused_by_us
        assert not house.session(juliet).peer.paused_by_us  # who sends nothing is read from
        await juliet.ping()
        await house.environment.advance(3 * 60_000)  # nor does silence cost them their links
        house.disk.release()
        for seq, request in enumerate(hers, 2):
            assert (await romeo.sent(request)).seq == seq
        for seq, request in enumerate(his, 1):
            assert (await paris.sent(request)).seq == seq
        assert len(await juliet.log_of("paris")) == 200


async def test_queue_is_full_of_bytes_at_its_bound_and_not_before(house: House) -> None:
    romeo = await house.arrives("romeo")
    committer, device = house.core.committer, house.session(romeo).device
    house.disk.hold()
    romeo.sends("juliet", "keeps the writer busy")
    await romeo.ping()
    committer.submit(Touch(device), lambda _: None, MOST_QUEUED_BYTES - 1)
    assert not committer.full
    committer.submit(Touch(device), lambda _: None, 1)
    await house.until(lambda: committer.full)
    house.disk.release()
    await house.until(lambda: not committer.full)


async def test_many_unanswered_requests_pause_reading_and_drop_nothing(folder: Path) -> None:
    async with open_house(folder, limits=Limits(sends_burst=5_000)) as house:
        romeo, juliet = await house.arrives("romeo"), await house.arrives("juliet")
        await house.core.idle()
        house.disk.hold()
        peer = house.session(romeo).peer
        requests = [romeo.sends("juliet", "x") for _ in range(255)]
        await house.until(lambda: peer.in_flight == 255)
        assert not peer.paused_by_us
        requests += [romeo.sends("juliet", "x") for _ in range(1_000)]
        await house.until(lambda: peer.paused_by_us)
        house.disk.release()
        for seq, request in enumerate(requests, 1):
            assert (await romeo.sent(request)).seq == seq
        await juliet.ping()
        assert peer.in_flight == 0
        assert not peer.paused_by_us


async def test_full_disk_refuses_sends_and_lets_the_rest_go_on(house: House) -> None:
    romeo, juliet = await house.arrives("romeo"), await house.arrives("juliet")
    await house.arrives("paris")
    await romeo.says("juliet", "before")
    await juliet.receives("before")
    await house.core.idle()
    house.disk.fills_up(commits=1)
    request = romeo.sends("juliet", "no room")
    error = expect(session.Error, await romeo.answer(request))
    assert (error.code, error.retryable) == (ErrorCode.DISK_FULL, True)
    assert not house.disk.reserve_held

    juliet.acks("romeo", 1)
    await romeo.is_told("juliet", "juliet", delivered=1, read=0)
    await juliet.reads("romeo", 1)
    await romeo.is_told("juliet", "juliet", delivered=1, read=1)
    assert len(await juliet.log_of("romeo")) == 1
    again = await romeo.says("juliet", "before", n=1)  # a retry is known, and needs no room
    assert again.seq == 1
    juliet = await house.returns(juliet)
    await house.environment.advance(2_000)
    assert refused(await romeo.answer(romeo.sends("paris", "new"))) is ErrorCode.DISK_FULL
    still = romeo.sends("juliet", "no room", n=2)
    assert refused(await romeo.answer(still)) is ErrorCode.DISK_FULL

    house.disk.has_room = True
    await house.environment.advance(1_000)
    await house.until(lambda: not house.core.engine.writer.full)
    assert (await romeo.says("juliet", "no room", n=2)).seq == 2
    await juliet.receives("no room", seq=2)


async def test_disk_that_is_full_while_applying_is_the_same(house: House) -> None:
    romeo, juliet = await house.arrives("romeo"), await house.arrives("juliet")
    await house.core.idle()
    house.disk.has_room = False
    house.disk.apply_errors.append(StorageFull("no room left on the disk"))
    assert refused(await romeo.answer(romeo.sends("juliet", "x"))) is ErrorCode.DISK_FULL
    assert (await juliet.syncs()).heads == ()


async def test_everything_is_refused_when_the_reserve_does_not_suffice(house: House) -> None:
    romeo, juliet = await house.arrives("romeo"), await house.arrives("juliet")
    await romeo.says("juliet", "one")
    await house.core.idle()
    house.disk.fills_up(commits=2)
    read = juliet.request()
    juliet.tell(messaging.Read(read, (await juliet.syncs()).heads[0].conversation, 1, True))
    assert refused(await juliet.answer(read)) is ErrorCode.DISK_FULL
    await romeo.hears_nothing()
    await juliet.reads("romeo", 1)


@pytest.mark.parametrize("where", ["commit", "apply", "bug"])
async def test_nothing_is_answered_any_more_when_storage_failed(
    house: House, where: str, caplog: pytest.LogCaptureFixture
) -> None:
    romeo, juliet = await house.arrives("romeo"), await house.arrives("juliet")
    await house.core.idle()
    if where == "commit":
        house.disk.commit_errors.append(StorageFailed("the disk is gone"))
    elif where == "apply":
        house.disk.apply_errors.append(StorageFailed("the disk is gone"))
    else:
        house.disk.commit_errors.append(ZeroDivisionError("secret"))  # type: ignore[arg-type]  # a bug raises anything
    request = romeo.sends("juliet", "in doubt")
    await house.core.failed.wait()
    later = romeo.sends("juliet", "never")
    juliet.acks("romeo", 1)
    await romeo.ping()
    await juliet.hears_nothing()
    assert not romeo.has_answer(request)
    assert not romeo.has_answer(later)
    assert house.disk.batches[-1][0].__class__.__name__ == "Append"
    assert ("writer_bug" in caplog.text) is (where == "bug")


async def test_commit_under_way_is_not_answered_when_a_copy_fails(house: House) -> None:
    romeo = await house.arrives("romeo")
    await house.arrives("juliet")
    await house.core.idle()
    house.disk.copy_wanted = True
    house.disk.hold_copy()
    house.disk.copy_errors.append(StorageFailed("the disk is gone"))
    await romeo.says("juliet", "starts a copy")
    house.disk.hold()
    request = romeo.sends("juliet", "in doubt")
    await romeo.ping()
    house.disk.release_copy()
    await house.core.failed.wait()
    house.disk.release()
    await house.until(lambda: house.disk.commits_done == len(house.disk.batches))
    await romeo.ping()
    assert not romeo.has_answer(request)


async def test_rollback_that_fails_is_the_end(house: House) -> None:
    romeo = await house.arrives("romeo")
    await house.core.idle()
    house.disk.fills_up(commits=1)
    house.disk.release_errors.append(StorageFailed("the reserve is gone"))
    request = romeo.sends("romeo", "x")
    await house.core.failed.wait()
    await romeo.ping()
    assert not romeo.has_answer(request)


async def test_log_is_copied_between_batches_and_service_goes_on(house: House) -> None:
    romeo, juliet = await house.arrives("romeo"), await house.arrives("juliet")
    await romeo.says("juliet", "regretted")
    header = encode_header(ClearHeader(kind=Kind.DELETION, target=1))
    await romeo.says("juliet", b"", header=header)
    writer = house.core.engine.writer
    turns = [turn async for turn in _while(lambda: writer.bodies_removed, romeo)]
    assert 0 < len(turns) < 100
    await juliet.ping()


async def _while(condition: Callable[[], bool], talker: Actor) -> AsyncIterator[int]:
    while condition():
        yield (await talker.says("juliet", "more")).seq


@pytest.mark.parametrize("full", [True, False])
async def test_copy_that_finds_no_room_is_tried_again_later(house: House, full: bool) -> None:
    romeo = await house.arrives("romeo")
    await house.arrives("juliet")
    await house.core.idle()
    house.disk.copy_wanted = True
    errors = house.disk.copy_errors if full else house.disk.finish_errors
    errors.append(StorageFull("no room"))
    await romeo.says("juliet", "one")
    await house.until(lambda: not errors)
    await romeo.says("juliet", "two")
    assert not house.core.failed.is_set()


async def test_copy_that_fails_at_its_end_is_the_end(house: House) -> None:
    romeo = await house.arrives("romeo")
    await house.core.idle()
    house.disk.copy_wanted = True
    house.disk.finish_errors.append(StorageFailed("the disk is gone"))
    romeo.sends("romeo", "x")
    await house.core.failed.wait()


async def test_reserve_that_fails_is_the_end(house: House) -> None:
    await house.core.idle()
    house.disk.reserve_errors.append(StorageFailed("the reserve is gone"))
    await house.environment.advance(1_000)
    await house.core.failed.wait()


async def test_reserve_that_finds_no_room_is_no_failure(house: House) -> None:
    house.disk.reserve_errors.append(StorageFull("no room"))
    await house.environment.advance(1_000)
    await house.until(lambda: not house.disk.reserve_errors)
    romeo = await house.arrives("romeo")
    await romeo.ping()
    assert not house.core.failed.is_set()
