"""Acknowledgements and reads: watermarks, and who learns of them."""

import pytest

from protocol.derive import direct_id
from storage.commands import Acknowledge, MarkRead, Moved, Refusal, RevokeDevice
from storage.state import Device
from tests.storage.helpers import Store, append, heads_of

CID = direct_id("juliet", "romeo")


@pytest.fixture
def romeo(store: Store) -> Device:
    return store.register("romeo")


@pytest.fixture
def juliet(store: Store, romeo: Device) -> Device:
    juliet = store.register("juliet")
    store.talk(romeo, "juliet", 3)
    store.talk(juliet, "romeo", 2)
    return juliet


def moves(moved: Moved) -> list[tuple[str, int, int, bool, tuple[int, ...]]]:
    return [(m.member.name, m.low, m.high, m.read, m.senders) for m in moved.movements]


def test_sender_learns_of_each_watermark_that_passes_its_entries(
    store: Store, romeo: Device, juliet: Device
) -> None:
    assert moves(store.ack(juliet, "romeo", 2)) == [("juliet", 0, 2, False, (romeo.user.id,))]
    assert moves(store.ack(juliet, "romeo", 5)) == [("juliet", 2, 5, False, (romeo.user.id,))]
    assert moves(store.ack(romeo, "juliet", 3)) == [("romeo", 0, 3, False, ())]
    assert moves(store.ack(romeo, "juliet", 5)) == [("romeo", 3, 5, False, (juliet.user.id,))]


def test_senders_are_exact_when_conversation_was_read_from_disk(
    store: Store, romeo: Device, juliet: Device
) -> None:
    store.reopen()
    phone = store.enrol("juliet")
    assert moves(store.ack(phone, "romeo", 2)) == [("juliet", 0, 2, False, (romeo.user.id,))]
    # Own entries alone were passed: nobody else is told.
    store.ack(phone, "romeo", 3)
    assert moves(store.ack(phone, "romeo", 5)) == [("juliet", 3, 5, False, ())]
    # One below and one above what is in memory since.
    store.send(phone, "romeo", 1)
    romeos = store.enrol("romeo")
    assert moves(store.ack(romeos, "juliet", 6)) == [("romeo", 0, 6, False, (juliet.user.id,))]


def test_senders_are_exact_when_entries_and_acknowledgement_share_a_batch(
    store: Store, romeo: Device, juliet: Device
) -> None:
    store.ack(juliet, "romeo", 5)
    *_, moved = store.batch(
        append(romeo, "juliet", 4),
        append(romeo, "juliet", 5),
        Acknowledge(juliet, ((CID, 7),)),
    )
    assert isinstance(moved, Moved)
    assert moves(moved) == [("juliet", 5, 7, False, (romeo.user.id,))]


@pytest.mark.parametrize(("between", "told"), [(1_999, True), (2_000, False)])
def test_senders_are_sought_2000_entries_back(store: Store, between: int, told: bool) -> None:
    romeo, juliet = store.register("romeo"), store.register("juliet")
    store.send(romeo, "juliet", 1)
    store.talk(juliet, "romeo", between)
    store.reopen()
    phone = store.enrol("juliet")
    (movement,) = store.ack(phone, "romeo", between + 1).movements
    assert movement.senders == ((romeo.user.id,) if told else ())


def test_acknowledgements_never_fall_nor_exceed_head(
    store: Store, romeo: Device, juliet: Device
) -> None:
    store.ack(juliet, "romeo", 4)
    for seq in (4, 3, 0, 6, 2**53 - 1):
        assert moves(store.ack(juliet, "romeo", seq)) == []
    assert heads_of(store.reader, juliet)[CID] == (5, 4, 0)
    store.reopen()
    assert heads_of(store.reader, juliet)[CID] == (5, 4, 0)


def test_delivered_is_the_highest_of_the_devices_when_each_acknowledges(
    store: Store, romeo: Device, juliet: Device
) -> None:
    laptop = store.enrol("juliet")  # enrolled after everything was sent: nothing waits for it
    store.talk(romeo, "juliet", 2, first=4)
    assert moves(store.ack(juliet, "romeo", 6)) == [("juliet", 0, 6, False, (romeo.user.id,))]
    assert moves(store.ack(laptop, "romeo", 6)) == []
    assert moves(store.ack(laptop, "romeo", 7)) == [("juliet", 6, 7, False, (romeo.user.id,))]
    assert heads_of(store.reader, juliet)[CID] == (7, 6, 0)
    assert heads_of(store.reader, laptop)[CID] == (7, 7, 0)


