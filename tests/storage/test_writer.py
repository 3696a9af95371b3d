"""Batches: whole or not at all, in memory as on disk."""

import gc

import pytest

import storage.writer
from protocol.derive import direct_id
from storage.commands import (
    Acknowledge,
    Appended,
    CreateToken,
    Enrolled,
    LoggedIn,
    Login,
    Moved,
    Refusal,
    Refused,
    RevokeDevice,
    SetUserState,
)
from storage.errors import StorageFailed
from storage.types import UserState
from tests.storage.helpers import Store, append, can_act, heads_of, new_token, registration

CID = direct_id("juliet", "romeo")


def test_batch_leaves_nothing_when_it_is_rolled_back(store: Store) -> None:
    romeo, juliet = store.register("romeo"), store.register("juliet")
    sent = store.send(romeo, "juliet", 1)
    writer = store.engine.writer
    writer.apply(
        [
            append(romeo, "juliet", 2),
            Acknowledge(juliet, ((CID, 2),)),
            Login("romeo", 1, 9),
            RevokeDevice("juliet", 1),
            SetUserState("juliet", UserState.DISABLED),
        ]
    )
    assert not can_act(juliet)
    writer.rollback()
    assert can_act(juliet)
    assert romeo.counter == 0
    assert store.history(romeo, "juliet").head == 1
    assert heads_of(store.reader, juliet)[CID] == (1, 0, 0)
    again = store.send(romeo, "juliet", 2)
    assert again.seq == 2
    assert sent.chain != again.chain
    assert isinstance(store.do(Login("romeo", 1, 1)), LoggedIn)


def test_conversation_is_made_again_when_its_batch_was_rolled_back(store: Store) -> None:
    romeo, juliet = store.register("romeo"), store.register("juliet")
    writer = store.engine.writer
    (lost,) = writer.apply([append(romeo, "juliet", 1)])
    writer.rollback()
    assert writer.peek(CID) is None
    assert isinstance(lost, Appended)
    sent = store.send(juliet, "romeo", 1)
    assert sent.seq == 1
    assert sent.conversation is not lost.conversation


def test_account_is_new_when_one_with_its_id_was_rolled_back(store: Store) -> None:
    # The lost one's id is given again, while its objects may still be held.
    writer = store.engine.writer
    (lost,) = writer.apply([registration("romeo")])
    writer.rollback()
    assert isinstance(lost, Enrolled)
    assert not can_act(lost.device)
    juliet = store.register("juliet")
    assert juliet.user.id == lost.device.user.id
    assert (juliet.user.name, juliet.usable) == ("juliet", True)
    assert store.do(Login("juliet", 1, 1)) == LoggedIn(juliet)
    nurse = store.register("nurse")
    assert store.send(juliet, "nurse", 1).seq == 1
    assert store.history(nurse, "juliet").entries[0].user == "juliet"


def test_device_is_found_anew_when_nobody_held_it(store: Store) -> None:
    store.register("romeo")
    gc.collect()
    result = store.do(Login("romeo", 1, 3))
    assert isinstance(result, LoggedIn)
    assert (result.device.user.name, result.device.counter) == ("romeo", 3)


