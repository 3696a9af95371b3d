"""One connection: bytes to messages and back, answers to their callers, the rest to one reader.

No policy stands here: what a message means, and when to give up, the session knows.
"""

import asyncio
import ssl
from typing import Final, cast

from clients.sdk.environment import Environment
from clients.sdk.errors import ChatError, ServerBroke, ServerNotTrusted, Unreachable, from_wire
from clients.sdk.identity import PLAINTEXT, Peer, peer_of
from protocol import limits
from protocol.client import ClientConnection
from protocol.declare import Message
from protocol.errors import LocalProtocolError
from protocol.messages.session import Error

MAX_UNREAD: Final = 1_024
"""Messages received and not yet taken by the reader; above it the socket is not read: TCP then
slows the server down, which falls back on its log."""


class Link(asyncio.Protocol):
    """An asyncio protocol around the sans-IO connection."""

    def __init__(self, environment: Environment) -> None:
        self._environment = environment
        self._connection = ClientConnection()
        self._transport: asyncio.Transport | None = None
        self._unread: list[Message] = []
        self._wake: asyncio.Future[None] | None = None
        self._answers: dict[int, asyncio.Future[Message]] = {}
        self._last_request = 0
        self._lost: ChatError | None = None
        self._paused = False
        self._gone = asyncio.get_running_loop().create_future()
        self.peer: Peer = PLAINTEXT
        """What TLS showed; set once connected."""
        self.sent_ms = self.received_ms = environment.monotonic_ms()
        """When the last frame left, and when the last bytes came."""

    @classmethod
    async def open(
        cls, environment: Environment, host: str, port: int, tls: ssl.SSLContext | None
    ) -> "Link":
        """Connect.

        Raises:
            Unreachable: Nobody answers there.
            ServerNotTrusted: TLS failed: with an authority, the certificate does not hold.
        """
        link: list[Link] = []

        def factory() -> asyncio.Protocol:
            link.append(cls(environment))
            return link[-1]

        try:
            await environment.connect(host, port, tls, factory)
        except ssl.SSLCertVerificationError as error:
            raise ServerNotTrusted(
                f"the certificate of {host}:{port} does not hold: {error.verify_message}"
            ) from error
        except OSError as error:
            reason = error.strerror or str(error) or "no answer in time"
            raise Unreachable(f"cannot reach {host}:{port}: {reason}") from error
        opened = link[-1]
        try:
            opened._see_peer()
        except ServerNotTrusted as error:
            opened.abort(error)
            raise
        return opened

    def _see_peer(self) -> None:
        assert self._transport is not None
        shown = self._transport.get_extra_info("ssl_object")
        if shown is None:
            return
        certificate = shown.getpeercert(binary_form=True)
        if certificate is None:
            self.abort(ServerNotTrusted("the server showed no certificate"))
            return
        self.peer = peer_of(certificate)

    # The transport's calls.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        """Cut messages out; wake the reader and the callers."""
        self.received_ms = self._environment.monotonic_ms()
        for message in self._connection.receive_data(data):
            request = getattr(message, "request", None)
            answer = None if request is None else self._answers.pop(request, None)
            if answer is None:
                self._unread.append(message)
            elif not answer.done():
                answer.set_result(message)
        failure = self._connection.failure
        if failure is not None:
            self.abort(ServerBroke(f"the server broke the protocol: {failure}"))
        if len(self._unread) > MAX_UNREAD and not self._paused and self._transport is not None:
            self._paused = True
            self._transport.pause_reading()
        if self._unread:
            self._awake()

    def connection_lost(self, error: Exception | None) -> None:
        """Tell everybody who waits."""
        self._transport = None
        self._lose(Unreachable("the connection was lost"))
        if not self._gone.done():
            self._gone.set_result(None)

    # The session's calls.

    @property
    def alive(self) -> bool:
        """Whether something can still be sent."""
        return self._lost is None

    def next_request(self) -> int:
        """Return a request id that no unanswered request has."""
        self._last_request = self._last_request % limits.MAX_U32 + 1
        return self._last_request

    def send(self, message: Message) -> None:
        """Send a message; a lost connection swallows it: its reader is told anyway.

        Raises:
            LocalProtocolError: It is not legal now: a bug.
        """
        if self._lost is None and self._transport is not None:
            self._transport.write(self._connection.send(message))
            self.sent_ms = self._environment.monotonic_ms()

    async def call(self, message: Message) -> Message:
        """Send a request and return its answer.

        Raises:
            ChatError: What the server's ERROR means.
            Unreachable: The connection was lost before the answer: the outcome is unknown.
        """
        if self._lost is not None:
            raise self._lost
        request: int = message.request  # type: ignore[attr-defined]  # requests alone are called
        answer: asyncio.Future[Message] = asyncio.get_running_loop().create_future()
        self._answers[request] = answer
        try:
            self.send(message)
            found = await answer
        finally:
            self._answers.pop(request, None)
        if isinstance(found, Error):
            raise from_wire(found.code, found.text, found.retryable, found.retry_after_ms)
        return found

    async def receive(self) -> list[Message]:
        """Return everything that came and answers no call, at least one message, in order.

        Raises:
            ChatError: The connection is over, and why; everything before was returned.
        """
        while not self._unread:
            if self._lost is not None:
                raise self._lost
            self._wake = asyncio.get_running_loop().create_future()
            await self._wake
        batch, self._unread = self._unread, []
        if self._paused and self._transport is not None:
            self._paused = False
            self._transport.resume_reading()
        return batch

    async def receive_one(self) -> Message:
        """Return the next message, as :meth:`receive` does."""
        first, *rest = await self.receive()
        self._unread[:0] = rest
        return first

    def abort(self, reason: ChatError) -> None:
        """End the connection at once."""
        self._lose(reason)
        if self._transport is not None:
            self._transport.abort()

    async def close(self, last: Message | None = None) -> None:
        """Send a last message and end the connection; returns once it is gone."""
        if last is not None:
            try:
                self.send(last)
            except LocalProtocolError:
                pass  # the state no longer allows a farewell
        self._lose(Unreachable("the connection was closed"))
        if self._transport is not None:
            self._transport.close()
            # A peer that does not finish the TLS closure is not waited for.
            timer = self._environment.call_later(1_000, self._abort_transport)
            try:
                await asyncio.shield(self._gone)
            finally:
                timer.cancel()

    def _abort_transport(self) -> None:
        if self._transport is not None:
            self._transport.abort()

    def _lose(self, reason: ChatError) -> None:
        if self._lost is None:
            self._lost = reason
            self._connection.close()
            for answer in self._answers.values():
                if not answer.done():
                    answer.set_exception(reason)
            self._answers.clear()
        self._awake()

    def _awake(self) -> None:
        if self._wake is not None and not self._wake.done():
            self._wake.set_result(None)
