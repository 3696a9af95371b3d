"""Bodies: texts within their bounds; what is not understood is shown as such, never dropped."""

import msgpack
import pytest

from clients.sdk.body import MAX_TEXT_BYTES, UNSUPPORTED, Body, decode_body, encode_text
from clients.sdk.errors import InvalidInput
from protocol import limits


@pytest.mark.parametrize("text", ["x", "é" * (MAX_TEXT_BYTES // 2), "\0", "a\nb"])
def test_body_carries_a_text_within_its_bound(text: str) -> None:
    body = encode_text(text)
    assert len(body) <= limits.MAX_BODY_BYTES
    assert decode_body(body) == Body(text)


@pytest.mark.parametrize("text", ["", "x" * (MAX_TEXT_BYTES + 1), "\ud800"])
def test_body_refuses_a_text_out_of_its_bound(text: str) -> None:
    with pytest.raises(InvalidInput):
        encode_text(text)


def test_body_skips_fields_of_a_later_client() -> None:
    assert decode_body(msgpack.packb([1, 0, "hello", 7])) == Body("hello")


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\xc1",
        b"text",
        msgpack.packb([2, 0, "x"]),
        msgpack.packb([1, 9, "x"]),
        msgpack.packb([1, 0, b"x"]),
        msgpack.packb([1, 0]),
        msgpack.packb({"a": 1}),
        msgpack.packb([1, 0, "x"]) + b"\0",
        b"\x93\x01\x00\xa1\xff",
        b"\xdd\xff\xff\xff\xff",
        b"\x91" * 10_000,
        b"\xd4\x00\x00",
    ],
)
def test_body_marks_what_it_does_not_understand(data: bytes) -> None:
    assert decode_body(data) == UNSUPPORTED
