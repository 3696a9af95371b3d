"""What stands inside an opaque message body: ``[1, kind, text]`` so far, one MessagePack array.

The version stands first, so that a later one (encryption wraps this whole array) can be told
apart. A body that this client does not understand is shown as such and never dropped.
"""

from dataclasses import dataclass
from typing import Final

import msgpack

from clients.sdk.errors import InvalidInput
from protocol import limits

VERSION: Final = 1
TEXT: Final = 0

MAX_TEXT_BYTES: Final = 60_000
"""UTF-8 bytes of one text: a body of ``limits.MAX_BODY_BYTES`` less room for encryption."""


@dataclass(frozen=True, slots=True)
class Body:
    """A decoded body. ``text`` is None when the version or the kind is not supported."""

    text: str | None


UNSUPPORTED: Final = Body(None)


def encode_text(text: str) -> bytes:
    """Return the body of a text message.

    Raises:
        InvalidInput: The text is empty, over ``MAX_TEXT_BYTES``, or not encodable as UTF-8.
    """
    try:
        size_bytes = len(text.encode())
    except UnicodeEncodeError as error:
        raise InvalidInput("the text holds a lone surrogate, which UTF-8 cannot carry") from error
    if not 0 < size_bytes <= MAX_TEXT_BYTES:
        raise InvalidInput(f"a text has 1 to {MAX_TEXT_BYTES} bytes; this one has {size_bytes}")
    packed: bytes = msgpack.packb([VERSION, TEXT, text])
    return packed


def decode_body(data: bytes) -> Body:
    """Read a body; whatever is not a text of version 1 comes back as ``UNSUPPORTED``."""
    try:
        # At most a text and small integers: nothing in it can make the decoder take more memory.
        values = msgpack.unpackb(
            data,
            use_list=False,
            strict_map_key=True,
            max_str_len=limits.MAX_BODY_BYTES,
            max_bin_len=limits.MAX_BODY_BYTES,
            max_array_len=16,
            max_map_len=0,
            max_ext_len=0,
        )
    except ValueError:  # msgpack's errors and UnicodeDecodeError are ValueErrors
        return UNSUPPORTED
    match values:
        case (1, 0, str(text), *_):
            return Body(text)
        case _:
            return UNSUPPORTED
