"""The clear header: shortest form, strict reading, bounds at N and N + 1."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol import limits
from protocol.codec import pack
from protocol.header import (
    PLAIN,
    ClearHeader,
    HeaderError,
    Kind,
    Notify,
    decode_header,
    encode_header,
)
from tests.protocol import strategies

NAMES = [field.name for field in strategies.fields_of(ClearHeader)]
DEFAULTS = strategies.plain(ClearHeader())


@given(strategies.records(ClearHeader))
def test_header_comes_back_as_it_was_written(header: ClearHeader) -> None:
    data = encode_header(header)
    assert decode_header(data) == header
    assert len(data) <= limits.MAX_HEADER_BYTES


def test_ordinary_message_needs_one_byte() -> None:
    assert encode_header(ClearHeader()) == PLAIN == b"\x90"
    assert decode_header(PLAIN) == ClearHeader(Kind.MESSAGE, 0, (), None, b"", Notify.ALL, ())


@pytest.mark.parametrize("position", range(len(NAMES)), ids=NAMES)
def test_header_takes_each_field_at_its_bounds_and_refuses_it_beyond(position: int) -> None:
    field = strategies.fields_of(ClearHeader)[position]
    inside, outside = strategies.edges(field.spec)
    for value in inside:
        row = (*DEFAULTS[:position], value)
        read = decode_header(pack(row))
        assert strategies.plain(read)[position] == value
    for value in outside:
        row = (*DEFAULTS[:position], value)
        with pytest.raises(HeaderError):
            decode_header(pack(row))
        if not isinstance(value, float):
            wrong = replace(ClearHeader(), **{field.name: value})  # type: ignore[arg-type]  # wrong on purpose
            with pytest.raises(HeaderError, match=field.name):
                encode_header(wrong)


def test_largest_header_fits_its_field() -> None:
    assert strategies.largest_record_bytes(ClearHeader) <= limits.MAX_HEADER_BYTES


@given(st.binary(max_size=60))
def test_header_of_any_bytes_raises_nothing_but_its_error(data: bytes) -> None:
    try:
        header = decode_header(data)
    except HeaderError:
        return
    assert decode_header(encode_header(header)) == header


def test_error_names_the_field_but_never_its_value() -> None:
    with pytest.raises(HeaderError) as caught:
        decode_header(pack((0, 0, (), None, b"", 0, ("hunter2" * 10,))))
    assert str(caught.value) == "notify_users: expected text of 1 to 64 bytes"
