"""Which error on the wire a refusal of the storage becomes."""

from typing import Final

from protocol.errors import ErrorCode
from storage.commands import Refusal

_CODES: Final[dict[Refusal, ErrorCode]] = {
    Refusal.NOT_FOUND: ErrorCode.NOT_FOUND,
    Refusal.OUT_OF_ORDER: ErrorCode.OUT_OF_ORDER,
    Refusal.DIVERGED: ErrorCode.DIVERGED,
    Refusal.STALE_ROSTER: ErrorCode.STALE_ROSTER,
    Refusal.TARGET_INVALID: ErrorCode.HEADER_INVALID,
    Refusal.NOT_ALLOWED: ErrorCode.NOT_ALLOWED,
    Refusal.DISK_FULL: ErrorCode.DISK_FULL,
    Refusal.NAME_UNAVAILABLE: ErrorCode.NAME_UNAVAILABLE,
    Refusal.INVITE_INVALID: ErrorCode.INVITE_INVALID,
    Refusal.CREDENTIAL_ROLLED_BACK: ErrorCode.CREDENTIAL_ROLLED_BACK,
    Refusal.TOO_MANY_DEVICES: ErrorCode.TOO_MANY_DEVICES,
    Refusal.QUOTA_EXCEEDED: ErrorCode.QUOTA_EXCEEDED,
    Refusal.DEVICE_UNUSABLE: ErrorCode.AUTHENTICATION_FAILED,
    Refusal.REGISTRATION_CLOSED: ErrorCode.REGISTRATION_CLOSED,
}


def error_code(refusal: Refusal) -> ErrorCode:
    """Return the error code of a refusal."""
    return _CODES[refusal]
