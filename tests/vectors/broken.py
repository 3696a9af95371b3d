"""Vectors of what must be refused: frames in each role and state, clear headers, links."""

from collections.abc import Iterator

from protocol import limits
from protocol.codec import encode, frame, pack
from protocol.errors import ErrorCode
from protocol.header import ClearHeader, Kind, Notify, encode_header
from protocol.links import Link
from protocol.messages.session import Login, Ping, Pong
from protocol.ops import Op
from tests.protocol.helpers import HELLO, WELCOME, raw
from tests.vectors.plain import Json, to_json
from tests.vectors.samples import pattern

BODIES = {
    "an empty body": b"",
    "a body that is no array": b"\x01",
    "too few fields": b"\x90",
    "a field of another type": b"\x91\xa11",
    "a boolean for an integer": b"\x91\xc3",
    "a float for an integer": b"\x91\xcb" + bytes(8),
    "a negative integer": b"\x91\xff",
    "2**32 in a u32": b"\x91\xcf\x00\x00\x00\x01\x00\x00\x00\x00",
    "2**64 - 1": b"\x91\xcf" + b"\xff" * 8,
    "nil for an integer": b"\x91\xc0",
    "a map": b"\x81\xa1a\x01",
    "an empty map in an unknown field": b"\x92\x01\x80",
    "an empty extension in an unknown field": b"\x92\x01\xc7\x00\x05",
    "a timestamp in an unknown field": b"\x92\x01\xd6\xff" + bytes(4),
    "invalid UTF-8 in an unknown field": b"\x92\x01\xa1\xff",
    "bytes behind the array": b"\x91\x01\x00",
    "an array32 without a body": b"\xdd\xff\xff\xff\xff",
    "a bin32 without a body": b"\x91\xc6\xff\xff\xff\xff",
    "a str32 without a body": b"\x91\xdb\xff\xff\xff\xff",
    "18 fields where 17 are the most": b"\xdc\x00\x12" + b"\x01" * 18,
    "an array nested 2,000 deep": b"\x92\x01" + b"\x91" * 2_000 + b"\xc0",
    "a body cut short": b"\x92\x01",
}


def malformed_vectors() -> Iterator[dict[str, Json]]:
    """Bytes, the receiver and its state, and the error that must come of them."""
    for receiver, op, fine in (
        ("server", Op.PING, encode(Ping(1))),
        ("client", Op.PONG, encode(Pong(1))),
    ):
        for name, body in BODIES.items():
            data = fine + frame(op, body) + fine
            yield _row(name, receiver, "ready", data, 1, ErrorCode.MALFORMED)
        empty = fine + bytes(4)
        yield _row("a frame of length zero", receiver, "ready", empty, 1, ErrorCode.MALFORMED)
        for size, state in (
            (2**32 - 1, "connected"),
            (limits.MAX_EARLY_FRAME_BYTES + 1, "connected"),
            (limits.MAX_EARLY_FRAME_BYTES + 1, "authenticating"),
            (limits.MAX_FRAME_BYTES + 1, "ready"),
            (limits.MAX_FRAME_BYTES + 1, "draining"),
        ):
            data, name = size.to_bytes(4, "big"), f"a frame of {size} bytes"
            yield _row(name, receiver, state, data, 0, ErrorCode.FRAME_TOO_LARGE)
        for number in (0x00, 0x0F, 0x7F, 0xFF):
            data, name = fine + raw(number, b"\x90"), f"op {number:#04x}, which nobody declared"
            yield _row(name, receiver, "ready", data, 1, ErrorCode.UNKNOWN_OP)
    own = encode(Ping(1)), encode(Pong(1))
    yield _row("a client's op", "client", "ready", own[0], 0, ErrorCode.UNKNOWN_OP)
    yield _row("a server's op", "server", "ready", own[1], 0, ErrorCode.UNKNOWN_OP)
    login = encode(Login(1, "romeo", 1, 1, bytes(64)))
    for receiver, state, name, data in (
        ("server", "connected", "LOGIN before HELLO", login),
        ("server", "connected", "PING before HELLO", own[0]),
        ("server", "authenticating", "HELLO again", encode(HELLO)),
        ("server", "authenticating", "PING before login", own[0]),
        ("server", "ready", "LOGIN again", login),
        ("server", "draining", "HELLO while draining", encode(HELLO)),
        ("server", "ready", "LOGIN's header, whose body has not come", login[:5]),
        ("client", "connected", "WELCOME before HELLO was sent", encode(WELCOME)),
        ("client", "authenticating", "PONG before login", own[1]),
        ("client", "ready", "WELCOME again", encode(WELCOME)),
    ):
        yield _row(name, receiver, state, data, 0, ErrorCode.UNEXPECTED_FRAME)


