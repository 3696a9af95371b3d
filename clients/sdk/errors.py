"""Everything that can go wrong for a user of the SDK, as one tree.

    ChatError
    ├── InvalidInput             a name, text, link or argument that cannot be sent
    ├── NotFound                 no such user, device or conversation
    ├── Refused                  the server refused one request; says why
    ├── NotDelivered             one message was refused; it stays in the history, marked
    ├── QuotaReached             a bound of the local store: the outbox is full
    ├── AuthenticationFailed     wrong password, or the server does not know this device
    ├── ServerNotTrusted         the server is not the one that the link names
    ├── Temporary                may work later, unchanged
    │   └── Unreachable          no connection
    ├── Stopped                  this device cannot go on
    │   ├── SessionReplaced
    │   ├── DeviceRevoked
    │   ├── AccountClosed
    │   └── DeviceRestored
    ├── NoAccount                nothing to log in with
    ├── AccountExists            the home holds that account already
    ├── ServerBroke              the server broke the protocol
    ├── ClientClosed             the client was closed while this was under way
    └── StoreError
        ├── StoreLocked
        ├── StoreDamaged
        ├── StoreNewer
        ├── WrongKey
        └── NoKey

Each class has a ``code``, unique and stable, for programs; the text is for people and says what to
do. No text holds a body, a key or a token.
"""

from typing import ClassVar

from protocol.errors import ErrorCode


class ChatError(Exception):
    """Base of all errors of the SDK."""

    code: ClassVar[str] = "error"
    _codes: ClassVar[dict[str, type["ChatError"]]] = {}

    def __init_subclass__(cls) -> None:
        if cls.code in ChatError._codes:
            raise TypeError(f"code {cls.code!r} is used twice")
        ChatError._codes[cls.code] = cls


class InvalidInput(ChatError):
    """A name, text, link or argument that cannot be used; says which bound it breaks."""

    code = "invalid_input"


class NotFound(ChatError):
    """The user, device or conversation does not exist, or is none of yours."""

    code = "not_found"


class Refused(ChatError):
    """The server refused a request."""

    code = "refused"

    def __init__(self, reason: str, text: str) -> None:
        super().__init__(reason, text)
        self.reason, self.text = reason, text

    def __str__(self) -> str:
        return f"the server refused: {self.text} ({self.reason})"


class NotDelivered(ChatError):
    """The server refused this message; it will not be sent. It stays in the history, marked."""

    code = "not_delivered"

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason

    def __str__(self) -> str:
        return f"the message was refused: {self.reason}"


class QuotaReached(ChatError):
    """The outbox is full: wait until the server can be reached again."""

    code = "quota_reached"


class AuthenticationFailed(ChatError):
    """The password is wrong, or the server does not know this user or device."""

    code = "authentication_failed"


class ServerNotTrusted(ChatError):
    """What answered is not the server that the link names. Nothing secret was sent to it."""

    code = "server_not_trusted"


class Temporary(ChatError):
    """The same may work later; ``retry_after_ms`` is the server's advice, 0 for none."""

    code = "temporary"

    def __init__(self, text: str, retry_after_ms: int = 0) -> None:
        super().__init__(text)
        self.retry_after_ms = retry_after_ms


class Unreachable(Temporary):
    """There is no connection to the server."""

    code = "unreachable"


class Stopped(ChatError):
    """This device cannot go on by itself."""

    code = "stopped"


class SessionReplaced(Stopped):
    """Another process connected as this very device."""

    code = "session_replaced"


class DeviceRevoked(Stopped):
    """This device was removed from its account."""

    code = "device_revoked"


class AccountClosed(Stopped):
    """The account was disabled or deleted."""

    code = "account_closed"


class DeviceRestored(Stopped):
    """This store is a copy of an older state of the device: sending from it could fork the log."""

    code = "device_restored"


class NoAccount(ChatError):
    """There is no account in this home, or not this one."""

    code = "no_account"


class AccountExists(ChatError):
    """This home holds that account already."""

    code = "account_exists"


class ServerBroke(ChatError):
    """The server sent what the protocol does not allow."""

    code = "server_broke_protocol"


class ClientClosed(ChatError):
    """The client was closed while this was under way. Queued messages stay queued."""

    code = "client_closed"


class StoreError(ChatError):
    """The local store cannot be used."""

    code = "store"


class StoreLocked(StoreError):
    """Another process holds this account's store."""

    code = "store_locked"


class StoreDamaged(StoreError):
    """The store's file cannot be read or written."""

    code = "store_damaged"


class StoreNewer(StoreError):
    """The store was written by a newer version."""

    code = "store_newer"


class WrongKey(StoreError):
    """The passphrase or key does not open the store."""

    code = "wrong_key"


class NoKey(StoreError):
    """There is neither a passphrase nor a keyring that keeps secrets secret."""

    code = "no_key"


RESTORED = (
    "this store was restored from a copy, or another copy of it has been sending; enrol it as a "
    "new device (its history stays): chat join LINK --existing"
)
REVOKED = (
    "the server does not accept this device: it was revoked, or the account is disabled or "
    "deleted; a revoked device is enrolled anew (its history stays): chat join LINK --existing"
)
CLOSED = "the account was disabled or deleted"
REPLACED = "another process connected as this device: a copy of this home is running; stop one"

_STOPS: dict[int, tuple[type[Stopped], str]] = {
    ErrorCode.SESSION_REPLACED: (SessionReplaced, REPLACED),
    ErrorCode.DEVICE_REVOKED: (DeviceRevoked, REVOKED),
    ErrorCode.ACCOUNT_CLOSED: (AccountClosed, CLOSED),
    ErrorCode.CREDENTIAL_ROLLED_BACK: (DeviceRestored, RESTORED),
    ErrorCode.DIVERGED: (DeviceRestored, RESTORED),
}

STOP_CODES = frozenset(_STOPS)
"""Wire codes after which this device must not go on by itself."""


def code_name(code: int) -> str:
    """Return the stable lower-case name of a wire error code; of an unknown one, its number."""
    try:
        return ErrorCode(code).name.lower()
    except ValueError:
        return f"error_{code}"


def from_wire(code: int, text: str, retryable: bool, retry_after_ms: int) -> ChatError:
    """Return the exception for an ERROR or GOAWAY of the server.

    Args:
        code: The wire's error code; an unknown one is treated by its ``retryable`` flag.
        text: The generic text of the wire.
        retryable: Whether the same may succeed later.
        retry_after_ms: The server's advice, 0 for none.
    """
    if code in _STOPS:
        kind, advice = _STOPS[code]
        return kind(advice)
    if code == ErrorCode.AUTHENTICATION_FAILED:
        return AuthenticationFailed("the server did not accept the password or this device")
    if code == ErrorCode.NOT_FOUND:
        return NotFound("the server knows no such user, device or conversation")
    if retryable:
        return Temporary(f"{text} ({code_name(code)})", retry_after_ms)
    return Refused(code_name(code), text)
