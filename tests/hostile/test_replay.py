"""Row 10: what was recorded on one connection and is played again, there, elsewhere and later."""

import pytest

from protocol.errors import ErrorCode
from protocol.messages.messaging import (
    Ack,
    Acks,
    Event,
    History,
    HistoryPage,
    Read,
    Receipt,
    Sent,
)
from protocol.messages.session import Error, Hello, Ok, ScramChallenge
from tests.hostile.attacker import Scene, answers, last_words
from tests.server_process import OPEN_LIMITS, ServerProcess
from tests.wire.caller import SOFTWARE, Caller
from tests.wire.identity import Credential, Enrolment, secret_of


def recorded_login(server: ServerProcess, credential: Credential) -> bytes:
    """Log in, and return the bytes of HELLO and LOGIN."""
    with Caller(server.port) as caller:
        server_id = caller.hello().server_id
    with Caller(server.port) as caller:
        flight = caller.connection.send(Hello(1, SOFTWARE, ()))
        flight += caller.connection.send(credential.login(1, server_id, caller.certificate))
        caller.socket.sendall(flight)
        caller.receive(), caller.receive()
        assert answers(caller)
    return flight


def played(server: ServerProcess, flight: bytes) -> Error:
    """Play HELLO and LOGIN on a new connection and return what the server ended it with."""
    with Caller(server.port) as thief:
        thief.connection.send(Hello(1, SOFTWARE, ()))
        thief.socket.sendall(flight)
        thief.receive()  # WELCOME, to anybody
        said = thief.receive()
        assert isinstance(said, Error)
        return said


def test_server_refuses_a_login_played_on_a_new_connection(scene: Scene) -> None:
    flight = recorded_login(scene.server, scene.romeo_credential)
    assert played(scene.server, flight).code == ErrorCode.CREDENTIAL_ROLLED_BACK


def test_server_refuses_a_login_played_on_its_own_connection(scene: Scene) -> None:
    server, credential = scene.server, scene.romeo_credential
    with Caller(server.port) as caller:
        welcome = caller.hello()
        login = caller.connection.send(credential.login(1, welcome.server_id, caller.certificate))
        caller.socket.sendall(login)
        caller.receive()
        caller.socket.sendall(login)
        assert last_words(caller).code == ErrorCode.UNEXPECTED_FRAME


def test_server_refuses_a_login_played_after_a_restart(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    with ServerProcess(tmp_path_factory.mktemp("replay"), settings=OPEN_LIMITS) as server:
        credential = Credential("romeo")
        with Caller(server.port) as caller:
            caller.register(credential)
        flight = recorded_login(server, credential)
        server.kill()
        server.start()
        assert played(server, flight).code == ErrorCode.CREDENTIAL_ROLLED_BACK
        with Caller(server.port) as caller:
            caller.login(credential)


def test_server_refuses_a_login_signed_for_another_certificate(scene: Scene) -> None:
    with Caller(scene.server.port) as middle:
        server_id = middle.hello().server_id
        login = scene.romeo_credential.login(1, server_id, b"another certificate")
        middle.send(login)
        said = middle.receive()
    assert isinstance(said, Error)
    assert said.code == ErrorCode.AUTHENTICATION_FAILED


def test_server_refuses_a_password_exchange_played_again(scene: Scene) -> None:
    name = scene.romeo_credential.user
    with Caller(scene.server.port) as caller:
        caller.hello()
        exchange = Enrolment(Credential(name), secret_of(name), caller.certificate)
        first = caller.connection.send(exchange.first(1))
        caller.socket.sendall(first)
        challenge = caller.expect(ScramChallenge)
        final = caller.connection.send(exchange.final(2, challenge.message, "thief"))
    with Caller(scene.server.port) as thief:
        thief.hello()
        thief.socket.sendall(first)
        thief.expect(ScramChallenge)
        thief.socket.sendall(final)
        said = thief.receive()
    assert isinstance(said, Error)
    assert said.code == ErrorCode.AUTHENTICATION_FAILED


def test_server_stores_a_send_once_however_often_it_is_played(scene: Scene) -> None:
    message = scene.send(2, b"it is the east")
    frame = scene.romeo.connection.send(message)
    scene.romeo.socket.sendall(frame * 3)
    answers_given = [scene.romeo.expect(Sent) for _ in range(3)]
    assert [one == answers_given[0] for one in answers_given] == [True] * 3
    scene.romeo.close()
    with Caller(scene.server.port) as again:
        again.login(scene.romeo_credential)
        again.socket.sendall(frame)
        assert again.expect(Sent).seq == 2
        asked = History(again.next_request(), scene.conversation, 0, 0, 512, 60_000)
        assert again.call(asked, HistoryPage).head == 2
    assert scene.juliet.expect(Event).entry.seq == 2
    assert answers(scene.juliet)  # with nothing pushed before the PONG
    assert scene.juliet.pushes == []


def test_server_never_moves_back_when_old_frames_are_played(scene: Scene) -> None:
    scene.say(b"and juliet is the sun")
    old = [
        Acks((Ack(scene.conversation, 1),)),
        Read(scene.juliet.next_request(), scene.conversation, 1, True),
    ]
    new = [
        Acks((Ack(scene.conversation, 2),)),
        Read(scene.juliet.next_request(), scene.conversation, 2, True),
    ]
    for message in (*old, *new, *old):
        scene.juliet.send(message)
    for _ in range(3):
        scene.juliet.expect(Ok)
    (head,) = scene.juliet.sync().heads
    assert (head.acked, head.read) == (2, 2)
    assert answers(scene.romeo)
    marks = [(r.delivered, r.read) for r in scene.romeo.pushes if isinstance(r, Receipt)]
    assert marks == sorted(marks)
    assert marks[-1] == (2, 2)