def _row(
    name: str, receiver: str, state: str, data: bytes, messages: int, error: ErrorCode
) -> dict[str, Json]:
    return {
        "name": f"{receiver} gets {name}",
        "receiver": receiver,
        "state": state,
        "bytes": data.hex(),
        "messages": messages,
        "error": error.name.lower(),
    }


def header_vectors() -> Iterator[dict[str, Json]]:
    """Clear headers in their shortest form, longer forms of the same, and what is none."""
    assets = (pattern("asset 1", 16), pattern("asset 2", 16))
    for name, header in (
        ("an ordinary message", ClearHeader()),
        ("a deletion", ClearHeader(kind=Kind.DELETION, target=42, notify=Notify.NONE)),
        ("a silent message", ClearHeader(notify=Notify.NONE)),
        ("users to notify", ClearHeader(notify=Notify.LISTED, notify_users=("romeo", "nurse"))),
        ("files", ClearHeader(assets=assets)),
        ("every field", ClearHeader(7, 9, assets, 60_000, bytes(32), Notify.LISTED, ("é",))),
    ):
        data = encode_header(header).hex()
        yield {
            "name": name,
            "valid": True,
            "shortest": True,
            "fields": to_json(header),
            "bytes": data,
        }
    for name, longer in (
        ("defaults spelt out", pack((0, 0, (), None, b"", 0, ()))),
        ("unknown trailing fields", pack((0, 0, (), None, b"", 0, (), 1, "x"))),
    ):
        yield _header(name, ClearHeader(), longer, False)
    for name, broken in (
        ("nothing", b""),
        ("a map", b"\x80"),
        ("a kind over 255", pack((256,))),
        ("an asset id of 15 bytes", pack((0, 0, (bytes(15),)))),
        ("17 assets", pack((0, 0, (bytes(16),) * 17))),
        ("a roster version of 33 bytes", pack((0, 0, (), None, bytes(33)))),
        ("a notify of 3", pack((0, 0, (), None, b"", 3))),
        ("17 users", pack((0, 0, (), None, b"", 2, ("a",) * 17))),
        ("an empty user name", pack((0, 0, (), None, b"", 2, ("",)))),
        ("bytes behind the array", b"\x90\x00"),
        ("24 fields where 23 are the most", pack((0, 0, (), None, b"", 0, ()) + (0,) * 17)),
    ):
        yield {"name": name, "valid": False, "bytes": broken.hex()}


def _header(name: str, header: ClearHeader, data: bytes, shortest: bool) -> dict[str, Json]:
    return {
        "name": name,
        "valid": True,
        "shortest": shortest,
        "fields": to_json(header),
        "bytes": data.hex(),
    }


def link_vectors() -> Iterator[dict[str, Json]]:
    """Links of each kind of host, with and without a token, and texts that are none."""
    key, server, token = pattern("key", 32), pattern("server", 16), pattern("token", 16)
    good = str(Link("chat.example.org", 7222, key, server, token))
    for host, port, secret in (
        ("chat.example.org", 7222, token),
        ("chat.example.org", 7222, None),
        ("192.0.2.7", 1, token),
        ("2001:db8::7", 65_535, token),
    ):
        yield {
            "valid": True,
            "link": str(Link(host, port, key, server, secret)),
            "host": host,
            "port": port,
            "server_key": key.hex(),
            "server_id": server.hex(),
            "token": None if secret is None else secret.hex(),
        }
    for text in (
        "",
        good.replace("#1.", "#2."),
        good.replace(":7222", ":0"),
        good.replace(":7222", ":65536"),
        good.replace("chatd:", "https:"),
        good + "A",
        good + "=",
        good[:-1],
        good[:-1] + "-",
    ):
        yield {"valid": False, "link": text}
