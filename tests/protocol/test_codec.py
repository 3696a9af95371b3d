"""The codec: one value each way, strict at every bound of every field, and never greedy."""

import tracemalloc

import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol import limits
from protocol.codec import DECODERS, HEADER, encode, frame, pack
from protocol.declare import LAYOUTS, MESSAGES, Layout, Message
from protocol.errors import LocalProtocolError, Malformed
from protocol.messages.messaging import Entry, Event, HistoryPage
from protocol.messages.session import Error, Ping
from protocol.ops import Op
from tests.protocol import strategies

PLACES = list(strategies.places())


def decode(op: Op, body: bytes) -> Message:
    return DECODERS[op](body)


def refused(op: Op, body: bytes) -> str:
    with pytest.raises(Malformed) as caught:
        decode(op, body)
    return str(caught.value)


def failure_of(op: Op, body: bytes) -> Malformed | None:
    """What decoding raised, if it is the one error that it may raise."""
    try:
        decode(op, body)
    except Malformed as error:
        return error
    return None


def test_every_op_has_a_message_and_a_decoder() -> None:
    assert set(MESSAGES) == set(Op)
    assert set(DECODERS) == set(Op)


@given(strategies.messages())
def test_message_comes_back_as_it_was_sent(message: Message) -> None:
    data = encode(message)
    size, op = HEADER.unpack_from(data)
    assert (size, op) == (len(data) - 4, message.OP)
    again = decode(message.OP, data[5:])
    assert again == message
    assert type(again) is type(message)
    assert encode(again) == data


@pytest.mark.parametrize("place", PLACES, ids=lambda place: f"{place.op.name}.{place.path}")
def test_reader_takes_each_field_at_its_bounds_and_refuses_it_beyond(
    place: strategies.Place,
) -> None:
    inside, outside = strategies.edges(place.spec)
    for value in inside:
        body = pack(place.body_with(value))
        message = decode(place.op, body)
        assert pack(strategies.plain(message)) == body
    name = place.path.rsplit(".", 1)[-1]
    for value in outside:
        said = refused(place.op, pack(place.body_with(value)))
        # The longest list of an op stands in the way of msgpack already.
        too_long = isinstance(value, tuple) and len(value) > 1
        assert name in said or too_long


@pytest.mark.parametrize("place", PLACES, ids=lambda place: f"{place.op.name}.{place.path}")
def test_sender_is_stopped_at_the_same_bounds(place: strategies.Place) -> None:
    cls = MESSAGES[place.op]
    layout: Layout[Message] = LAYOUTS[cls]  # type: ignore[assignment]  # declared as Layout[object]
    if "." in place.path:
        return  # inner records are checked as fields of their own below
    least = layout.read(place.body_with(strategies.smallest(place.spec)))
    _, outside = strategies.edges(place.spec)
    for value in outside:
        object.__setattr__(least, place.path, value)
        with pytest.raises(LocalProtocolError, match=place.path):
            encode(least)


def test_sender_is_stopped_at_a_bound_inside_a_record() -> None:
    entry = Entry(1, "", 1, 1, 0, b"\x90", bytes(16), b"")
    with pytest.raises(LocalProtocolError, match=r"Event\.entry: user: expected text of 1 to 64"):
        encode(Event(bytes(32), entry))
    with pytest.raises(LocalProtocolError, match=r"entry: expected Entry"):
        encode(Event(bytes(32), Ping(1)))  # type: ignore[arg-type]  # the point of the test


@pytest.mark.parametrize("op", Op)
def test_reader_takes_unknown_trailing_fields_up_to_their_bound(op: Op) -> None:
    fields = LAYOUTS[MESSAGES[op]].fields
    row = tuple(strategies.smallest(field.spec) for field in fields)
    known = decode(op, pack(row))
    for extra in (1, 16):
        more = (None, True, -1, 2.5, "x", b"x", (), 2**64 - 1)[:extra] * 2
        assert decode(op, pack(row + more[:extra])) == known
    assert refused(op, pack(row + (0,) * 17))
    required = sum(field.required for field in fields)
    if required:
        assert "fields" in refused(op, pack(row[: required - 1]))


STRANGE = {
    "nothing": b"",
    "nil": b"\xc0",
    "integer": b"\x01",
    "unused byte": b"\xc1",
    "map": b"\x80",
    "map with an entry": b"\x81\xa1a\x01",
    "map in a trailing field": b"\x92\x01\x80",
    "map32 without a body": b"\xdf\xff\xff\xff\xff",
    "array32 without a body": b"\xdd\xff\xff\xff\xff",
    "array16 without a body": b"\xdc\xff\xff",
    "bin32 without a body": b"\x91\xc6\xff\xff\xff\xff",
    "str32 without a body": b"\x91\xdb\xff\xff\xff\xff",
    "empty extension": b"\x92\x01\xc7\x00\x05",
    "extension": b"\x92\x01\xd4\x05\x00",
    "ext32 without a body": b"\x92\x01\xc9\xff\xff\xff\xff\x05",
    "timestamp 32": b"\x92\x01\xd6\xff\x00\x00\x00\x00",
    "timestamp 64": b"\x92\x01\xd7\xff" + bytes(8),
    "timestamp 96": b"\x92\x01\xc7\x0c\xff" + bytes(12),
    "empty timestamp": b"\x92\x01\xc7\x00\xff",
    "trailing byte": b"\x91\x01\x00",
    "two values": b"\x91\x01\x91\x01",
    "cut short": b"\x92\x01",
    "invalid UTF-8": b"\x92\x01\xa1\xff",
    "surrogate in UTF-8": b"\x92\x01\xa3\xed\xa0\x80",
    "over-long UTF-8": b"\x92\x01\xa2\xc0\x80",
    "depth 100,000": b"\x92\x01" + b"\x91" * 100_000 + b"\xc0",
    "depth 100,000 at once": b"\x91" * 100_000,
    "long array": b"\x92\x01\xdc\x00\x12" + b"\x00" * 18,
}


