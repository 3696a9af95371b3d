"""The clear header of a message: all that the server needs to know of it.

It travels and is stored as the exact bytes that the sender made (the entry chain covers them), and
is repeated inside the encrypted body, where clients compare it. Everything in it is metadata that
the server sees.
"""

from enum import IntEnum, unique
from typing import Annotated, Final

from protocol import limits
from protocol.codec import pack, strict_unpacker
from protocol.declare import layout_of, struct
from protocol.fields import Bin, FieldError, ListOf, OptionalU53, Text, UInt


class HeaderError(ValueError):
    """The bytes are not a clear header. Says which field, never its value."""


@unique
class Kind(IntEnum):
    """What an entry is, as far as the server cares. Append-only."""

    MESSAGE = 0
    DELETION = 1
    """Removes the body of ``target``, which the same user sent; leaves a tombstone."""


@unique
class Notify(IntEnum):
    """Who is to be notified of a message."""

    ALL = 0
    NONE = 1
    LISTED = 2


@struct
class ClearHeader:
    """The header's fields; those at their defaults may be left out from the end."""

    kind: Annotated[int, UInt(0, 255)] = Kind.MESSAGE  # 0: message, 1: deletion
    target: Annotated[int, UInt()] = 0  # seq that a deletion is about; 0: none
    assets: Annotated[
        tuple[bytes, ...],
        ListOf(Bin(limits.ASSET_ID_BYTES, limits.ASSET_ID_BYTES), limits.MAX_HEADER_ASSETS),
    ] = ()  # reserved for files
    expires_ms: OptionalU53 = None  # reserved for disappearing messages
    roster: Annotated[bytes, Bin(0, limits.HASH_BYTES)] = b""  # roster version; empty: unencrypted
    notify: Annotated[int, UInt(0, 2)] = Notify.ALL  # 0: all, 1: none, 2: notify_users
    notify_users: Annotated[
        tuple[str, ...],
        ListOf(Text(1, limits.MAX_USER_BYTES), limits.MAX_HEADER_USERS),
    ] = ()


_LAYOUT: Final = layout_of(ClearHeader)
_unpack: Final = strict_unpacker(_LAYOUT.longest_list(), limits.HASH_BYTES)
_DEFAULTS: Final = _LAYOUT.write(ClearHeader())

PLAIN: Final = b"\x90"
"""The header of an ordinary message: every field at its default."""


def encode_header(header: ClearHeader) -> bytes:
    """Return the shortest bytes of a header: trailing defaults are left out.

    Raises:
        HeaderError: A field is out of its bounds.
    """
    try:
        values = _LAYOUT.write(header)
    except FieldError as error:
        raise HeaderError(str(error)) from None
    length = len(values)
    while length and values[length - 1] == _DEFAULTS[length - 1]:
        length -= 1
    return pack(values[:length])


def decode_header(data: bytes) -> ClearHeader:
    """Read a header strictly.

    Raises:
        HeaderError: The bytes are not exactly one array of the declared fields.
    """
    try:
        return _LAYOUT.read(_unpack(data))
    except FieldError as error:
        raise HeaderError(str(error)) from None
    except ValueError as error:
        raise HeaderError(f"not one strict array ({type(error).__name__})") from None
