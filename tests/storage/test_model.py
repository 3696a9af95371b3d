"""Random batches, some rolled back, some followed by a restart: memory, disk and model agree."""

import copy
from pathlib import Path
from typing import NamedTuple

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from protocol.derive import direct_id
from storage.commands import (
    Acknowledge,
    Appended,
    Command,
    Enrol,
    Enrolled,
    LoggedIn,
    Login,
    MarkRead,
    Moved,
    Refused,
    Result,
    RevokeDevice,
    SetUserState,
)
from storage.state import Device
from storage.types import UserState
from tests.storage.helpers import (
    DELETION,
    PLAIN,
    Store,
    append,
    enrolment,
    message_id,
    verifier,
)
from tests.storage.model import Model

NAMES = ["romeo", "juliet", "nurse"]
FIRST = [(name, 1) for name in NAMES]


class Op(NamedTuple):
    """One command, with numbers that fit any state."""

    kind: str
    who: int
    peer: int
    number: int
    flag: bool


class Batch(NamedTuple):
    """Commands, and what becomes of them."""

    ops: list[Op]
    fate: str
    full: bool
    clock_ms: int


KINDS = ["send"] * 12 + ["again", "again", "skip", "delete", "delete"] + ["ack"] * 6
KINDS += ["read"] * 4 + ["login", "enrol", "revoke", "state"]
ops = st.builds(
    Op,
    st.sampled_from(KINDS),
    st.integers(0, 11),
    st.integers(0, 11),
    st.integers(0, 40),
    st.booleans(),
)
batches = st.builds(
    Batch,
    st.lists(ops, min_size=4, max_size=16),
    st.sampled_from(["commit", "commit", "commit", "rollback", "rollback", "reopen"]),
    st.sampled_from([False] * 9 + [True]),
    st.sampled_from([0, 1, 1_000, -5_000]),
)


