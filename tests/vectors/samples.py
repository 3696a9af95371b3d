"""Messages for the vectors, from the declarations: typical, least, most, nil and newer ones."""

from collections.abc import Iterator
from hashlib import sha256

from protocol.codec import encode, frame, pack
from protocol.declare import MESSAGES, Layout, Message, StructOf, layout_of
from protocol.errors import ERRORS
from protocol.fields import Bin, Flag, ListOf, OrNil, Spec, Text, UInt
from protocol.messages.session import Error
from protocol.ops import Op, Role
from tests.protocol.strategies import plain
from tests.vectors.plain import Json, to_json

WORDS = {
    "user": "juliet",
    "peer": "romeo",
    "display_name": "Juliet of Verona é",
    "device_name": "balcony",
    "name": "balcony",
    "software": "example/1.0",
    "features": "groups",
    "text": "not found",
}
LARGE_BYTES = 512
"""Bounds over this are proven elsewhere; the files stay readable."""


def pattern(path: str, size_bytes: int) -> bytes:
    """Bytes that differ from field to field, so that two fields cannot be confused."""
    out = b""
    while len(out) < size_bytes:
        out += sha256(f"{path}/{len(out)}".encode()).digest()
    return out[:size_bytes]


def typical(spec: Spec, path: str, nil: bool) -> object:
    """A value of a spec; with ``nil``, nil wherever that is allowed."""
    match spec:
        case UInt(low, high):
            number = int.from_bytes(sha256(path.encode()).digest()[:6], "big")
            return low + number % (high - low + 1)
        case Flag():
            return not nil
        case Bin(low, high):
            return pattern(path, low if low == high else min(high, max(low, 24)))
        case Text():
            return WORDS[path.rsplit(".", 1)[-1]]
        case OrNil(inner):
            return None if nil else typical(inner, path, nil)
        case ListOf(inner, high):
            return () if nil else (typical(inner, path, nil), typical(inner, path, True))
        case StructOf(cls):
            layout: Layout[object] = layout_of(cls)
            return cls(*[typical(f.spec, f"{path}.{f.name}", nil) for f in layout.fields])
        case _:
            raise AssertionError(f"no sample for {spec!r}")


def extreme(spec: Spec, most: bool) -> object:
    """The value at a spec's lower or upper bound, as far as it is not large."""
    match spec:
        case UInt(low, high):
            return high if most else low
        case Flag():
            return most
        case Bin(low, high):
            return b"\xff" * min(high, LARGE_BYTES) if most else bytes(low)
        case Text(low, high):
            return "é" * (high // 2) if most else "a" * low
        case OrNil(inner):
            return extreme(inner, most) if most else None
        case ListOf(inner, high):
            return (extreme(inner, most),) * min(high, 2) if most else ()
        case StructOf(cls):
            layout: Layout[object] = layout_of(cls)
            return cls(*[extreme(f.spec, most) for f in layout.fields])
        case _:
            raise AssertionError(f"no bounds for {spec!r}")


def of(op: Op) -> Iterator[tuple[str, Message]]:
    """The named samples of one op, without repetition."""
    cls = MESSAGES[op]
    fields = layout_of(cls).fields
    seen: list[Message] = []
    for name, values in (
        ("typical", [typical(f.spec, f"{op.name}.{f.name}", False) for f in fields]),
        ("nil", [typical(f.spec, f"{op.name}.{f.name}", True) for f in fields]),
        ("least", [extreme(f.spec, False) for f in fields]),
        ("most", [extreme(f.spec, True) for f in fields]),
    ):
        sample = cls(*values)
        if sample not in seen:
            seen.append(sample)
            yield name, sample


def message_vectors() -> Iterator[dict[str, Json]]:
    """Every op: its samples, and what an older and a newer peer may send of it."""
    for op, cls in MESSAGES.items():
        fields = layout_of(cls).fields
        for name, sample in of(op):
            yield _vector(f"{op.name} {name}", sample, encode(sample), False)
        values = [typical(f.spec, f"{op.name}.{f.name}", True) for f in fields]
        sample = cls(*values)
        row = plain(sample)
        newer = frame(op, pack((*row, None, "newer", 7, b"\x00", (True, -1))))
        yield _vector(f"{op.name} with unknown trailing fields", sample, newer, True)
        required = sum(field.required for field in fields)
        if required < len(fields):
            short = frame(op, pack(row[:required]))
            least = cls(*values[:required])
            yield _vector(f"{op.name} without its optional fields", least, short, True)
    for code, info in ERRORS.items():
        # As the server says it: behind a request, and for fatal ones as the last frame.
        for request in (7, None) if info.fatal else (7,):
            told = Error(request, int(code), info.text, info.retryable, 1_000 * info.retryable)
            last = ", the last frame" if request is None else ""
            yield _vector(f"ERROR {code.name.lower()}{last}", told, encode(told), False)


def _vector(name: str, message: Message, data: bytes, decode_only: bool) -> dict[str, Json]:
    return {
        "name": name,
        "op": int(message.OP),
        "sender": Role(message.SENDER).name.lower(),
        "fields": to_json(message),
        "frame": data.hex(),
        "decode_only": decode_only,
    }
