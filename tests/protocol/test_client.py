"""The client's side: what it may send behind LOGIN, and what it may not."""

import pytest

from protocol.codec import encode
from protocol.errors import (
    LocalProtocolError,
)
from protocol.messages.account import ListDevices
from protocol.messages.messaging import Send, Sync
from protocol.messages.session import (
    Bye,
    GoAway,
    Pong,
    ScramFirst,
)
from protocol.ops import Role
from protocol.state import State
from tests.protocol.helpers import (
    ACCEPTED,
    HELLO,
    LOGIN,
    WELCOME,
    in_state,
)


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
