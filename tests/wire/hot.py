"""The frames of the hot path, cut and made by hand: a load client has no time for a codec.

Everything constant of a message is packed once; what changes is three integers. The integers are
always written in four bytes, which is legal MessagePack if not the shortest.
"""

from functools import partial
from struct import Struct
from typing import Final

from protocol.codec import HEADER
from protocol.header import PLAIN
from protocol.ops import Op

_U16: Final = Struct(">H")
_U32: Final = Struct(">I")
_U64: Final = Struct(">Q")
_CONVERSATION_BYTES: Final = 34  # the bin head of two bytes, then the id
EVENT_SEQ_OFFSET: Final = HEADER.size + 1 + _CONVERSATION_BYTES + 1
"""Where EVENT's entry begins with its seq: behind two array heads and the conversation."""
SENT_REQUEST_OFFSET: Final = HEADER.size + 1
RECEIPT_USER_OFFSET: Final = HEADER.size + 1 + _CONVERSATION_BYTES


def read_int(data: bytes, at: int) -> tuple[int, int]:
    """Return the unsigned integer that begins at ``at``, and where it ends.

    Raises:
        ValueError: There is no unsigned integer.
    """
    head = data[at]
    if head < 0x80:
        return head, at + 1
    if head == 0xCC:
        return data[at + 1], at + 2
    if head == 0xCD:
        return _U16.unpack_from(data, at + 1)[0], at + 3
    if head == 0xCE:
        return _U32.unpack_from(data, at + 1)[0], at + 5
    if head == 0xCF:
        return _U64.unpack_from(data, at + 1)[0], at + 9
    raise ValueError(f"no unsigned integer begins with {head:#04x}")


def _bin(value: bytes) -> bytes:
    size = len(value)
    return (b"\xc4%c" % size if size < 256 else b"\xc5" + _U16.pack(size)) + value


class SendTemplate:
    """The SENDs of one device in one conversation: ``n`` is also the request id."""

    __slots__ = ("_head", "_ids", "_middle", "_pack", "_tail")

    def __init__(self, conversation: bytes, body: bytes, salt: bytes, peer: str = "") -> None:
        """Message ids are the 12 bytes of ``salt``, then ``n``."""
        tail = _bin(PLAIN) + _bin(body)
        fields = 6
        if peer:
            tail += b"\xd9%c" % len(peer.encode()) + peer.encode()
            fields = 7
        self._middle = _bin(conversation) + b"\xce"
        self._ids = b"\xc4\x10" + salt
        self._tail = tail
        size = 3 + 4 + len(self._middle) + 4 + len(self._ids) + 4 + len(tail)
        self._head = HEADER.pack(size, Op.SEND) + bytes((0x90 + fields, 0xCE))
        self._pack = Struct(
            f">{len(self._head)}sI{len(self._middle)}sI{len(self._ids)}sI{len(tail)}s"
        ).pack

    def frame(self, n: int) -> bytes:
        """Return the frame of message ``n``; the same bytes each time."""
        return self._pack(self._head, n, self._middle, n, self._ids, n, self._tail)


class AckTemplate:
    """The ACKs of one device in one conversation."""

    __slots__ = ("_pack",)

    def __init__(self, conversation: bytes) -> None:
        fixed = b"\x91\x91\x92" + _bin(conversation) + b"\xce"
        head = HEADER.pack(1 + len(fixed) + 4, Op.ACK) + fixed
        self._pack = partial(Struct(f">{len(head)}sI").pack, head)

    def frame(self, seq: int) -> bytes:
        """Return the frame that acknowledges everything up to ``seq``."""
        return self._pack(seq)


def receipt_delivered(data: bytes, at: int) -> int:
    """Return ``delivered`` of the RECEIPT frame that begins at ``at``."""
    at += RECEIPT_USER_OFFSET
    head = data[at]
    # fixstr, or str 8: a user name has at most 64 bytes.
    at += 1 + (head & 0x1F) if head < 0xC0 else 2 + data[at + 1]
    return read_int(data, at)[0]
