"""One connection: splits, holds, bounds, and what it does with a peer that breaks the protocol."""

import pytest

from protocol import limits
from protocol.codec import encode
from protocol.connection import farewell, frame_limit_bytes
from protocol.errors import (
    ERRORS,
    ErrorCode,
    FrameTooLarge,
    LocalProtocolError,
    Malformed,
    UnexpectedFrame,
    UnknownOp,
)
from protocol.messages.account import ListDevices
from protocol.messages.messaging import Send, Sync
from protocol.messages.session import (
    Bye,
    Error,
    GoAway,
    Hello,
    Ping,
    Pong,
    ScramChallenge,
    ScramFirst,
)
from protocol.ops import Op, Role
from protocol.server import ServerConnection
from protocol.state import State
from tests.protocol.helpers import (
    ACCEPTED,
    HELLO,
    LOGIN,
    WELCOME,
    feed,
    fresh,
    in_state,
    raw,
    three_ways,
)

PINGS = encode(Ping(1)) + encode(Ping(2))


def held_server(behind: bytes = b"") -> ServerConnection:
    connection = ServerConnection()
    connection.receive_data(encode(HELLO))
    connection.send(WELCOME)
    assert connection.receive_data(encode(LOGIN) + behind) == [LOGIN]
    assert connection.held
    return connection


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


def test_server_parses_nothing_while_a_login_is_pending() -> None:
    connection = held_server(PINGS)
    assert connection.receive_data(b"\xff" * 100) == []
    assert connection.failure is None
    assert connection.buffered_bytes == len(PINGS) + 100


def test_server_parses_what_waited_when_the_login_is_accepted() -> None:
    connection = held_server(PINGS)
    connection.send(ACCEPTED)
    assert connection.receive_data(b"") == [Ping(1), Ping(2)]


def test_server_parses_a_short_frame_behind_a_login_that_came_in_pieces() -> None:
    # Regression: the length of the split LOGIN frame was still waited for after the hold.
    connection = ServerConnection()
    connection.receive_data(encode(HELLO))
    connection.send(WELCOME)
    login = encode(LOGIN)
    connection.receive_data(login[:20])
    assert connection.receive_data(login[20:]) == [LOGIN]
    connection.receive_data(encode(Ping(7)))
    connection.send(ACCEPTED)
    assert connection.receive_data(b"") == [Ping(7)]


def test_server_parses_on_after_a_scram_challenge() -> None:
    connection = ServerConnection()
    first = ScramFirst(1, b"n,,n=romeo,r=x")
    connection.receive_data(encode(HELLO))
    connection.send(WELCOME)
    connection.receive_data(encode(first) + encode(Bye()))
    assert connection.held
    connection.send(ScramChallenge(1, b"r=xy"))
    assert connection.receive_data(b"") == [Bye()]


@pytest.mark.parametrize("split", [1, 7, limits.MAX_HELD_BYTES])
def test_server_holds_up_to_the_bound_and_not_a_byte_more(split: int) -> None:
    behind = bytes(limits.MAX_HELD_BYTES)
    connection = held_server(behind[:split])
    connection.receive_data(behind[split:])
    assert (connection.failure, connection.buffered_bytes) == (None, limits.MAX_HELD_BYTES)
    connection.receive_data(b"\0")
    assert isinstance(connection.failure, FrameTooLarge)
    assert connection.state is State.CLOSED
    assert connection.buffered_bytes == 0


def test_server_refuses_a_flight_over_the_held_bound_in_one_piece() -> None:
    connection = ServerConnection()
    connection.receive_data(encode(HELLO))
    connection.receive_data(encode(LOGIN) + bytes(limits.MAX_HELD_BYTES + 1))
    assert isinstance(connection.failure, FrameTooLarge)


@pytest.mark.parametrize("answer", [GoAway(53, 0), Error(1, 10, "", False, 0)])
def test_server_ends_a_hold_when_it_refuses_the_login(answer: GoAway | Error) -> None:
    connection = held_server(PINGS)
    connection.send(answer)
    assert (connection.held, connection.state, connection.buffered_bytes) == (
        False,
        State.CLOSED,
        0,
    )
    assert connection.receive_data(b"") == []


def test_server_ignores_input_that_arrives_after_the_close() -> None:
    # Regression: bytes behind BYE made a failure if they came in another piece.
    connection = in_state(Role.SERVER, State.READY)
    assert connection.receive_data(encode(Bye())) == [Bye()]
    assert connection.receive_data(PINGS) == []
    assert connection.failure is None
    connection = held_server()
    connection.close()
    connection.receive_data(bytes(limits.MAX_HELD_BYTES + 1))
    assert (connection.failure, connection.buffered_bytes, connection.held) == (None, 0, False)


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


def test_client_may_send_a_session_behind_login() -> None:
    connection = in_state(Role.CLIENT, State.CONNECTED)
    for message in (HELLO, LOGIN, Sync(2, 0, 0), Send(3, bytes(32), 1, bytes(16), b"\x90", b"")):
        connection.send(message)
    data = encode(WELCOME) + encode(ACCEPTED) + encode(Pong(1))
    assert connection.receive_data(data) == [WELCOME, ACCEPTED, Pong(1)]
    assert connection.state is State.READY


def test_client_may_not_send_a_session_before_login() -> None:
    connection = in_state(Role.CLIENT, State.CONNECTED)
    connection.send(HELLO)
    with pytest.raises(LocalProtocolError, match="SYNC"):
        connection.send(Sync(1, 0, 0))
    connection.send(ScramFirst(1, b"n"))
    with pytest.raises(LocalProtocolError, match="LIST_DEVICES"):
        connection.send(ListDevices(2))


def test_client_may_not_log_in_again_behind_login() -> None:
    connection = in_state(Role.CLIENT, State.CONNECTED)
    connection.send(HELLO)
    connection.send(LOGIN)
    for message in (LOGIN, HELLO, ScramFirst(2, b"n")):
        with pytest.raises(LocalProtocolError, match="behind LOGIN"):
            connection.send(message)
    with pytest.raises(LocalProtocolError, match="GOAWAY must not be sent"):
        connection.send(GoAway(53, 0))


def test_client_is_closed_when_it_says_bye_behind_login() -> None:
    # Regression: it stayed in AUTHENTICATING.
    connection = in_state(Role.CLIENT, State.CONNECTED)
    connection.send(HELLO)
    connection.send(LOGIN)
    connection.send(Bye())
    assert connection.state is State.CLOSED


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
