"""One connection: splits, holds, bounds, and what it does with a peer that breaks the protocol."""

import sys
from types import FrameType
from typing import TYPE_CHECKING

import pytest

from protocol import limits
from protocol.codec import encode
from protocol.connection import Connection, farewell, frame_limit_bytes
from protocol.errors import (
    ERRORS,
    ErrorCode,
    FrameTooLarge,
    LocalProtocolError,
    Malformed,
    UnexpectedFrame,
    UnknownOp,
)
from protocol.messages.session import (
    Bye,
    Error,
    Hello,
    Ping,
    Pong,
)
from protocol.ops import Op, Role
from protocol.state import State
from tests.protocol.helpers import (
    feed,
    fresh,
    in_state,
    raw,
    three_ways,
)

if TYPE_CHECKING:
    from _typeshed import TraceFunction

PINGS = encode(Ping(1)) + encode(Ping(2))


def test_server_gets_every_message_however_the_bytes_are_split() -> None:
    messages, failure, state = three_ways(Role.SERVER, State.READY, PINGS + encode(Bye()))
    assert messages == [Ping(1), Ping(2), Bye()]
    assert failure is None
    assert state is State.CLOSED


def test_server_gets_frames_cut_at_every_place() -> None:
    for cut in range(len(PINGS) + 1):
        messages, failure, _ = feed(in_state(Role.SERVER, State.READY), [PINGS[:cut], PINGS[cut:]])
        assert (messages, failure) == ([Ping(1), Ping(2)], None)


def test_server_keeps_what_came_before_an_error_and_discards_the_rest() -> None:
    data = encode(Ping(1)) + raw(0xEE, b"\x90") + encode(Ping(2))
    messages, failure, state = three_ways(Role.SERVER, State.READY, data)
    assert (messages, failure, state) == ([Ping(1)], UnknownOp, State.CLOSED)


def test_server_refuses_four_gib_from_the_header_alone() -> None:
    connection = fresh(Role.SERVER)
    assert connection.receive_data(b"\xff\xff\xff\xff") == []
    assert isinstance(connection.failure, FrameTooLarge)
    assert connection.buffered_bytes == 0


@pytest.mark.parametrize("state", [State.CONNECTED, State.AUTHENTICATING, State.READY])
def test_server_refuses_a_frame_over_the_bound_of_its_state(state: State) -> None:
    bound = frame_limit_bytes(state)
    assert bound == (65_536 if state is State.READY else 4_096)
    connection = in_state(Role.SERVER, state)
    connection.receive_data(bound.to_bytes(4, "big"))
    assert connection.failure is None
    connection = in_state(Role.SERVER, state)
    connection.receive_data((bound + 1).to_bytes(4, "big"))
    assert isinstance(connection.failure, FrameTooLarge)
    assert str(connection.failure) == f"frame of {bound + 1} bytes exceeds the limit of {bound}"


def test_server_takes_a_frame_of_exactly_the_bound_and_buffers_no_more() -> None:
    connection = in_state(Role.SERVER, State.READY)
    # Two unknown trailing fields fill the frame to the byte.
    most = limits.MAX_BODY_BYTES
    rest = limits.MAX_FRAME_BYTES - 1 - 2 - 3 - most - 3
    body = b"\x93\x01\xc5" + most.to_bytes(2, "big") + bytes(most)
    frame = raw(Op.PING, body + b"\xc5" + rest.to_bytes(2, "big") + bytes(rest))
    assert len(frame) - 4 == limits.MAX_FRAME_BYTES
    for byte in frame[:-1]:
        assert connection.receive_data(bytes([byte])) == []
        assert connection.buffered_bytes <= limits.MAX_FRAME_BYTES + 4
    assert connection.receive_data(frame[-1:]) == [Ping(1)]
    assert connection.buffered_bytes == 0


def test_server_checks_the_op_before_the_body_has_arrived() -> None:
    connection = in_state(Role.SERVER, State.CONNECTED)
    connection.receive_data(b"\x00\x00\x00\xff" + bytes([Op.SEND]))
    assert isinstance(connection.failure, UnexpectedFrame)
    connection = in_state(Role.SERVER, State.READY)
    connection.receive_data(b"\x00\x00\x00\xff" + bytes([Op.SENT]))
    assert isinstance(connection.failure, UnknownOp)


def test_server_calls_a_frame_of_length_zero_malformed() -> None:
    # Regression: it was "frame of 0 bytes exceeds the limit".
    messages, failure, _ = three_ways(Role.SERVER, State.READY, bytes(4))
    assert (messages, failure) == ([], Malformed)


def test_connection_remembers_the_first_failure_only() -> None:
    connection = in_state(Role.SERVER, State.READY)
    first, second = UnknownOp(1), UnknownOp(2)
    connection.fail(first)
    connection.fail(second)
    assert connection.failure is first


def test_failure_does_not_keep_the_receive_buffer_alive() -> None:
    # Regression: its traceback held a memoryview, so that the caller's buffer could not be resized.
    buffer = bytearray(raw(Op.PING, b"\x92\x01\xc1"))
    connection = in_state(Role.SERVER, State.READY)
    connection.receive_data(memoryview(buffer))
    assert isinstance(connection.failure, Malformed)
    assert connection.failure.__traceback__ is None
    assert connection.failure.__context__ is None
    buffer += b"more"


def test_connection_refuses_to_send_what_is_the_peers() -> None:
    with pytest.raises(LocalProtocolError, match="PING must not be sent in state READY"):
        in_state(Role.SERVER, State.READY).send(Ping(1))
    with pytest.raises(LocalProtocolError, match="PONG"):
        in_state(Role.CLIENT, State.READY).send(Pong(1))


def test_connection_does_not_move_when_a_field_is_out_of_its_bounds() -> None:
    connection = in_state(Role.CLIENT, State.CONNECTED)
    with pytest.raises(LocalProtocolError, match=r"Hello\.version: expected"):
        connection.send(Hello(2**16, "", ()))
    assert connection.state is State.CONNECTED


@pytest.mark.parametrize("error", [UnknownOp(0xEE), FrameTooLarge(2, 1), UnexpectedFrame(1, "X")])
def test_farewell_tells_the_code_and_the_generic_text(
    error: UnknownOp | FrameTooLarge | UnexpectedFrame,
) -> None:
    client = in_state(Role.CLIENT, State.CONNECTED)
    (message,) = client.receive_data(farewell(error))
    info = ERRORS[error.code]
    assert message == Error(None, error.code, info.text, info.retryable, 0)
    assert client.state is State.CLOSED
    assert ERRORS[ErrorCode(error.code)].fatal


def lines_run(connection: Connection, data: bytes) -> int:
    """How many lines of Python it takes to receive the data byte by byte."""
    count = 0

    def trace(_frame: FrameType, event: str, _arg: object) -> "TraceFunction":
        nonlocal count
        count += event == "line"
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        for place in range(len(data)):
            connection.receive_data(data[place : place + 1])
    finally:
        sys.settrace(before)
    return count


def test_frame_arriving_byte_by_byte_costs_the_same_for_each_byte() -> None:
    # While a frame is incomplete, a byte is appended and nothing that came before is looked at.
    most = limits.MAX_FRAME_BYTES
    header = most.to_bytes(4, "big") + bytes([Op.SEND])
    few, many = (
        lines_run(in_state(Role.SERVER, State.READY), header + bytes(size))
        for size in (100, 10_000)
    )
    assert (many - few) / (10_000 - 100) <= 8
