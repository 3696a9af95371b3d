"""What can go wrong on the wire: error codes as data, and the exceptions of this package.

    ProtocolError
    ├── RemoteProtocolError      the peer broke the protocol: send its code, then close
    │   ├── Malformed
    │   ├── FrameTooLarge
    │   ├── UnknownOp
    │   └── UnexpectedFrame
    └── LocalProtocolError       our caller broke it: a bug on this side

Codes are append-only; a number, once given, keeps its meaning for ever. The wire carries code,
a generic text and ``retryable``; details go to the log of the side that found the error.
"""

from dataclasses import dataclass
from enum import IntEnum, unique
from typing import ClassVar, Final


@unique
class ErrorCode(IntEnum):
    """Every error that a peer can be told. Append-only."""

    MALFORMED = 1
    FRAME_TOO_LARGE = 2
    UNKNOWN_OP = 3
    UNEXPECTED_FRAME = 4
    UNSUPPORTED_VERSION = 5
    DEADLINE_EXCEEDED = 6

    AUTHENTICATION_FAILED = 10
    CREDENTIAL_ROLLED_BACK = 11
    NAME_UNAVAILABLE = 12
    INVITE_INVALID = 13
    REGISTRATION_CLOSED = 14
    LOGIN_DELAYED = 15
    TOO_MANY_DEVICES = 16
    NAME_INVALID = 17
    SESSION_REPLACED = 18
    DEVICE_REVOKED = 19
    ACCOUNT_CLOSED = 20

    NOT_FOUND = 30
    OUT_OF_ORDER = 31
    DIVERGED = 32
    STALE_ROSTER = 33
    HEADER_INVALID = 34
    ASSET_UNKNOWN = 35
    NOT_ALLOWED = 36
    QUOTA_EXCEEDED = 37

    DISK_FULL = 50
    RATE_LIMITED = 51
    BUSY = 52
    DRAINING = 53
    INTERNAL = 54


@dataclass(frozen=True, slots=True)
class ErrorInfo:
    """The row of one code in the error table of ``docs/protocol.md``."""

    text: str
    """The generic text that the wire carries."""
    retryable: bool
    """True if the same request, unchanged, may succeed later."""
    fatal: bool
    """True if it always ends the connection. Before login, every error does."""
    when: str
    """For the documentation: what causes it and what to do."""


def _row(text: str, when: str, *, retryable: bool = False, fatal: bool = False) -> ErrorInfo:
    return ErrorInfo(text, retryable, fatal, when)


