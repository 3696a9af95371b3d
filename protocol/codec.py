"""One MessagePack array per frame, decoded strictly and encoded in one way.

Decoding raises only :class:`protocol.errors.RemoteProtocolError`; encoding a message that does not
fit its declaration raises :class:`protocol.errors.LocalProtocolError`. Maps, extension types,
trailing bytes and arrays longer than the op declares are refused wherever they stand.

A body can make the decoder take at most 64 times its size, and besides, for a moment, as many
unfinished arrays as MessagePack may nest (1,024) of the op's longest list: 0.6 MiB in a server.

Source: docs/protocol.md, "Bodies".
"""

from collections.abc import Callable
from functools import partial
from struct import Struct
from typing import Final, NoReturn

import msgpack

import protocol.messages  # noqa: F401  importing the messages declares them
from protocol import limits
from protocol.declare import LAYOUTS, MESSAGES, Message, layout_of
from protocol.errors import LocalProtocolError, Malformed
from protocol.fields import FieldError
from protocol.ops import Op

HEADER: Final = Struct(">IB")
"""Length of all that follows it, then the op."""
LENGTH: Final = Struct(">I")

_LONGEST_TEXT: Final = 512
"""No declared text is longer than 256 bytes; a newer peer's unknown fields may be."""


def _refuse_extension(code: int, data: bytes) -> NoReturn:
    # An empty extension passes max_ext_len=0.
    raise ValueError("extension types are not used")


def _refuse_map(value: object) -> NoReturn:
    # An empty map passes max_map_len=0.
    raise ValueError("maps are not used")


def strict_unpacker(longest_list: int, longest_bin: int) -> Callable[[bytes | memoryview], object]:
    """Return a decoder of exactly one value that refuses everything the protocol does not use.

    The result raises ``ValueError`` (of which msgpack's and the codec errors are subclasses) on
    any bad input.
    """
    return partial(
        msgpack.unpackb,
        use_list=False,
        raw=False,
        strict_map_key=True,
        ext_hook=_refuse_extension,
        object_hook=_refuse_map,
        max_str_len=_LONGEST_TEXT,
        max_bin_len=longest_bin,
        max_array_len=longest_list,
        max_map_len=0,
        max_ext_len=0,
    )


_packer: Final = msgpack.Packer(use_bin_type=True, autoreset=True)
pack: Final[Callable[[object], bytes]] = _packer.pack


def _decoder(cls: type[Message]) -> Callable[[bytes | memoryview], Message]:
    layout = layout_of(cls)
    unpack = strict_unpacker(layout.longest_list(), limits.MAX_BODY_BYTES)
    read, op = layout.read, cls.OP

    def decode(body: bytes | memoryview) -> Message:
        try:
            return read(unpack(body))
        except FieldError as error:
            raise Malformed(op, str(error)) from None
        except ValueError as error:
            # Library texts may quote the input: keep the kind, drop the words and the chain.
            raise Malformed(
                op, f"not one strict MessagePack value ({type(error).__name__})"
            ) from None

    return decode


DECODERS: Final[dict[int, Callable[[bytes | memoryview], Message]]] = {
    op: _decoder(cls) for op, cls in MESSAGES.items()
}
"""By op: the function from a frame's body to its message; raises Malformed."""

_WRITERS: Final = {cls: LAYOUTS[cls].write for cls in MESSAGES.values()}


def encode(message: Message) -> bytes:
    """Return the whole frame of a message, header included.

    Raises:
        LocalProtocolError: A field is out of its bounds, or the frame would exceed
            ``limits.MAX_FRAME_BYTES``.
    """
    cls = type(message)
    try:
        body = pack(_WRITERS[cls](message))
    except FieldError as error:
        raise LocalProtocolError(f"{cls.__name__}.{error}") from None
    return frame(cls.OP, body)


def frame(op: Op, body: bytes) -> bytes:
    """Put the header before a packed body.

    Raises:
        LocalProtocolError: The frame would exceed ``limits.MAX_FRAME_BYTES``.
    """
    size_bytes = len(body) + 1
    if size_bytes > limits.MAX_FRAME_BYTES:
        raise LocalProtocolError(f"frame of {size_bytes} bytes is over the limit")
    return HEADER.pack(size_bytes, op) + body
