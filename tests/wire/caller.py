"""A blocking client: one TLS socket, one request at a time, every message by the codec.

For setting load up and for talking to a live server in tests; nothing here is fast.
"""

import socket
import ssl
from types import TracebackType
from typing import Self, TypeVar

from protocol.client import ClientConnection
from protocol.declare import Message
from protocol.messages.messaging import Sync, SyncPage
from protocol.messages.session import Accepted, Error, GoAway, Hello, ScramChallenge, Welcome
from tests.wire.identity import Credential, Enrolment, register, secret_of

M = TypeVar("M", bound=Message)

SOFTWARE = "chatd tests"
TIMEOUT_S = 20.0
"""A server that says nothing for so long has failed the test."""


class Refusal(Exception):
    """The server answered ERROR, or GOAWAY."""

    def __init__(self, answer: Error | GoAway) -> None:
        super().__init__(answer)
        self.code = answer.code
        self.answer = answer


class Closed(Exception):
    """The server closed the connection."""


def client_context() -> ssl.SSLContext:
    """Return a context that takes any certificate: who the server is, these clients know."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    return context


class Caller:
    """One connection. ``pushes`` gathers what arrived without having been asked for."""

    def __init__(
        self, port: int, context: ssl.SSLContext | None = None, *, timeout_s: float = TIMEOUT_S
    ) -> None:
        raw = socket.create_connection(("127.0.0.1", port), timeout=timeout_s)
        raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            self.socket = (context or client_context()).wrap_socket(raw)
        except BaseException:
            raw.close()
            raise
        certificate = self.socket.getpeercert(binary_form=True)
        assert certificate is not None
        self.certificate = certificate
        self.connection = ClientConnection()
        self.pushes: list[Message] = []
        self.welcome: Welcome | None = None
        self._request = 0
        self._received: list[Message] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close without a word."""
        self.socket.close()

    def next_request(self) -> int:
        """Return a request id not used before on this connection."""
        self._request += 1
        return self._request

    def send(self, *messages: Message) -> None:
        """Send messages in one flight."""
        self.socket.sendall(b"".join([self.connection.send(message) for message in messages]))

    def receive(self) -> Message:
        """Return the next message.

        Raises:
            Closed: There is none, nor will there be.
            TimeoutError: None came in time.
        """
        while not self._received:
            try:
                data = self.socket.recv(65_536)
            except (ConnectionError, ssl.SSLEOFError) as error:
                raise Closed(str(error)) from error
            if not data:
                raise Closed("end of stream")
            self._received = self.connection.receive_data(data)
            if self.connection.failure is not None:
                raise self.connection.failure
        return self._received.pop(0)

    def expect(self, kind: type[M]) -> M:
        """Return the next message of a kind; others are pushes.

        Raises:
            Refusal: ERROR or GOAWAY came instead.
        """
        while True:
            message = self.receive()
            if isinstance(message, kind):
                return message
            if isinstance(message, Error | GoAway):
                raise Refusal(message)
            self.pushes.append(message)

    def call(self, request: Message, answer: type[M]) -> M:
        """Send a request and return its answer."""
        self.send(request)
        return self.expect(answer)

    def hello(self) -> Welcome:
        """Open the conversation."""
        self.welcome = self.call(Hello(1, SOFTWARE, ()), Welcome)
        return self.welcome

    def register(
        self, credential: Credential, *, token: bytes | None = None, password: bool = False
    ) -> Accepted:
        """Make an account; with ``password`` further devices can be enrolled."""
        secret = secret_of(credential.user) if password else None
        if self.welcome is None:
            self.hello()
        request = register(self.next_request(), credential, token=token, secret=secret)
        accepted = self.call(request, Accepted)
        credential.accept(accepted)
        return accepted

    def login(self, credential: Credential) -> Accepted:
        """Log a device in."""
        welcome = self.welcome or self.hello()
        return self.call(
            credential.login(self.next_request(), welcome.server_id, self.certificate), Accepted
        )

    def enrol(self, credential: Credential) -> Accepted:
        """Enrol a further device of an account that was registered with ``password``."""
        if self.welcome is None:
            self.hello()
        exchange = Enrolment(credential, secret_of(credential.user), self.certificate)
        challenge = self.call(exchange.first(self.next_request()), ScramChallenge)
        accepted = self.call(
            exchange.final(self.next_request(), challenge.message, "second"), Accepted
        )
        exchange.verify(accepted)
        return accepted

    def sync(self, since: int = 0) -> SyncPage:
        """Subscribe and return the first page."""
        return self.call(Sync(self.next_request(), since, 0), SyncPage)