class Pair:
    """The store and its model, given the same commands."""

    def __init__(self, folder: Path) -> None:
        self.store = Store(folder)
        self.model = Model(self.store.clock.ms)
        self.devices: dict[tuple[str, int], Device] = {}
        self.texts = 0
        for name in NAMES:
            self.devices[name, 1] = self.store.register(name)
            self.model.enrol(name)

    def run(self, batch: Batch) -> None:
        """Apply the batch to both, compare the answers, and bring it to its end."""
        self.store.clock.ms += batch.clock_ms
        self.model.now_ms = self.store.clock.ms
        self.store.engine.writer.full = self.model.full = batch.full
        before = copy.deepcopy(self.model)
        # Every command is made from the model as the ones before it leave it.
        made = [self.command(op) for op in batch.ops]
        results = self.store.engine.writer.apply([command for command, _ in made])
        assert [plain(result) for result in results] == [expected for _, expected in made]
        if batch.fate == "rollback":
            self.store.engine.writer.rollback()
            self.model = before
            return
        self.store.engine.writer.commit()
        for result in results:
            if isinstance(result, Enrolled):
                self.devices[result.device.user.name, result.device.number] = result.device
        if batch.fate == "reopen":
            self.reopen()

    def reopen(self) -> None:
        """A restart: every device logs in again, those that may."""
        self.store.reopen()
        for key in list(self.devices):
            counter = self.model.devices[key].counter + 1
            result = self.store.do(Login(*key, counter))
            assert plain(result) == self.model.login(key, counter)
            if isinstance(result, LoggedIn):
                self.devices[key] = result.device
            else:
                del self.devices[key]

    def command(self, op: Op) -> tuple[Command, object]:
        """A command, and what the model answers to it."""
        model = self.model
        keys = sorted(self.devices) or FIRST
        key = keys[op.who % len(keys)]
        device, user = self.devices.get(key), key[0]
        # Mostly one of the others, sometimes oneself.
        others = [name for name in NAMES if name != user]
        peer = user if op.peer == 11 else others[op.peer % 2]
        cid = direct_id(user, peer)
        if op.kind == "login" or device is None:
            return Login(*key, op.number), model.login(key, op.number)
        if op.kind == "enrol":
            return Enrol(user, verifier("secret"), enrolment(), 99), model.enrol(user)
        if op.kind == "revoke" and op.number < 20:
            return RevokeDevice(*key), model.revoke(key)
        if op.kind == "state" and op.number < 20:
            state = UserState(op.number % 3 if op.number < 3 else (op.number // 2) % 2)
            return SetUserState(user, state), model.set_state(user, state)
        seq = max(0, model.head(user, peer) + 1 - op.number % 6)  # about the head, or above
        if op.kind == "ack":
            return Acknowledge(device, ((cid, seq),)), model.acknowledge(key, peer, seq)
        if op.kind == "read":
            expected = model.read(key, peer, seq, public=op.flag)
            return MarkRead(device, cid, seq, op.flag), expected
        last = model.last_n(key, peer)
        n = {"again": max(1, last - op.number), "skip": last + 2}.get(op.kind, last + 1)
        removes = max(1, seq) if op.kind == "delete" else 0
        header = DELETION if removes else PLAIN
        text = f"{user}/{n}" if op.flag or op.kind != "again" else "another"
        command = append(device, peer, n, text, header=header, removes=removes)
        command.message_id = message_id(f"{key}/{peer}/{text}")
        return command, model.send(key, peer, n, header, command.message_id, command.body, removes)

    def compare(self) -> None:
        """What readers see is what the model holds."""
        model, reader = self.model, self.store.reader
        assert {info.name: info.state for info in reader.users()} == model.states
        for name in NAMES:
            listed = reader.devices(name, revoked=True) or []
            assert {(name, d.number): d.revoked for d in listed} == {
                key: device.revoked for key, device in model.devices.items() if key[0] == name
            }
            user_ids = {info.id for info in listed}
            assert len(user_ids) == len(listed)
            for info in listed:
                self.compare_device(name, info.id, info.number)

    def compare_device(self, name: str, device_id: int, number: int) -> None:
        model = self.model
        user_id = NAMES.index(name) + 1
        page = self.store.reader.sync(user_id, device_id, 0, 0, most=9)
        heads = {h.cid: (h.head, h.chain, h.acked, h.read, h.last_n) for h in page.heads}
        marks = {(w.cid, w.user): (w.delivered, w.read) for w in page.watermarks}
        expected_heads, expected_marks = {}, {}
        for conversation in model.conversations.values():
            if name not in conversation.members:
                continue
            (peer,) = conversation.members - {name}
            log, key = conversation.log, (name, number)
            delivered, read = conversation.delivered.get(peer, 0), conversation.public.get(peer, 0)
            assert 0 <= read <= conversation.own.get(peer, 0) <= delivered <= len(log)
            expected_heads[conversation.cid] = (
                len(log),
                log[-1].chain,
                conversation.acked.get(key, 0),
                conversation.own.get(name, 0),
                model.last_n(key, peer),
            )
            expected_marks[conversation.cid, peer] = (delivered, read)
            history = self.store.reader.history(
                conversation.cid, user_id, after=0, max_entries=999, max_bytes=1 << 24
            )
            assert history is not None
            assert [
                (e.seq, e.user, e.device, e.n, e.at_ms, e.message_id, e.body, e.removed_by)
                for e in history.entries
            ] == [
                (i, e.user, e.number, e.n, e.at_ms, e.message_id, e.body, e.removed_by)
                for i, e in enumerate(log, 1)
            ]
            hashes = [e.body_hash for e in history.entries if e.body is None]
            assert hashes == [e.body_hash for e in log if e.body is None]
        assert heads == expected_heads
        assert marks == expected_marks


def plain(result: Result) -> object:
    """An answer in the model's words."""
    if isinstance(result, Refused):
        return result.reason
    if isinstance(result, Appended):
        return result.seq, result.at_ms, result.chain, result.repeated
    if isinstance(result, Moved):
        return [
            (
                move.member.name,
                move.low,
                move.high,
                move.read,
                frozenset(NAMES[user_id - 1] for user_id in move.senders),
            )
            for move in result.movements
        ]
    if isinstance(result, Enrolled):
        return result.device.user.name, result.device.number
    return None


@settings(
    max_examples=30,
    deadline=None,
    derandomize=True,  # the same examples every time
    database=None,
    print_blob=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
@given(st.lists(batches, min_size=3, max_size=12))
def test_store_and_model_agree_after_any_batches(
    tmp_path_factory: pytest.TempPathFactory, sequence: list[Batch]
) -> None:
    pair = Pair(tmp_path_factory.mktemp("model"))
    try:
        for batch in sequence:
            pair.run(batch)
            pair.compare()
        pair.reopen()
        pair.compare()
        assert pair.store.reader.check() == []
    finally:
        pair.store.close()