def test_acknowledgement_moves_known_conversations_when_others_are_unknown(
    store: Store, romeo: Device, juliet: Device
) -> None:
    tybalt = store.register("tybalt")
    store.send(tybalt, "romeo", 1)
    foreign = direct_id("romeo", "tybalt")
    moved = store.do(Acknowledge(juliet, ((bytes(32), 1), (foreign, 1), (CID, 1), (CID, 99))))
    assert isinstance(moved, Moved)
    assert moves(moved) == [("juliet", 0, 1, False, (romeo.user.id,))]


def test_acknowledgement_does_nothing_when_device_was_revoked(
    store: Store, romeo: Device, juliet: Device
) -> None:
    store.do(RevokeDevice("juliet", 1))
    assert moves(store.ack(juliet, "romeo", 5)) == []
    assert store.refused(MarkRead(juliet, CID, 5, True)) is Refusal.DEVICE_UNUSABLE
    assert heads_of(store.reader, juliet)[CID] == (5, 0, 0)


def test_public_read_counts_as_delivered_and_tells_the_sender(
    store: Store, romeo: Device, juliet: Device
) -> None:
    assert moves(store.read(juliet, "romeo", 2)) == [
        ("juliet", 0, 2, False, (romeo.user.id,)),
        ("juliet", 0, 2, True, (romeo.user.id,)),
    ]
    assert heads_of(store.reader, juliet)[CID] == (5, 2, 2)
    (watermark,) = store.reader.sync(romeo.user.id, romeo.id, 0, 0, most=9).watermarks
    assert (watermark.user, watermark.delivered, watermark.read) == ("juliet", 2, 2)


def test_hidden_read_tells_own_devices_only(store: Store, romeo: Device, juliet: Device) -> None:
    store.ack(juliet, "romeo", 5)
    assert moves(store.read(juliet, "romeo", 3, public=False)) == [("juliet", 0, 3, True, ())]
    (watermark,) = store.reader.sync(romeo.user.id, romeo.id, 0, 0, most=9).watermarks
    assert (watermark.delivered, watermark.read) == (5, 0)
    assert heads_of(store.reader, juliet)[CID] == (5, 5, 3)
    # Shown again: the senders of all that was hidden learn of it now.
    assert moves(store.read(juliet, "romeo", 3)) == [("juliet", 0, 3, True, (romeo.user.id,))]


def test_read_never_falls_and_is_silent_when_known(
    store: Store, romeo: Device, juliet: Device
) -> None:
    store.read(juliet, "romeo", 3)
    for seq in (3, 1, 2, 0):
        assert moves(store.read(juliet, "romeo", seq)) == []
        assert moves(store.read(juliet, "romeo", seq, public=False)) == []
    store.reopen()
    assert heads_of(store.reader, juliet)[CID] == (5, 3, 3)


def test_writer_refuses_read_when_seq_is_over_head_or_conversation_anothers(
    store: Store, romeo: Device, juliet: Device
) -> None:
    tybalt = store.register("tybalt")
    assert store.refused(MarkRead(juliet, CID, 6, True)) is Refusal.NOT_FOUND
    assert store.refused(MarkRead(tybalt, CID, 1, True)) is Refusal.NOT_FOUND
    assert store.refused(MarkRead(juliet, bytes(32), 0, True)) is Refusal.NOT_FOUND
    assert heads_of(store.reader, juliet)[CID] == (5, 0, 0)


def test_new_device_starts_at_the_heads_of_its_registration(
    store: Store, romeo: Device, juliet: Device
) -> None:
    store.batch(append(romeo, "juliet", 4))
    laptop = store.enrol("juliet")
    store.send(romeo, "juliet", 5)
    assert heads_of(store.reader, laptop)[CID] == (7, 6, 0)
    benvolio = store.register("benvolio")
    store.send(benvolio, "juliet", 1)
    assert heads_of(store.reader, laptop)[direct_id("benvolio", "juliet")] == (1, 0, 0)
    assert len(store.history(laptop, "romeo").entries) == 7
