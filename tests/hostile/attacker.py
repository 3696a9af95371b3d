"""Sockets that do not keep to the protocol, and frames that no codec would make."""

import socket
import ssl
import struct
from collections.abc import Callable, Iterator
from itertools import count

import msgpack

from protocol.connection import Connection
from protocol.declare import Message
from protocol.derive import direct_id
from protocol.errors import ErrorCode
from protocol.header import PLAIN
from protocol.messages.messaging import Event, Send, Sent
from protocol.messages.session import Error, Ping, Pong
from protocol.ops import Op
from tests.server_process import ServerProcess
from tests.wire.caller import Caller, Closed
from tests.wire.identity import Credential

_names: Iterator[int] = count(1)


def raw_frame(op: int, body: bytes) -> bytes:
    """Return a frame of whatever bytes."""
    return struct.pack(">IB", len(body) + 1, op) + body


def packed(op: int, *fields: object) -> bytes:
    """Return a frame of whatever fields; integers may be out of every bound."""
    return raw_frame(op, msgpack.packb(fields, use_bin_type=True))


def user(server: ServerProcess, role: str) -> tuple[Caller, Credential]:
    """Register somebody new on a new connection, and subscribe."""
    credential = Credential(f"{role}{next(_names)}")
    caller = Caller(server.port)
    try:
        caller.register(credential, password=True)
        caller.sync()
    except BaseException:
        caller.close()
        raise
    return caller, credential


class Scene:
    """Romeo and Juliet have a conversation of one entry."""

    def __init__(self, server: ServerProcess) -> None:
        self.server = server
        self.romeo, self.romeo_credential = user(server, "romeo")
        self.juliet, self.juliet_credential = user(server, "juliet")
        self.conversation = direct_id(self.romeo_credential.user, self.juliet_credential.user)
        self.n = 0
        self.say(b"but soft")

    def say(self, body: bytes, header: bytes = PLAIN) -> Sent:
        """Romeo speaks, and Juliet hears it."""
        self.n += 1
        sent = self.romeo.call(self.send(self.n, body, header), Sent)
        heard = self.juliet.expect(Event)
        assert heard.entry.seq == sent.seq
        return sent

    def send(self, n: int, body: bytes, header: bytes = PLAIN) -> Send:
        """Return Romeo's message ``n``."""
        message_id = n.to_bytes(16, "big")
        peer = self.juliet_credential.user
        request = self.romeo.next_request()
        return Send(request, self.conversation, n, message_id, header, body, peer)

    def close(self) -> None:
        """Leave."""
        self.romeo.close()
        self.juliet.close()


def last_words(caller: Caller) -> Error:
    """Return the fatal error after which the server closed."""
    said = caller.receive()
    while not (isinstance(said, Error) and said.request is None):
        said = caller.receive()
    try:
        extra = caller.receive()
    except Closed:
        return said
    raise AssertionError(f"the server went on with {extra}")


def refusal_of(server: ServerProcess, data: bytes, *, logged_in: bool) -> ErrorCode:
    """Send bytes on a new connection and return the code that it was closed with."""
    if logged_in:
        caller, _ = user(server, "attacker")
    else:
        caller = Caller(server.port)
    with caller:
        caller.socket.sendall(data)
        return ErrorCode(last_words(caller).code)


def answers(caller: Caller) -> bool:
    """Whether the connection is alive and in step."""
    return caller.call(Ping(4_711), Pong) == Pong(4_711)


def reply(caller: Caller, frame: bytes, op: Op) -> Message:
    """Send a ready-made frame of ``op`` and return the next message."""
    caller.socket.sendall(Connection.relay(caller.connection, op, frame))
    return caller.receive()


def until_closed(sock: socket.socket, drip: Callable[[], bytes]) -> bytes:
    """Send what ``drip`` gives whenever the server has been silent for the socket's timeout.

    Returns:
        Everything that the server said until it closed.
    """
    heard = b""
    while True:
        try:
            data = sock.recv(65_536)
        except TimeoutError:
            try:
                sock.sendall(drip())
            except (OSError, ssl.SSLError):
                return heard
            continue
        except (ConnectionError, ssl.SSLError):
            return heard
        if not data:
            return heard
        heard += data