def test_writer_forgets_oldest_conversations_over_the_bound_only_between_batches(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Forgotten in mid-batch, a conversation came back without the batch's own entries.
    monkeypatch.setattr(storage.writer, "_MOST_CONVERSATIONS", 3)
    writer = store.engine.writer
    romeo = store.register("romeo")
    names = [f"user{i}" for i in range(5)]
    others = [store.register(name) for name in names]
    store.batch(*[append(romeo, name, 1) for name in names[:3]])
    cids = [direct_id("romeo", name) for name in names]
    assert all(writer.peek(cid) for cid in cids[:3])
    store.send(romeo, names[3], 1)
    assert [writer.peek(cid) is not None for cid in cids] == [False, True, True, True, False]
    results = store.batch(
        append(romeo, names[0], 2),
        Acknowledge(others[0], ((cids[0], 2),)),
        *[append(romeo, name, 2) for name in names[1:4]],
        append(romeo, names[4], 1),
        append(romeo, names[0], 3),
        Acknowledge(others[0], ((cids[0], 3),)),
    )
    sends = [r.seq for r in results if isinstance(r, Appended)]
    moved = [(m.low, m.high) for r in results if isinstance(r, Moved) for m in r.movements]
    assert sends == [2, 2, 2, 2, 1, 3]
    assert moved == [(0, 2), (2, 3)]
    assert [writer.peek(cid) is not None for cid in cids] == [True, False, False, True, True]
    assert heads_of(store.reader, others[0])[cids[0]] == (3, 3, 0)


def test_refusals_harm_no_batch_mates(store: Store) -> None:
    romeo, juliet = store.register("romeo"), store.register("juliet")
    results = store.batch(
        append(romeo, "juliet", 1),
        registration("juliet"),
        append(romeo, "juliet", 7),
        Login("nobody", 1, 1),
        append(juliet, "romeo", 1),
        new_token("t", "nobody"),
        Acknowledge(juliet, ((CID, 2),)),
    )
    reasons = [r.reason for r in results if isinstance(r, Refused)]
    assert reasons == [
        Refusal.NAME_UNAVAILABLE,
        Refusal.OUT_OF_ORDER,
        Refusal.DEVICE_UNUSABLE,
        Refusal.NOT_FOUND,
    ]
    assert store.history(romeo, "juliet").head == 2
    assert heads_of(store.reader, juliet)[CID] == (2, 2, 0)


def test_readers_see_a_batch_whole_once_it_is_committed(store: Store) -> None:
    romeo, juliet = store.register("romeo"), store.register("juliet")
    writer = store.engine.writer
    writer.apply([append(romeo, "juliet", 1), append(juliet, "romeo", 1)])
    assert store.reader.members(CID) == []
    writer.commit()
    assert store.history(romeo, "juliet").head == 2


def test_open_batch_is_undone_when_the_writer_closes(store: Store) -> None:
    romeo = store.register("romeo")
    store.register("juliet")
    store.engine.writer.apply([append(romeo, "juliet", 1)])
    store.reopen()
    assert store.reader.members(CID) == []


def test_batch_fails_whole_when_the_database_refuses_a_row(store: Store) -> None:
    token = new_token("same")
    store.do(token)
    with pytest.raises(StorageFailed, match="CONSTRAINT") as caught:
        store.engine.writer.apply([registration("romeo"), token])
    assert isinstance(token, CreateToken)
    assert token.token_hash.hex() not in str(caught.value)
    store.engine.writer.rollback()
    assert store.reader.users() == []


def test_nothing_of_a_batch_that_failed_half_way_is_written_by_the_next(store: Store) -> None:
    romeo, juliet = store.register("romeo"), store.register("juliet")
    store.send(romeo, "juliet", 1)
    store.do(new_token("same"))
    with pytest.raises(StorageFailed):
        store.engine.writer.apply(
            [
                append(romeo, "juliet", 2),
                Acknowledge(juliet, ((CID, 2),)),
                new_token("same"),
            ]
        )
    store.engine.writer.rollback()
    store.batch()
    store.reopen()
    assert store.history(romeo, "juliet").head == 1
    (head,) = store.reader.sync(romeo.user.id, romeo.id, 0, 0, most=9).heads
    assert (head.head, head.last_n) == (1, 1)
    assert heads_of(store.reader, juliet)[CID] == (1, 0, 0)


def test_large_batches_are_written_whole(store: Store) -> None:
    romeo = store.register("romeo")
    store.register("juliet")
    for count in (63, 64, 65, 130):
        store.talk(romeo, "juliet", count, first=store_head(store) + 1)
    entries = store.history(romeo, "juliet").entries
    assert [entry.seq for entry in entries] == list(range(1, 323))
    assert [entry.n for entry in entries] == list(range(1, 323))


def store_head(store: Store) -> int:
    conversation = store.engine.writer.peek(CID)
    return conversation.head if conversation else 0
