"""Sending: what the writer stores, recognises and refuses."""

from hashlib import sha256

import pytest

from protocol.derive import chain_next, direct_id
from storage.commands import Acknowledge, Appended, Refusal, Refused, RevokeDevice, SetUserState
from storage.state import Device
from storage.types import UserState
from tests.storage.helpers import DELETION, PLAIN, START_MS, Store, append, message_id

CID = direct_id("juliet", "romeo")


@pytest.fixture
def romeo(store: Store) -> Device:
    return store.register("romeo")


@pytest.fixture
def juliet(store: Store) -> Device:
    return store.register("juliet")


def test_writer_creates_direct_conversation_at_first_send(
    store: Store, romeo: Device, juliet: Device
) -> None:
    sent = store.send(romeo, "juliet", 1, "but soft")
    assert (sent.seq, sent.at_ms, sent.repeated) == (1, START_MS, False)
    body_hash = sha256(b"but soft").digest()
    mid = message_id("romeo/1/1/but soft")
    assert sent.chain == chain_next(CID, 1, "romeo", 1, 1, PLAIN, mid, body_hash)
    assert sorted(store.reader.members(CID)) == sorted([romeo.user.id, juliet.user.id])
    assert [entry.body for entry in store.history(juliet, "romeo").entries] == [b"but soft"]


def test_writer_gives_dense_seqs_when_both_peers_and_all_devices_send(
    store: Store, romeo: Device, juliet: Device
) -> None:
    laptop = store.enrol("romeo")
    order = [romeo, laptop, juliet, romeo, juliet, laptop]
    count = {device.id: 0 for device in order}
    for seq, device in enumerate(order, 1):
        count[device.id] += 1
        peer = "romeo" if device is juliet else "juliet"
        assert store.send(device, peer, count[device.id]).seq == seq
    entries = store.history(romeo, "juliet").entries
    assert [(e.seq, e.user, e.device, e.n) for e in entries] == [
        (1, "romeo", 1, 1),
        (2, "romeo", 2, 1),
        (3, "juliet", 1, 1),
        (4, "romeo", 1, 2),
        (5, "juliet", 1, 2),
        (6, "romeo", 2, 2),
    ]


def test_writer_makes_one_conversation_when_both_peers_begin_in_one_batch(
    store: Store, romeo: Device, juliet: Device
) -> None:
    first, second = store.batch(append(romeo, "juliet", 1), append(juliet, "romeo", 1))
    assert isinstance(first, Appended)
    assert isinstance(second, Appended)
    assert (first.seq, second.seq) == (1, 2)
    assert first.conversation is second.conversation


def test_writer_returns_same_place_when_send_is_repeated(
    store: Store, romeo: Device, juliet: Device
) -> None:
    command = append(romeo, "juliet", 1)
    first = store.do(command)
    store.clock.ms += 5_000
    store.talk(juliet, "romeo", 3)
    again = store.do(command)
    assert isinstance(first, Appended)
    assert isinstance(again, Appended)
    assert (again.seq, again.at_ms, again.chain) == (first.seq, first.at_ms, first.chain)
    assert again.repeated
    assert store.history(romeo, "juliet").head == 4


def test_writer_returns_same_place_when_send_is_repeated_within_its_batch(
    store: Store, romeo: Device, juliet: Device
) -> None:
    command = append(romeo, "juliet", 1)
    first, again = store.batch(command, command)
    assert isinstance(first, Appended)
    assert isinstance(again, Appended)
    assert (again.seq, again.chain, again.repeated) == (first.seq, first.chain, True)


def test_writer_returns_same_place_after_restart_deletion_and_full_disk(
    store: Store, romeo: Device, juliet: Device
) -> None:
    command = append(romeo, "juliet", 1)
    first = store.do(command)
    store.do(append(romeo, "juliet", 2, header=DELETION, removes=1))
    store.do(SetUserState("juliet", UserState.DELETED))
    store.engine.writer.full = True
    again = store.do(command)
    assert isinstance(first, Appended)
    assert isinstance(again, Appended)
    assert (again.seq, again.at_ms, again.chain) == (first.seq, first.at_ms, first.chain)


def test_writer_refuses_diverged_when_n_is_stored_with_another_id(
    store: Store, romeo: Device, juliet: Device
) -> None:
    store.send(romeo, "juliet", 1, "one")
    assert store.refused(append(romeo, "juliet", 1, "other")) is Refusal.DIVERGED


def test_writer_recognises_retry_up_to_32_back(store: Store, romeo: Device, juliet: Device) -> None:
    store.talk(romeo, "juliet", 33)
    store.talk(juliet, "romeo", 40)  # what others send does not count
    oldest = store.do(append(romeo, "juliet", 2))
    assert isinstance(oldest, Appended)
    assert (oldest.seq, oldest.repeated) == (2, True)
    assert store.refused(append(romeo, "juliet", 1)) is Refusal.DIVERGED


def test_writer_refuses_out_of_order_when_n_skips(
    store: Store, romeo: Device, juliet: Device
) -> None:
    assert store.refused(append(romeo, "juliet", 2)) is Refusal.OUT_OF_ORDER
    assert store.reader.members(CID) == []
    store.send(romeo, "juliet", 1)
    assert store.refused(append(romeo, "juliet", 3)) is Refusal.OUT_OF_ORDER
    assert store.send(romeo, "juliet", 2).seq == 2


