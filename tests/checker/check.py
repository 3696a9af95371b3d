"""The rules of a conversation's list: one pass over the records, then one over the lists.

1. ``seq`` is unique and dense from 1; every reader holds a contiguous run of one and the same list.
2. A send that was acknowledged before another one started has the lower ``seq``.
3. The entries of one device stand in the order of its ``n``, without a hole.
4. Acknowledged sends are there exactly once, refused ones are not, unknown ones at most once, and
   nothing is there that nobody sent.
5. Within one session a place is pushed at most once, and in ascending order.
6. Cursors, watermarks and heads never go back, across sessions and crashes; a receipt never
   speaks of what its user has not acknowledged.
7. The chain value of every SENT is that of the list.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from protocol.derive import chain_next
from tests.checker.history import (
    Acked,
    Acknowledged,
    Device,
    Entry,
    Head,
    Pushed,
    Record,
    Refused,
    Session,
    Started,
    Taken,
    Watermark,
)

MAX_EVIDENCE = 40
"""Lines kept: the first ones tell what went wrong, the rest would only be more of it."""


@dataclass(slots=True)
class Verdict:
    """How often each promise was kept or broken."""

    acknowledged: int = 0
    """Sends that the server acknowledged."""
    unknown: int = 0
    """Sends whose outcome their client never learnt."""
    lost: int = 0
    """Acknowledged, and not in the list; or a head or last ``n`` fell behind what had been told."""
    duplicated: int = 0
    """One message at two places, or one place pushed twice within a session."""
    reordered: int = 0
    """Places that contradict what was known when they were given."""
    gaps: int = 0
    """Places left out: in the list, in a reader's copy, or in a device's ``n``."""
    regressions: int = 0
    """Cursors, watermarks or heads that went back, and receipts for what was not acknowledged."""
    conflicts: int = 0
    """Two contents for one place, entries nobody sent, refused ones stored, wrong chain values."""
    evidence: list[str] = field(default_factory=list)
    """The first findings, readable."""

    @property
    def clean(self) -> bool:
        """Whether every promise was kept."""
        return not (
            self.lost
            or self.duplicated
            or self.reordered
            or self.gaps
            or self.regressions
            or self.conflicts
        )


@dataclass(slots=True)
class _Send:
    device: Device
    n: int
    message_id: bytes
    header: bytes
    body_hash: bytes
    floor: int  # highest seq acknowledged, to anyone, before this send started
    seq: int | None = None
    chain: bytes | None = None
    refused: bool = False


@dataclass(slots=True)
class _Conversation:
    places: dict[int, Entry] = field(default_factory=dict)
    sends: dict[tuple[Device, bytes], _Send] = field(default_factory=dict)
    highest_acked: int = 0
    # By reader.
    position: dict[Device, int] = field(default_factory=dict)
    pushed: dict[Device, int] = field(default_factory=dict)
    stored_n: dict[Device, int] = field(default_factory=dict)
    told: dict[Device, tuple[int, int, int]] = field(default_factory=dict)
    floor: dict[Device, tuple[int, int, int]] = field(default_factory=dict)
    # By user, and by (observer, user): what must not be fallen below.
    acknowledged: dict[str, int] = field(default_factory=dict)
    live_mark: dict[tuple[Device, str], tuple[int, int]] = field(default_factory=dict)
    known_mark: dict[tuple[Device, str], tuple[int, int]] = field(default_factory=dict)
    floor_mark: dict[tuple[Device, str], tuple[int, int]] = field(default_factory=dict)
    early: list[tuple[Device, str, int]] = field(default_factory=list)


class _Checker:
    def __init__(self) -> None:
        self.verdict = Verdict()
        self.conversations: dict[bytes, _Conversation] = {}
        # Any: each handler takes its own record class, and is looked up by it.
        self._handlers: dict[type, Callable[[Any], None]] = {
            Session: self._on_session,
            Started: self._on_started,
            Acked: self._on_acked,
            Refused: self._on_refused,
            Pushed: self._on_pushed,
            Taken: self._on_taken,
            Acknowledged: self._on_acknowledged,
            Watermark: self._on_watermark,
            Head: self._on_head,
        }

    def run(self, records: list[Record]) -> Verdict:
        for record in records:
            self._handlers[type(record)](record)
        for name, conversation in self.conversations.items():
            self._judge_list(name, conversation)
            self._judge_sends(name, conversation)
        return self.verdict

    def _of(self, name: bytes) -> _Conversation:
        found = self.conversations.get(name)
        if found is None:
            found = self.conversations[name] = _Conversation()
        return found

    def _find(self, kind: str, name: bytes, text: str) -> None:
        setattr(self.verdict, kind, getattr(self.verdict, kind) + 1)
        if len(self.verdict.evidence) < MAX_EVIDENCE:
            self.verdict.evidence.append(f"{kind}: conversation {name.hex()[:8]}: {text}")

    # The pass over the records.

    def _on_session(self, record: Session) -> None:
        for conversation in self.conversations.values():
            conversation.pushed.pop(record.device, None)
            for key in [k for k in conversation.live_mark if k[0] == record.device]:
                del conversation.live_mark[key]
            for key, mark in conversation.known_mark.items():
                if key[0] == record.device:
                    conversation.floor_mark[key] = mark
            # A page of SYNC may be older than what was pushed meanwhile, but not than the session.
            head, acked, last_n = conversation.told.get(record.device, (0, 0, 0))
            conversation.floor[record.device] = (
                max(head, conversation.position.get(record.device, 0)),
                acked,
                max(last_n, conversation.stored_n.get(record.device, 0)),
            )

    def _on_started(self, record: Started) -> None:
        conversation = self._of(record.conversation)
        conversation.sends[record.device, record.message_id] = _Send(
            record.device,
            record.n,
            record.message_id,
            record.header,
            record.body_hash,
            conversation.highest_acked,
        )

    def _on_acked(self, record: Acked) -> None:
        conversation = self._of(record.conversation)
        send = conversation.sends.get((record.device, record.message_id))
        if send is None or send.n != record.n:
            self._find("conflicts", record.conversation, f"{record} answers no send")
            return
        if send.seq is None:
            self.verdict.acknowledged += 1
            send.seq, send.chain = record.seq, record.chain
            if record.seq <= send.floor:
                self._find(
                    "reordered",
                    record.conversation,
                    f"{_name(send)} got seq {record.seq}, but seq {send.floor} was acknowledged "
                    "before it started",
                )
        elif send.seq != record.seq:
            self._find(
                "duplicated",
                record.conversation,
                f"{_name(send)} was acknowledged at seq {send.seq} and at {record.seq}",
            )
        conversation.highest_acked = max(conversation.highest_acked, record.seq)
        stored = conversation.stored_n
        stored[record.device] = max(stored.get(record.device, 0), record.n)

    def _on_refused(self, record: Refused) -> None:
        send = self._of(record.conversation).sends.get((record.device, record.message_id))
        if send is None:
            self._find("conflicts", record.conversation, f"{record} answers no send")
        else:
            send.refused = True

    def _on_pushed(self, record: Pushed) -> None:
        pushed = self._of(record.conversation).pushed
        last = pushed.get(record.device, 0)
        if record.seq == last:
            self._find(
                "duplicated",
                record.conversation,
                f"{_who(record.device)} was pushed seq {last} twice in one session",
            )
        elif record.seq < last:
            self._find(
                "reordered",
                record.conversation,
                f"{_who(record.device)} was pushed seq {record.seq} behind {last}",
            )
        pushed[record.device] = max(last, record.seq)

    def _on_taken(self, record: Taken) -> None:
        conversation, entry = self._of(record.conversation), record.entry
        last = conversation.position.get(record.device)
        if last is not None and entry.seq != last + 1:
            kind = "gaps" if entry.seq > last else "duplicated"
            self._find(
                kind,
                record.conversation,
                f"{_who(record.device)} took seq {entry.seq} behind {last}",
            )
        conversation.position[record.device] = max(last or 0, entry.seq)
        known = conversation.places.setdefault(entry.seq, entry)
        if known != entry:
            self._find(
                "conflicts",
                record.conversation,
                f"seq {entry.seq} is {_place(known)} to one reader and {_place(entry)} to "
                f"{_who(record.device)}",
            )

    def _on_acknowledged(self, record: Acknowledged) -> None:
        acknowledged, user = self._of(record.conversation).acknowledged, record.device.user
        acknowledged[user] = max(acknowledged.get(user, 0), record.seq)

    def _on_watermark(self, record: Watermark) -> None:
        conversation = self._of(record.conversation)
        key, mark = (record.device, record.user), (record.delivered, record.read)
        floors = [conversation.floor_mark.get(key, (0, 0))]
        if record.live:
            floors.append(conversation.live_mark.get(key, (0, 0)))
            conversation.live_mark[key] = mark
        if any(mark[0] < floor[0] or mark[1] < floor[1] for floor in floors):
            self._find("regressions", record.conversation, f"{record} after {max(floors)}")
        if not 0 <= record.read <= record.delivered:
            self._find("regressions", record.conversation, f"{record}: read above delivered")
        known = conversation.known_mark.get(key, (0, 0))
        conversation.known_mark[key] = (max(known[0], mark[0]), max(known[1], mark[1]))
        if record.delivered > conversation.acknowledged.get(record.user, 0):
            conversation.early.append((record.device, record.user, record.delivered))

    def _on_head(self, record: Head) -> None:
        conversation, device = self._of(record.conversation), record.device
        floor = conversation.floor.get(device, (0, 0, 0))
        told = (record.head, record.acked, record.last_n)
        for kind, name, before, now in zip(
            ("lost", "regressions", "lost"),
            ("the head", "the cursor", "the last n"),
            floor,
            told,
            strict=True,
        ):
            if now < before:
                text = f"{name} told to {_who(device)} fell from {before} to {now}"
                self._find(kind, record.conversation, text)
        known = conversation.told.get(device, (0, 0, 0))
        head, acked, last_n = (max(pair) for pair in zip(known, told, strict=True))
        conversation.told[device] = (head, acked, last_n)

    # The pass over the finished lists.

    def _judge_list(self, name: bytes, conversation: _Conversation) -> None:
        places = conversation.places
        head = max(places, default=0)
        for seq in range(1, head + 1):
            if seq not in places:
                self._find("gaps", name, f"seq {seq} of {head} was read by nobody")
        at: dict[tuple[Device, bytes], int] = {}
        last_n: dict[Device, int] = {}
        chain: bytes | None = name
        for seq in sorted(places):
            entry = places[seq]
            key = (entry.sender, entry.message_id)
            if key in at:
                self._find("duplicated", name, f"{_place(entry)} is at seq {at[key]} and {seq}")
                chain = self._judge_chain(name, chain, entry, None)
                continue
            at[key] = seq
            before = last_n.get(entry.sender, 0)
            if entry.n != before + 1:
                kind = "gaps" if entry.n > before else "reordered"
                self._find(kind, name, f"{_place(entry)} at seq {seq} follows n {before}")
            last_n[entry.sender] = max(before, entry.n)
            send = conversation.sends.get(key)
            if send is None or (send.n, send.header, send.body_hash) != (
                entry.n,
                entry.header,
                entry.body_hash,
            ):
                self._find("conflicts", name, f"seq {seq} is {_place(entry)}, which nobody sent")
            elif send.refused:
                self._find("conflicts", name, f"{_name(send)} was refused, but is at seq {seq}")
            elif send.seq is not None and send.seq != seq:
                self._find(
                    "reordered", name, f"{_name(send)} acknowledged at {send.seq}, is at {seq}"
                )
            chain = self._judge_chain(name, chain, entry, send)
        for observer, user, delivered in conversation.early:
            reached = places.get(delivered)
            # A sender's own entry needs no acknowledgement of its own.
            if reached is None or reached.sender.user != user:
                self._find(
                    "regressions",
                    name,
                    f"{_who(observer)} was told that {user} has seq {delivered} before {user} "
                    "acknowledged it",
                )

    def _judge_chain(
        self, name: bytes, chain: bytes | None, entry: Entry, send: _Send | None
    ) -> bytes | None:
        # Over a gap, which is a finding of its own, the chain cannot be followed any further.
        places = self.conversations[name].places
        if chain is None or (entry.seq > 1 and entry.seq - 1 not in places):
            return None
        chain = chain_next(
            chain,
            entry.seq,
            entry.sender.user,
            entry.sender.number,
            entry.n,
            entry.header,
            entry.message_id,
            entry.body_hash,
        )
        if send is not None and send.chain is not None and send.chain != chain:
            self._find("conflicts", name, f"chain value of SENT for seq {entry.seq} is wrong")
        return chain

    def _judge_sends(self, name: bytes, conversation: _Conversation) -> None:
        places = conversation.places
        stored = {(entry.sender, entry.message_id) for entry in places.values()}
        for key, send in conversation.sends.items():
            if send.seq is None:
                self.verdict.unknown += not send.refused
            elif key not in stored:
                self._find("lost", name, f"{_name(send)}, acknowledged at seq {send.seq}")


def _who(device: Device) -> str:
    return f"{device.user}/{device.number}"


def _name(send: _Send) -> str:
    return f"message {send.n} of {_who(send.device)}"


def _place(entry: Entry) -> str:
    return f"message {entry.n} of {_who(entry.sender)} ({entry.message_id.hex()[:8]})"


def check(records: list[Record]) -> Verdict:
    """Judge a whole history: the records of all clients, in the order in which they happened.

    The lists are judged as finished: every device should have read to the head before.
    """
    return _Checker().run(records)
