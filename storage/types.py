"""The values that storage hands out. All immutable; times are Unix milliseconds."""

from dataclasses import dataclass
from enum import IntEnum, unique


@unique
class UserState(IntEnum):
    """Whether an account can be used."""

    ACTIVE = 0
    DISABLED = 1
    DELETED = 2


@unique
class ConversationKind(IntEnum):
    """How membership of a conversation comes about."""

    DIRECT = 0


@unique
class InviteKind(IntEnum):
    """What a token is good for."""

    ACCOUNT = 0
    RESET = 1


@dataclass(frozen=True, slots=True)
class Verifier:
    """A SCRAM verifier (RFC 5802): it proves a password and does not contain it."""

    salt: bytes
    stored_key: bytes
    server_key: bytes


@dataclass(frozen=True, slots=True)
class UserInfo:
    """An account, for the admin and for profiles."""

    name: str
    display_name: str
    state: UserState
    invited_by: str | None
    created_ms: int
    devices: int
    last_seen_ms: int | None


@dataclass(frozen=True, slots=True)
class DeviceInfo:
    """A device of an account."""

    id: int
    number: int
    name: str
    created_ms: int
    last_seen_ms: int | None
    revoked: bool


@dataclass(frozen=True, slots=True)
class LogEntry:
    """One entry as stored. ``body`` is None in a tombstone, which then has the other two."""

    seq: int
    user: str
    device: int
    n: int
    at_ms: int
    header: bytes
    message_id: bytes
    body: bytes | None
    body_hash: bytes | None
    removed_by: int | None


@dataclass(frozen=True, slots=True)
class HistoryPage:
    """A contiguous run of a conversation's log, ascending."""

    first_seq: int
    head: int
    anchor: bytes
    """L of the entry before the first one returned."""
    entries: tuple[LogEntry, ...]
    more: bool


@dataclass(frozen=True, slots=True)
class HeadInfo:
    """Where a conversation stands for one user and device."""

    conv_id: int
    cid: bytes
    kind: ConversationKind
    peer: str | None
    first_seq: int
    head: int
    chain: bytes
    acked: int
    read: int
    last_n: int


@dataclass(frozen=True, slots=True)
class WatermarkInfo:
    """How far a member has got."""

    cid: bytes
    user: str
    delivered: int
    read: int


@dataclass(frozen=True, slots=True)
class SyncPage:
    """What moved for a user after a commit."""

    commit_no: int
    heads: tuple[HeadInfo, ...]
    watermarks: tuple[WatermarkInfo, ...]
    next_page: int
    """0 when this was the last page."""
