"""What storage does, said again as plainly as possible: lists, no files, no caches.

The property test compares the two after every batch.
"""

from dataclasses import dataclass, field
from hashlib import sha256

from protocol.derive import chain_next, direct_id
from storage.commands import Refusal
from storage.types import UserState


@dataclass
class ModelDevice:
    """A device."""

    user: str
    number: int
    counter: int = 0
    revoked: bool = False

    @property
    def key(self) -> tuple[str, int]:
        return self.user, self.number


@dataclass
class ModelEntry:
    """An entry."""

    user: str
    number: int
    n: int
    at_ms: int
    message_id: bytes
    body: bytes | None
    body_hash: bytes
    chain: bytes
    removed_by: int | None = None


@dataclass
class ModelConversation:
    """A direct conversation."""

    members: frozenset[str]
    cid: bytes
    log: list[ModelEntry] = field(default_factory=list)
    acked: dict[tuple[str, int], int] = field(default_factory=dict)
    delivered: dict[str, int] = field(default_factory=dict)
    own: dict[str, int] = field(default_factory=dict)
    public: dict[str, int] = field(default_factory=dict)

    def sent_by(self, device: ModelDevice) -> list[int]:
        """The seqs of a device's entries, in order of n."""
        return [i for i, e in enumerate(self.log, 1) if (e.user, e.number) == device.key]

    def senders(self, low: int, high: int, but: str) -> frozenset[str]:
        return frozenset(e.user for e in self.log[low:high]) - {but}


Sent = tuple[int, int, bytes, bool]
"""(seq, time, chain, repeated)"""
Move = tuple[str, int, int, bool, frozenset[str]]
"""(whose, low, high, read, who learns of it)"""


class Model:
    """The whole state."""

    def __init__(self, now_ms: int) -> None:
        self.now_ms = now_ms
        self.full = False
        self.states: dict[str, UserState] = {}
        self.devices: dict[tuple[str, int], ModelDevice] = {}
        self.conversations: dict[frozenset[str], ModelConversation] = {}

    def enrol(self, user: str) -> Refusal | tuple[str, int]:
        state = self.states.get(user)
        if state is not None and state is not UserState.ACTIVE:
            return Refusal.DEVICE_UNUSABLE
        self.states[user] = UserState.ACTIVE
        number = 1 + sum(device.user == user for device in self.devices.values())
        device = self.devices[user, number] = ModelDevice(user, number)
        for conversation in self.conversations.values():
            if user in conversation.members:
                conversation.acked[device.key] = len(conversation.log)
        return device.key

    def usable(self, key: tuple[str, int]) -> bool:
        return not self.devices[key].revoked and self.states[key[0]] is UserState.ACTIVE

    def login(self, key: tuple[str, int], counter: int) -> Refusal | None:
        device = self.devices[key]
        if not self.usable(key):
            return Refusal.DEVICE_UNUSABLE
        if counter <= device.counter:
            return Refusal.CREDENTIAL_ROLLED_BACK
        device.counter = counter
        return None

    def revoke(self, key: tuple[str, int]) -> Refusal | None:
        if self.devices[key].revoked:
            return Refusal.NOT_FOUND
        self.devices[key].revoked = True
        return None

    def set_state(self, user: str, state: UserState) -> Refusal | None:
        if self.states[user] is UserState.DELETED:
            return Refusal.NOT_FOUND
        self.states[user] = state
        for device in self.devices.values():
            if device.user == user and state is UserState.DELETED:
                device.revoked = True
        return None

    def head(self, user: str, peer: str) -> int:
        conversation = self.conversations.get(frozenset((user, peer)))
        return len(conversation.log) if conversation else 0

    def last_n(self, key: tuple[str, int], peer: str) -> int:
        conversation = self.conversations.get(frozenset((key[0], peer)))
        return len(conversation.sent_by(self.devices[key])) if conversation else 0

    def send(
        self,
        key: tuple[str, int],
        peer: str,
        n: int,
        header: bytes,
        message_id: bytes,
        body: bytes,
        removes: int,
    ) -> Refusal | Sent:
        if not self.usable(key):
            return Refusal.DEVICE_UNUSABLE
        device, members = self.devices[key], frozenset((key[0], peer))
        conversation = self.conversations.get(members)
        if conversation is None:
            if self.full:
                return Refusal.DISK_FULL
            if n != 1:
                return Refusal.OUT_OF_ORDER
            if removes:
                return Refusal.TARGET_INVALID
            if peer == device.user or self.states[peer] is not UserState.ACTIVE:
                return Refusal.NOT_FOUND
            conversation = ModelConversation(members, direct_id(device.user, peer))
            self.conversations[members] = conversation
        seqs, log = conversation.sent_by(device), conversation.log
        if n <= len(seqs):
            seq = seqs[n - 1]
            entry = log[seq - 1]
            if len(seqs) - n >= 32 or entry.message_id != message_id:
                return Refusal.DIVERGED
            return seq, entry.at_ms, entry.chain, True
        if n > len(seqs) + 1:
            return Refusal.OUT_OF_ORDER
        if self.full:
            return Refusal.DISK_FULL
        if self.states[peer] is UserState.DELETED:
            return Refusal.NOT_FOUND
        seq = len(log) + 1
        if removes:
            if removes >= seq:
                return Refusal.TARGET_INVALID
            target = log[removes - 1]
            if target.user != device.user:
                return Refusal.NOT_ALLOWED
            if target.body is not None:
                target.body, target.removed_by = None, seq
        previous = log[-1].chain if log else conversation.cid
        digest = sha256(body).digest()
        chain = chain_next(previous, seq, device.user, device.number, n, header, message_id, digest)
        at_ms = max(self.now_ms, log[-1].at_ms if log else 0)
        log.append(ModelEntry(*key, n, at_ms, message_id, body, digest, chain))
        return seq, at_ms, chain, False

    def acknowledge(self, key: tuple[str, int], peer: str, seq: int) -> list[Move]:
        conversation = self.conversations.get(frozenset((key[0], peer)))
        if not self.usable(key) or conversation is None or seq > len(conversation.log):
            return []
        user = key[0]
        conversation.acked[key] = max(conversation.acked.get(key, 0), seq)
        return self._move(conversation, conversation.delivered, user, seq, read=False)

    def read(
        self, key: tuple[str, int], peer: str, seq: int, *, public: bool
    ) -> Refusal | list[Move]:
        if not self.usable(key):
            return Refusal.DEVICE_UNUSABLE
        conversation = self.conversations.get(frozenset((key[0], peer)))
        if conversation is None or seq > len(conversation.log):
            return Refusal.NOT_FOUND
        user = key[0]
        moves = self.acknowledge(key, peer, seq)
        if public:
            moves += self._move(conversation, conversation.public, user, seq, read=True)
            conversation.own[user] = max(conversation.own.get(user, 0), seq)
            return moves
        hidden = self._move(conversation, conversation.own, user, seq, read=True)
        return moves + [(*move[:4], frozenset()) for move in hidden]

    def _move(
        self,
        conversation: ModelConversation,
        marks: dict[str, int],
        user: str,
        seq: int,
        *,
        read: bool,
    ) -> list[Move]:
        low = marks.get(user, 0)
        if seq <= low:
            return []
        marks[user] = seq
        return [(user, low, seq, read, conversation.senders(low, seq, user))]