ERRORS: Final[dict[ErrorCode, ErrorInfo]] = {
    ErrorCode.MALFORMED: _row(
        "malformed frame",
        "A frame has no op, or a body is not exactly one MessagePack array of the declared fields "
        "within their bounds.",
        fatal=True,
    ),
    ErrorCode.FRAME_TOO_LARGE: _row(
        "frame too large",
        "A length prefix is over the bound of the state (told before the body is read), or more "
        "was sent behind a login than is held.",
        fatal=True,
    ),
    ErrorCode.UNKNOWN_OP: _row(
        "unknown op", "The op byte is not declared, or belongs to the other role.", fatal=True
    ),
    ErrorCode.UNEXPECTED_FRAME: _row(
        "unexpected frame", "The op is not legal in the state of the connection.", fatal=True
    ),
    ErrorCode.UNSUPPORTED_VERSION: _row(
        "unsupported protocol version",
        "HELLO names a version that the server does not speak. Update the older side.",
        fatal=True,
    ),
    ErrorCode.DEADLINE_EXCEEDED: _row(
        "deadline exceeded",
        "Login, a started frame or the keep-alive took longer than allowed. Connect anew.",
        retryable=True,
        fatal=True,
    ),
    ErrorCode.AUTHENTICATION_FAILED: _row(
        "authentication failed",
        "Wrong password, unknown user, unknown or revoked device, wrong signature or channel "
        "binding, closed account: one answer for all of them.",
    ),
    ErrorCode.CREDENTIAL_ROLLED_BACK: _row(
        "login counter went back",
        "The signature is right but its counter is not above the last one: this device was "
        "restored from a copy. Enrol as a new device; history stays.",
        fatal=True,
    ),
    ErrorCode.NAME_UNAVAILABLE: _row(
        "user name is taken", "Registration with a name that is, or ever was, in use.", fatal=True
    ),
    ErrorCode.INVITE_INVALID: _row(
        "invite is not valid",
        "The token is unknown, expired or used up. Ask for a new one.",
        fatal=True,
    ),
    ErrorCode.REGISTRATION_CLOSED: _row(
        "registration is closed", "The server takes no new accounts now.", fatal=True
    ),
    ErrorCode.LOGIN_DELAYED: _row(
        "too many failed logins",
        "This address or account must wait ``retry_after_ms`` before the next try.",
        retryable=True,
    ),
    ErrorCode.TOO_MANY_DEVICES: _row(
        "too many devices", "Revoke a device of this account first.", fatal=True
    ),
    ErrorCode.NAME_INVALID: _row(
        "name is not valid",
        "A user name is not a prepared PRECIS UsernameCaseMapped string, or a name is empty, too "
        "long or holds control characters.",
    ),
    ErrorCode.SESSION_REPLACED: _row(
        "replaced by a newer session",
        "The same device logged in on another connection; the newest one wins.",
        fatal=True,
    ),
    ErrorCode.DEVICE_REVOKED: _row(
        "device was revoked", "This device was removed from its account.", fatal=True
    ),
    ErrorCode.ACCOUNT_CLOSED: _row(
        "account is closed", "The account was disabled or deleted.", fatal=True
    ),
    ErrorCode.NOT_FOUND: _row(
        "not found",
        "The object does not exist or is none of yours: the answer is the same for both.",
    ),
    ErrorCode.OUT_OF_ORDER: _row(
        "n is out of order",
        "``n`` is over the last stored + 1: an earlier send was refused. Repeat that, then this.",
        retryable=True,
    ),
    ErrorCode.DIVERGED: _row(
        "n was used by another message",
        "``n`` is stored with another message id: two copies of one device are sending.",
    ),
    ErrorCode.STALE_ROSTER: _row(
        "roster version does not match", "Fetch the conversation's roster and compute it anew."
    ),
    ErrorCode.HEADER_INVALID: _row(
        "clear header is not valid",
        "The header does not decode, names an unsupported kind, or a target that is not there.",
    ),
    ErrorCode.ASSET_UNKNOWN: _row(
        "asset not found", "The header refers to an asset that the sender may not read."
    ),
    ErrorCode.NOT_ALLOWED: _row(
        "not allowed", "The role of this user does not permit it, or it is not its own entry."
    ),
    ErrorCode.QUOTA_EXCEEDED: _row(
        "quota exceeded", "A documented bound per account is reached; free something first."
    ),
    ErrorCode.DISK_FULL: _row(
        "server storage is full",
        "Nothing was stored. Reading and acknowledging still work; retry later.",
        retryable=True,
    ),
    ErrorCode.RATE_LIMITED: _row(
        "too many requests", "Retry after ``retry_after_ms``.", retryable=True
    ),
    ErrorCode.BUSY: _row("server is busy", "A bounded queue is full; retry later.", retryable=True),
    ErrorCode.DRAINING: _row(
        "server is going away",
        "The server stops; nothing was stored. Reconnect after ``retry_after_ms`` and retry.",
        retryable=True,
    ),
    ErrorCode.INTERNAL: _row(
        "internal error",
        "A fault of the server; the outcome is unknown. Retry the same bytes.",
        retryable=True,
    ),
}


class ProtocolError(Exception):
    """The chatd protocol was broken. Catch the two subclasses, not this."""


class LocalProtocolError(ProtocolError):
    """Our caller broke the protocol: a bug on this side. Nothing was sent."""


class RemoteProtocolError(ProtocolError):
    """The peer broke the protocol: send ``code``, then close."""

    code: ClassVar[ErrorCode]


class Malformed(RemoteProtocolError):
    """A body does not decode into the declared fields. Holds the field's name, never its value."""

    code = ErrorCode.MALFORMED

    def __init__(self, op: int, reason: str) -> None:
        super().__init__(op, reason)
        self.op, self.reason = op, reason

    def __str__(self) -> str:
        return f"malformed body of op {self.op:#04x}: {self.reason}"


class FrameTooLarge(RemoteProtocolError):
    """The peer announced a frame over the limit of its op in this state."""

    code = ErrorCode.FRAME_TOO_LARGE

    def __init__(self, size_bytes: int, limit_bytes: int) -> None:
        super().__init__(size_bytes, limit_bytes)
        self.size_bytes, self.limit_bytes = size_bytes, limit_bytes

    def __str__(self) -> str:
        return f"frame of {self.size_bytes} bytes exceeds the limit of {self.limit_bytes}"


class UnknownOp(RemoteProtocolError):
    """The op byte is not declared for the peer's role."""

    code = ErrorCode.UNKNOWN_OP

    def __init__(self, op: int) -> None:
        super().__init__(op)
        self.op = op

    def __str__(self) -> str:
        return f"op {self.op:#04x} is not declared for this direction"


class UnexpectedFrame(RemoteProtocolError):
    """The op is declared, but not legal in this state."""

    code = ErrorCode.UNEXPECTED_FRAME

    def __init__(self, op: int, state: str) -> None:
        super().__init__(op, state)
        self.op, self.state = op, state

    def __str__(self) -> str:
        return f"op {self.op:#04x} is not legal in state {self.state}"
