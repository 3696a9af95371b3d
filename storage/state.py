"""The state that the writer owns in memory: users, devices, conversations as they are decided on.

Every object mirrors rows; the writer changes both in one batch, and throws the objects away when
a batch is rolled back. Users and devices live as long as somebody (a session, a batch) holds
them; conversations in a bounded cache. Nobody else changes them; the daemon may read them between
two batches.
"""

from collections import deque
from dataclasses import dataclass, field

from storage.types import ConversationKind, UserState


@dataclass(slots=True, weakref_slot=True, eq=False)
class User:
    """An account."""

    id: int
    name: str
    state: UserState


@dataclass(slots=True, weakref_slot=True, eq=False)
class Device:
    """A device: what a session acts as."""

    id: int
    user: User
    number: int
    counter: int
    revoked: bool

    @property
    def usable(self) -> bool:
        """Whether the device may still act."""
        return not self.revoked and self.user.state is UserState.ACTIVE


@dataclass(slots=True, eq=False)
class Member:
    """A member's watermarks: ``0 <= read <= delivered <= head``."""

    user_id: int
    name: str
    delivered: int = 0
    read_own: int = 0
    read_public: int = 0


@dataclass(slots=True, eq=False)
class Cursor:
    """A device's place in a conversation, as reader (acked) and as sender (last_n, last_seq)."""

    acked: int = 0
    last_n: int = 0
    last_seq: int = 0


@dataclass(slots=True, eq=False)
class Conversation:
    """One log and who takes part in it."""

    id: int
    cid: bytes
    kind: ConversationKind
    first_seq: int
    head: int
    chain: bytes
    at_ms: int
    members: dict[int, Member]
    """Present members by user id."""
    recent: deque[tuple[int, int]]
    """(seq, user id) of the newest entries, as far as they were stored since this was loaded."""
    cursors: dict[int, Cursor] = field(default_factory=dict)
    """By device id; a device without one has seen nothing and sent nothing."""
    open: bool = True
    """False once the other side of a direct conversation was deleted."""
