"""Rows 1, 2, 3 and 21: what strangers can do to a server before they have said who they are."""

import socket
import ssl
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from protocol import limits
from protocol.client import ClientConnection
from protocol.errors import ErrorCode
from protocol.messages.session import Error, Hello
from protocol.ops import Op
from tests.hostile.attacker import raw_frame, refusal_of, until_closed
from tests.server_process import OPEN_LIMITS, ServerProcess
from tests.wire.caller import SOFTWARE, Caller, client_context
from tests.wire.identity import Credential

HELLO = ClientConnection().send(Hello(1, SOFTWARE, ()))
CYCLES = 2_000
MAX_GROWTH_KIB = 2_048
"""What memory may grow by over that many cycles, on any account: a KiB each."""
MAX_STRANGER_KIB = 160
"""A TLS connection takes about 50 KiB; a stranger's partial frame 4 more."""


def connect(port: int) -> socket.socket:
    return socket.create_connection(("127.0.0.1", port), timeout=20)


def client_hello() -> bytes:
    """Return the first flight of a TLS client."""
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    session = client_context().wrap_bio(incoming, outgoing)
    with pytest.raises(ssl.SSLWantReadError):
        session.do_handshake()
    return outgoing.read()


@pytest.mark.parametrize(
    ("head", "code"),
    [
        (b"\xff\xff\xff\xff", ErrorCode.FRAME_TOO_LARGE),
        (b"\x00\x00\x00\x00", ErrorCode.MALFORMED),
        ((limits.MAX_EARLY_FRAME_BYTES + 1).to_bytes(4, "big"), ErrorCode.FRAME_TOO_LARGE),
        (b"\x00\x00\x00\x02\xff", ErrorCode.UNKNOWN_OP),
        (b"\x00\x00\x00\x02%c" % Op.WELCOME, ErrorCode.UNKNOWN_OP),
        (b"\x00\x00\x00\x02%c" % Op.SEND, ErrorCode.UNEXPECTED_FRAME),
    ],
)
def test_server_refuses_a_first_frame_from_its_header(
    server: ServerProcess, head: bytes, code: ErrorCode
) -> None:
    assert refusal_of(server, head, logged_in=False) is code


def test_server_bounds_the_memory_of_strangers_who_never_finish_a_frame(
    server: ServerProcess,
) -> None:
    begun = raw_frame(Op.HELLO, bytes(limits.MAX_EARLY_FRAME_BYTES - 1))[:-1]
    with ExitStack() as stack:

        def stranger() -> None:
            stack.enter_context(Caller(server.port)).socket.sendall(begun)

        def weigh() -> int:
            with Caller(server.port) as witness:
                witness.hello()  # by now all of it has been read
            return server.memory_kib()["Rss"]

        for _ in range(20):
            stranger()
        before = weigh()
        for _ in range(200):
            stranger()
        assert (weigh() - before) / 200 <= MAX_STRANGER_KIB


def test_server_forgets_connections_that_were_dropped_in_the_handshake(
    server: ServerProcess,
) -> None:
    flight = client_hello()

    def drop(cycles: int) -> int:
        for cycle in range(cycles):
            with connect(server.port) as stranger:
                stranger.sendall(flight[: (cycle * 7) % len(flight)])
        with Caller(server.port) as witness:
            witness.hello()
        return server.memory_kib()["Rss"]

    before = drop(CYCLES // 4)
    assert drop(CYCLES) - before <= MAX_GROWTH_KIB


def test_server_forgets_connections_that_were_dropped_after_hello(server: ServerProcess) -> None:
    context = client_context()

    def drop(cycles: int) -> int:
        for _ in range(cycles):
            with Caller(server.port, context) as stranger:
                stranger.hello()
        return server.memory_kib()["Rss"]

    before = drop(100)
    assert drop(400) - before <= MAX_GROWTH_KIB


@pytest.fixture(scope="module")
def impatient(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    settings = {
        **OPEN_LIMITS,
        "limits.handshake_ms": 300,
        "limits.login_ms": 700,
        "limits.frame_ms": 700,
    }
    with ServerProcess(tmp_path_factory.mktemp("impatient"), settings=settings) as running:
        yield running


def test_server_ends_a_handshake_that_drips(impatient: ServerProcess) -> None:
    flight = iter(client_hello())
    with connect(impatient.port) as stranger:
        stranger.settimeout(0.05)
        assert until_closed(stranger, lambda: bytes((next(flight),))) == b""


@pytest.mark.parametrize("greeted", [False, True])
def test_server_ends_a_login_that_drips(impatient: ServerProcess, greeted: bool) -> None:
    with Caller(impatient.port) as stranger:
        if greeted:
            stranger.hello()
        rest = iter(raw_frame(Op.REGISTER, bytes(1_000)) if greeted else HELLO[:-1])
        stranger.socket.settimeout(0.05)
        heard = until_closed(stranger.socket, lambda: bytes([next(rest, 0)]) if greeted else b"")
        (said,) = stranger.connection.receive_data(heard)
    assert isinstance(said, Error)
    assert said.code == ErrorCode.DEADLINE_EXCEEDED
    assert said.retryable


def test_server_ends_a_frame_that_drips_behind_a_login(impatient: ServerProcess) -> None:
    with Caller(impatient.port) as member:
        member.register(Credential("dripping"))
        rest = iter(raw_frame(Op.SYNC, bytes(1_000)))
        member.socket.settimeout(0.05)
        heard = until_closed(member.socket, lambda: bytes((next(rest),)))
        (said,) = member.connection.receive_data(heard)
    assert isinstance(said, Error)
    assert said.code == ErrorCode.DEADLINE_EXCEEDED


def test_server_never_parses_plaintext(server: ServerProcess) -> None:
    with connect(server.port) as stranger:
        stranger.sendall(HELLO)
        heard = until_closed(stranger, bytes)
    assert SOFTWARE.encode() not in heard
    assert b"chatd" not in heard


@pytest.mark.parametrize("behind", [False, True])
def test_server_never_parses_plaintext_around_a_client_hello(
    server: ServerProcess, behind: bool
) -> None:
    flight = client_hello()
    with connect(server.port) as stranger:
        stranger.sendall(flight + HELLO if behind else HELLO + flight)
        heard = until_closed(stranger, bytes)
    assert b"chatd" not in heard
    with Caller(server.port) as witness:
        assert witness.hello().version == 1
