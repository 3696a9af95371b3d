"""How the tests of the wire feed a connection: whole, byte by byte, and with more behind it."""

from collections.abc import Iterable

from protocol.client import ClientConnection
from protocol.codec import HEADER
from protocol.connection import Connection
from protocol.declare import MESSAGES, Message
from protocol.errors import ErrorCode, RemoteProtocolError
from protocol.messages.session import Accepted, GoAway, Hello, Login, Welcome
from protocol.ops import Op, Role
from protocol.server import ServerConnection
from protocol.state import State

HELLO = Hello(1, "test", ())
WELCOME = Welcome(1, "test", (), bytes(16), bytes(32), bytes(32), 0, 1, bytes(64), 60_000)
LOGIN = Login(1, "romeo", 1, 1, bytes(64))
ACCEPTED = Accepted(1, "romeo", 1, None)

Outcome = tuple[list[Message], type[RemoteProtocolError] | None, State]


def raw(op: int, body: bytes) -> bytes:
    """A frame with its header, whatever the body."""
    return HEADER.pack(len(body) + 1, op) + body


def fresh(role: Role) -> Connection:
    """A connection on which nothing has happened."""
    return ServerConnection() if role is Role.SERVER else ClientConnection()


def in_state(role: Role, state: State) -> Connection:
    """A connection that came to a state by legal moves alone."""
    client = fresh(Role.CLIENT)
    server = fresh(Role.SERVER)
    steps = [(client, HELLO), (server, WELCOME), (client, LOGIN), (server, ACCEPTED)]
    steps = {State.CONNECTED: [], State.AUTHENTICATING: steps[:2]}.get(state, steps)
    if state is State.DRAINING:
        steps = [*steps, (server, GoAway(ErrorCode.DRAINING, 0))]
    for sender, message in steps:
        frame = sender.send(message)
        receiver = client if sender is server else server
        assert receiver.receive_data(frame) == [message]
    connection = server if role is Role.SERVER else client
    if state is State.CLOSED:
        connection.close()
    assert connection.state is state
    return connection


def outcome(connection: Connection, messages: list[Message]) -> Outcome:
    failure = connection.failure
    return messages, None if failure is None else type(failure), connection.state


def feed(connection: Connection, pieces: Iterable[bytes | memoryview]) -> Outcome:
    """Receive the pieces in order and return what came of it."""
    messages: list[Message] = []
    for piece in pieces:
        messages += connection.receive_data(piece)
    return outcome(connection, messages)


def three_ways(role: Role, state: State, data: bytes, trailing: bytes = b"") -> Outcome:
    """Receive whole, byte by byte and with trailing bytes; all must give the same.

    Args:
        trailing: Put behind the data in the third way; the start of a frame by default.

    Returns:
        The messages, the failure's type and the state.
    """
    whole = feed(in_state(role, state), [data])
    single = feed(in_state(role, state), [bytes([byte]) for byte in data])
    assert single == whole, "byte by byte differs"
    more = feed(in_state(role, state), [data + (trailing or b"\x00\x00")])
    assert more == whole, "trailing bytes change what came before them"
    view = feed(in_state(role, state), [memoryview(bytearray(data))])
    assert view == whole, "a memoryview differs"
    return whole


def sender_of(op: Op) -> Role:
    """Which role sends an op."""
    return MESSAGES[op].SENDER