def test_pipelined_sends_fail_as_a_suffix_when_one_is_refused(
    store: Store, romeo: Device, juliet: Device
) -> None:
    store.send(romeo, "juliet", 1)
    results = store.batch(
        append(romeo, "juliet", 2),
        append(romeo, "juliet", 3, removes=9),
        append(romeo, "juliet", 4),
        append(juliet, "romeo", 1),
    )
    kinds = [r.reason if isinstance(r, Refused) else type(r) for r in results]
    assert kinds == [Appended, Refusal.TARGET_INVALID, Refusal.OUT_OF_ORDER, Appended]
    assert [(e.user, e.n) for e in store.history(romeo, "juliet").entries] == [
        ("romeo", 1),
        ("romeo", 2),
        ("juliet", 1),
    ]


@pytest.mark.parametrize("peer", ["nobody", "romeo", "closed", "gone"])
def test_writer_refuses_first_send_when_peer_cannot_be_written_to(
    store: Store, romeo: Device, peer: str
) -> None:
    store.register("closed")
    store.do(SetUserState("closed", UserState.DISABLED))
    store.register("gone")
    store.do(SetUserState("gone", UserState.DELETED))
    assert store.refused(append(romeo, peer, 1)) is Refusal.NOT_FOUND
    assert store.reader.members(direct_id("romeo", peer)) == []


def test_writer_refuses_alike_when_conversation_is_absent_or_anothers(
    store: Store, romeo: Device, juliet: Device
) -> None:
    tybalt = store.register("tybalt")
    store.send(romeo, "juliet", 1)
    for cid in (CID, bytes(32)):
        for n in (1, 2):
            command = append(tybalt, "juliet", n, names_peer=False)
            command.cid = cid
            assert store.refused(command) is Refusal.NOT_FOUND


def test_writer_leaves_no_conversation_when_first_send_is_refused(
    store: Store, romeo: Device, juliet: Device
) -> None:
    command = append(romeo, "juliet", 1, header=DELETION, removes=1)
    assert store.refused(command) is Refusal.TARGET_INVALID
    assert store.reader.members(CID) == []
    assert store.reader.history(CID, romeo.user.id, after=0, max_entries=1, max_bytes=1) is None


def test_writer_refuses_send_when_device_was_revoked_or_account_disabled(
    store: Store, romeo: Device, juliet: Device
) -> None:
    store.do(RevokeDevice("romeo", 1))
    assert store.refused(append(romeo, "juliet", 1)) is Refusal.DEVICE_UNUSABLE
    store.do(SetUserState("juliet", UserState.DISABLED))
    assert store.refused(append(juliet, "romeo", 1)) is Refusal.DEVICE_UNUSABLE
    store.do(SetUserState("juliet", UserState.ACTIVE))
    assert store.send(juliet, "romeo", 1).seq == 1


def test_writer_refuses_send_after_peer_was_deleted_in_the_same_batch(
    store: Store, romeo: Device, juliet: Device
) -> None:
    store.send(romeo, "juliet", 1)
    results = store.batch(
        append(romeo, "juliet", 2),
        SetUserState("juliet", UserState.DELETED),
        append(romeo, "juliet", 3),
    )
    assert isinstance(results[0], Appended)
    assert results[2] == Refused(Refusal.NOT_FOUND)
    assert store.history(romeo, "juliet").head == 2


def test_writer_refuses_new_entries_and_takes_the_rest_while_disk_is_full(
    store: Store, romeo: Device, juliet: Device
) -> None:
    store.send(romeo, "juliet", 1)
    store.engine.writer.full = True
    assert store.refused(append(romeo, "juliet", 2)) is Refusal.DISK_FULL
    assert store.refused(append(romeo, "nobody", 1)) is Refusal.DISK_FULL
    assert len(store.ack(juliet, "romeo", 1).movements) == 1
    store.engine.writer.full = False
    assert store.send(romeo, "juliet", 2).seq == 2


def test_entry_times_never_fall_when_the_clock_does(
    store: Store, romeo: Device, juliet: Device
) -> None:
    first = store.send(romeo, "juliet", 1)
    store.clock.ms -= 60_000
    assert store.send(juliet, "romeo", 1).at_ms == first.at_ms
    store.reopen()
    page = store.reader.history(CID, romeo.user.id, after=0, max_entries=9, max_bytes=9_999)
    assert page is not None
    assert [entry.at_ms for entry in page.entries] == [START_MS, START_MS]


def test_writer_goes_on_where_it_was_when_reopened(
    store: Store, romeo: Device, juliet: Device
) -> None:
    store.talk(romeo, "juliet", 3)
    store.do(Acknowledge(juliet, ((CID, 2),)))
    before = store.history(romeo, "juliet")
    store.reopen()
    laptop = store.enrol("romeo")
    sent = store.send(laptop, "juliet", 1)
    after = store.history(laptop, "juliet")
    assert sent.seq == 4
    assert after.entries[:3] == before.entries
