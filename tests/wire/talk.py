"""One device's side of one conversation: its copy of the list, and what it has yet to send.

This is what a client keeps on disk; here it is kept in memory and survives the connection. A send
whose outcome is unknown is repeated with identical bytes until it is answered.
"""

from collections import deque
from dataclasses import dataclass, field
from hashlib import sha256

from protocol.codec import encode
from protocol.header import PLAIN
from protocol.messages.messaging import Entry as WireEntry
from protocol.messages.messaging import Send
from tests.checker import Acked, Device, Entry, Record, Started, Taken

MAX_WAITING = 4_096
"""Entries held ahead of the copy until the gap before them is filled by HISTORY."""


def entry_of(wire: WireEntry) -> Entry:
    """Return a reader's entry as the checker takes it."""
    body_hash = sha256(wire.body).digest() if wire.body is not None else wire.body_hash
    assert body_hash is not None
    return Entry(
        wire.seq, Device(wire.user, wire.device), wire.n, wire.message_id, wire.header, body_hash
    )


@dataclass(slots=True)
class Pending:
    """A message in the outbox; ``n`` is its request id, too, within its conversation."""

    n: int
    message_id: bytes
    body_hash: bytes
    frame: bytes


@dataclass(slots=True)
class Talk:
    """The state of one device in one conversation."""

    number: int  # which of the device's conversations; part of the request ids
    conversation: bytes
    peer: str
    position: int = 0  # the copy is complete up to here
    head: int = 0  # highest seq heard of; kept, because SYNC tells of a head only once
    acknowledged: int = 0  # on this connection
    last_n: int = 0
    outbox: deque[Pending] = field(default_factory=deque)
    unanswered: int = 0  # on this connection
    refused: bool = False  # a send was, for now: all are repeated when the rest is answered
    fetching: bool = False
    waiting: dict[int, Entry] = field(default_factory=dict)

    def compose(
        self, device: Device, records: list[Record], message_id: bytes, body: bytes
    ) -> Pending:
        """Put a new message into the outbox."""
        self.last_n += 1
        n, body_hash = self.last_n, sha256(body).digest()
        frame = encode(
            Send(self.request_id(n), self.conversation, n, message_id, PLAIN, body, self.peer)
        )
        pending = Pending(n, message_id, body_hash, frame)
        self.outbox.append(pending)
        records.append(Started(device, self.conversation, n, message_id, PLAIN, body_hash))
        return pending

    def request_id(self, n: int) -> int:
        """Return the request id of send ``n``: the same on every connection."""
        return (self.number << 24) | n

    def settle(self, device: Device, records: list[Record], n: int, seq: int, chain: bytes) -> bool:
        """SENT arrived: out of the outbox, into the copy; returns as :meth:`take` does."""
        pending = next(one for one in self.outbox if one.n == n)
        self.outbox.remove(pending)
        records.append(Acked(device, self.conversation, n, pending.message_id, seq, chain))
        own = Entry(seq, device, n, pending.message_id, PLAIN, pending.body_hash)
        return self.take(device, records, own)

    def take(self, device: Device, records: list[Record], entry: Entry) -> bool:
        """Append an entry to the copy, or hold it; returns whether there is a gap before it."""
        if entry.seq <= self.position:
            return False
        self.head = max(self.head, entry.seq)
        if entry.seq > self.position + 1:
            if len(self.waiting) < MAX_WAITING:
                self.waiting[entry.seq] = entry
            return True
        while True:
            records.append(Taken(device, self.conversation, entry))
            self.position = entry.seq
            following = self.waiting.pop(entry.seq + 1, None)
            if following is None:
                break
            entry = following
        if self.waiting:
            self.waiting = {s: e for s, e in self.waiting.items() if s > self.position}
        return bool(self.waiting)

    def disconnect(self) -> None:
        """Forget what belonged to the connection."""
        self.acknowledged = self.unanswered = 0
        self.refused = self.fetching = False
        self.waiting.clear()
