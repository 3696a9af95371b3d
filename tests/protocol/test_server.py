"""The server's side: it parses nothing behind a login until that is answered, within a bound."""

import pytest

from protocol import limits
from protocol.codec import encode
from protocol.errors import (
    FrameTooLarge,
)
from protocol.messages.session import (
    Bye,
    Error,
    GoAway,
    Ping,
    ScramChallenge,
    ScramFirst,
)
from protocol.ops import Role
from protocol.server import ServerConnection
from protocol.state import State
from tests.protocol.helpers import (
    ACCEPTED,
    HELLO,
    LOGIN,
    WELCOME,
    in_state,
)

PINGS = encode(Ping(1)) + encode(Ping(2))


def held_server(behind: bytes = b"") -> ServerConnection:
    connection = ServerConnection()
    connection.receive_data(encode(HELLO))
    connection.send(WELCOME)
    assert connection.receive_data(encode(LOGIN) + behind) == [LOGIN]
    assert connection.held
    return connection


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