@pytest.mark.parametrize("body", STRANGE.values(), ids=STRANGE)
@pytest.mark.parametrize("view", [bytes, memoryview])
def test_reader_refuses_what_the_protocol_does_not_use(body: bytes, view: type) -> None:
    with pytest.raises(Malformed):
        DECODERS[Op.PING](view(body))


@given(st.sampled_from(Op), st.binary(max_size=200))
def test_reader_raises_nothing_but_malformed(op: Op, body: bytes) -> None:
    error = failure_of(op, body)
    assert error is None or error.op == op


@pytest.mark.parametrize("op", Op)
def test_error_never_quotes_the_input(op: Op) -> None:
    secret = "hunter2"
    for value in (secret, secret.encode(), (secret,)):
        count = max(1, len(LAYOUTS[MESSAGES[op]].fields))
        row = pack((value,) * count)
        for body in (row + secret.encode(), row[:-1], b"\x92" + row, pack(value)):
            error = failure_of(op, body)
            if error is not None:  # ops without fields skip all of it
                assert secret not in repr(error) + str(error)
                assert error.__suppress_context__


def hostile_bodies(op: Op) -> dict[str, bytes]:
    longest = LAYOUTS[MESSAGES[op]].longest_list()
    size = limits.MAX_FRAME_BYTES - 1
    small = b"\x92\xcd\x7f\xff\xa2ab"  # costs a tuple, an integer and a string
    rows = {
        "empty arrays": b"\x90" * longest,
        "arrays of one": b"\x91\xc0" * longest,
        "small values": small * longest,
        "floats": (b"\xcb" + bytes(8)) * longest,
        "empty texts": b"\xa0" * longest,
    }
    header = b"\xdc" + longest.to_bytes(2, "big")
    bodies = {name: header + row for name, row in rows.items()}
    bodies["nested rows"] = header + (header + b"\x91\xc0" * longest) * min(
        longest, (size - 3) // (3 + 2 * longest)
    )
    bodies["one body"] = b"\x91\xc5\xf0\x00" + bytes(limits.MAX_BODY_BYTES)
    return {name: body for name, body in bodies.items() if len(body) <= size}


def peak_bytes(op: Op, body: bytes) -> int:
    tracemalloc.start()
    try:
        failure_of(op, body)  # refused or not, what counts is the memory on the way
    finally:
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    return peak


@pytest.mark.parametrize("op", Op)
def test_body_takes_at_most_64_times_its_size_in_memory(op: Op) -> None:
    for name, body in hostile_bodies(op).items():
        peak_bytes(op, body)  # the first time, an exception's machinery is allocated for good
        assert peak_bytes(op, body) <= 64 * len(body) + 4_096, name


@pytest.mark.parametrize("op", Op)
def test_unfinished_arrays_take_a_bounded_amount_of_memory(op: Op) -> None:
    longest = LAYOUTS[MESSAGES[op]].longest_list()
    bound = 1_024 * (64 + 8 * longest)
    for header in (b"\xdc" + longest.to_bytes(2, "big"), b"\x9f"):
        for count in (1_000, 1_023, 5_000):
            assert peak_bytes(op, header * count) <= bound + 65_536


def test_frame_is_refused_over_the_bound_and_taken_at_it() -> None:
    most = limits.MAX_FRAME_BYTES - 1
    assert len(frame(Op.PONG, bytes(most))) == limits.MAX_FRAME_BYTES + 4
    with pytest.raises(LocalProtocolError, match="65537"):
        frame(Op.PONG, bytes(most + 1))


@pytest.mark.parametrize("op", sorted(set(Op) - {Op.HISTORY_PAGE}))
def test_largest_message_of_an_op_fits_its_frame(op: Op) -> None:
    early = {Op.HELLO, Op.WELCOME, Op.REGISTER, Op.SCRAM_FIRST, Op.SCRAM_CHALLENGE}
    early |= {Op.SCRAM_FINAL, Op.LOGIN, Op.ACCEPTED, Op.ERROR, Op.GOAWAY, Op.BYE}
    most = limits.MAX_EARLY_FRAME_BYTES if op in early else limits.MAX_FRAME_BYTES
    assert 1 + strategies.largest_record_bytes(MESSAGES[op]) <= most


def test_largest_entry_fits_a_page_and_a_full_page_fits_its_frame() -> None:
    entry = strategies.largest_record_bytes(Entry)
    assert entry <= limits.MAX_PAGE_BYTES
    fields = LAYOUTS[HistoryPage].fields
    rest = 1 + sum(strategies.largest_bytes(f.spec) for f in fields if f.name != "entries") + 3
    assert 1 + rest + limits.MAX_PAGE_BYTES <= limits.MAX_FRAME_BYTES


def test_integers_are_packed_in_their_shortest_form() -> None:
    assert encode(Ping(1)) == b"\x00\x00\x00\x03\x09\x91\x01"
    assert encode(Error(None, 1, "", False, 0))[5:] == b"\x95\xc0\x01\xa0\xc2\x00"
    assert msgpack.unpackb(encode(Ping(300))[5:]) == [300]
