"""Mutations of frames: small lies about bytes, types, lengths and order."""

from itertools import pairwise
from random import Random

from protocol.codec import HEADER
from protocol.ops import Op
from tests.vectors.make import load

STRANGE = (
    b"\xc1", b"\x80", b"\x81", b"\xc7\x00\x05", b"\xd6\xff" + bytes(4), b"\xdf\xff\xff\xff\xff",
    b"\xdd\xff\xff\xff\xff", b"\xc6\xff\xff\xff\xff", b"\xdb\xff\xff\xff\xff", b"\xdc\x00\x40",
    b"\x91" * 40, b"\xcf" + b"\xff" * 8, b"\xd3\x80" + bytes(7), b"\xcb\x7f\xf8" + bytes(6),
    b"\xa1\xff", b"\xc0", b"\xc3", b"\x90", b"\xc4\x00", b"\xd9\x01\x1b",
)  # fmt: skip
"""Bytes that begin something unusual: reserved, maps, extensions, bodies that never come."""


def corpus() -> list[bytes]:
    """The frames of the golden vectors, good and broken, in a fixed order."""
    good = [str(row["frame"]) for row in load("messages.json")]
    broken = [str(row["bytes"]) for row in load("malformed.json")]
    return [bytes.fromhex(text) for text in good + broken]


def mutate(random: Random, frames: list[bytes]) -> bytes:
    """One input: a frame of the corpus, changed up to four times; its length often set right."""
    data = bytearray(random.choice(frames))
    for _ in range(random.randint(0, 4)):
        _change(random, data, frames)
    if len(data) >= HEADER.size and random.random() < 0.7:
        data[:4] = (len(data) - 4).to_bytes(4, "big")
    if random.random() < 0.2:
        data += random.choice(frames)
    return bytes(data)


def _change(random: Random, data: bytearray, frames: list[bytes]) -> None:
    place = random.randint(0, len(data))
    match random.randint(0, 7):
        case 0 if data:
            data[place % len(data)] ^= 1 << random.randint(0, 7)
        case 1 if data:
            data[place % len(data)] = random.randint(0, 255)
        case 2:
            data[place:place] = random.choice(STRANGE)
        case 3:
            del data[place : place + random.randint(1, 16)]
        case 4:
            data[place : place + random.randint(0, 8)] = random.choice(STRANGE)
        case 5:
            other = random.choice(frames)
            data[place:] = other[random.randint(0, len(other)) :]
        case 6 if len(data) > 4:
            data[4] = random.choice(list(Op))
        case _:
            data[place:place] = data[max(0, place - random.randint(1, 64)) : place]


def pieces(random: Random, data: bytes) -> list[bytes]:
    """The data in up to six pieces."""
    cuts = sorted(random.randint(0, len(data)) for _ in range(random.randint(0, 5)))
    edges = [0, *cuts, len(data)]
    return [data[a:b] for a, b in pairwise(edges)]
