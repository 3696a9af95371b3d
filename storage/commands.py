"""What the writer can be asked to do, and what it answers. Plain data.

A command is decided in the order of its batch, on state that the writer owns, and answered after
the commit: with its result, or with :class:`Refused`. A refusal never affects another command.
"""

from dataclasses import dataclass
from enum import IntEnum, unique

from storage.state import Conversation, Device, Member
from storage.types import UserState, Verifier


@unique
class Refusal(IntEnum):
    """Why a command was not carried out."""

    NOT_FOUND = 0
    OUT_OF_ORDER = 1
    DIVERGED = 2
    STALE_ROSTER = 3
    TARGET_INVALID = 4
    NOT_ALLOWED = 5
    DISK_FULL = 6
    NAME_UNAVAILABLE = 7
    INVITE_INVALID = 8
    CREDENTIAL_ROLLED_BACK = 9
    TOO_MANY_DEVICES = 10
    QUOTA_EXCEEDED = 11
    DEVICE_UNUSABLE = 12
    """Revoked, or its account disabled or deleted."""
    REGISTRATION_CLOSED = 13


@dataclass(slots=True)
class Refused:
    """The command changed nothing."""

    reason: Refusal


@dataclass(slots=True)
class Append:
    """Store one entry. Answer: :class:`Appended`."""

    device: Device
    cid: bytes
    n: int
    message_id: bytes
    header: bytes
    body: bytes
    peer: str | None
    """Names the other member if the direct conversation does not exist yet. The caller has
    checked that ``cid`` is the id of these two."""
    removes: int = 0
    """Seq of the entry whose body this one removes; 0 for none."""


@dataclass(slots=True)
class Appended:
    """The entry is on disk."""

    conversation: Conversation
    seq: int
    at_ms: int
    chain: bytes
    repeated: bool
    """True if it had been stored before: nothing is new to anybody."""


@dataclass(slots=True)
class Acknowledge:
    """Move a device's cursors forward. Answer: :class:`Moved`."""

    device: Device
    acks: tuple[tuple[bytes, int], ...]
    """Conversation id and seq. Unknown conversations and seqs over the head are left out."""


@dataclass(slots=True)
class MarkRead:
    """Move a user's read watermark forward. Answer: :class:`Moved`."""

    device: Device
    cid: bytes
    seq: int
    public: bool


@dataclass(slots=True)
class Movement:
    """One member's watermark moved: what senders above ``low`` and up to ``high`` now know."""

    conversation: Conversation
    member: Member
    low: int
    high: int
    read: bool
    """True if the read watermark moved, False if the delivered one."""
    senders: tuple[int, ...]
    """User ids of who sent an entry that the watermark newly passed, the member excepted."""


@dataclass(slots=True)
class Moved:
    """The watermarks that moved; empty if all of it was known."""

    movements: list[Movement]


@dataclass(slots=True)
class Enrolment:
    """What a device brings when it is added to an account."""

    name: str
    login_key: bytes
    signing_key: bytes


@dataclass(slots=True)
class Register:
    """Make an account, or with a reset token give it a new password, and enrol a device.

    Answer: :class:`Enrolled`.
    """

    user: str
    display_name: str
    token_hash: bytes | None
    open: bool
    """True if no token is needed."""
    verifier: Verifier
    enrolment: Enrolment
    max_devices: int
    max_users: int


@dataclass(slots=True)
class Enrol:
    """Add a device to an account whose password was proven. Answer: :class:`Enrolled`."""

    user: str
    verifier: Verifier
    """The one that was proven: refused if it was replaced meanwhile."""
    enrolment: Enrolment
    max_devices: int


@dataclass(slots=True)
class Enrolled:
    """The device exists."""

    device: Device


@dataclass(slots=True)
class Login:
    """Accept a login counter whose signature was verified. Answer: :class:`LoggedIn`."""

    user: str
    number: int
    counter: int


@dataclass(slots=True)
class LoggedIn:
    """The counter is on disk."""

    device: Device


@dataclass(slots=True)
class Touch:
    """Remember when a device was last seen. Answer: :class:`Done`."""

    device: Device


@dataclass(slots=True)
class Done:
    """Nothing more to say."""


@dataclass(slots=True)
class RenameDevice:
    """Answer: :class:`Done`."""

    user: str
    number: int
    name: str


@dataclass(slots=True)
class RevokeDevice:
    """Answer: :class:`Revoked`."""

    user: str
    number: int


@dataclass(slots=True)
class Revoked:
    """These devices may no longer act: cut them off."""

    device_ids: list[int]


@dataclass(slots=True)
class ReplaceVerifier:
    """Change a password. Answer: :class:`Done`."""

    user: str
    old: Verifier
    new: Verifier


@dataclass(slots=True)
class SetDisplayName:
    """Answer: :class:`Done`."""

    user: str
    display_name: str


@dataclass(slots=True)
class SetUserState:
    """Disable, enable or delete an account. Answer: :class:`Revoked` (its devices)."""

    user: str
    state: UserState


@dataclass(slots=True)
class CreateToken:
    """Make an invite, or a reset token for ``user``. Answer: :class:`Done`."""

    token_hash: bytes
    user: str | None
    """Who invites (None: the admin), or whose password is to be set anew."""
    reset: bool
    uses: int
    expires_ms: int | None
    max_open: int
    """How many open invites ``user`` may have, this one included."""


Command = (
    Append
    | Acknowledge
    | MarkRead
    | Register
    | Enrol
    | Login
    | Touch
    | RenameDevice
    | RevokeDevice
    | ReplaceVerifier
    | SetDisplayName
    | SetUserState
    | CreateToken
)
Result = Appended | Moved | Enrolled | LoggedIn | Done | Revoked | Refused
