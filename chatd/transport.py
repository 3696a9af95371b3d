"""Between a socket and the sans-IO connection: one :class:`Peer` for each client.

Input goes through receive buffers shared by all (frames are cut out of them at once), output is
gathered for a tick and leaves in one write. The outbox is bounded: over the bound nothing is
pushed to this client any more, and nothing is read from it, until it has caught up.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, Final, cast

from chatd.certificate import CertificateInfo
from chatd.log import get
from chatd.tls import context_info
from chatd.tls_channel import RECORD_BYTES, TlsChannel, TlsFailed
from protocol import limits
from protocol.codec import encode
from protocol.connection import farewell
from protocol.declare import Message
from protocol.errors import ERRORS, ErrorCode, LocalProtocolError, RemoteProtocolError
from protocol.messages.session import Error, GoAway
from protocol.server import ServerConnection
from protocol.state import State

if TYPE_CHECKING:
    from chatd.hub import Hub
    from chatd.session import Session

log = get(__name__)

RECEIVE_BYTES: Final = 65_536
"""The shared receive buffer: whatever one read brings is parsed before the next."""

# Why a peer is not read from; reading goes on when no reason is left.
HELD: Final = 1
"""A login is pending."""
SLOW: Final = 2
"""Its outbox is full."""
QUEUED: Final = 4
"""The writer's queue is full."""
MANY: Final = 8
"""Too many of its requests are unanswered."""
HASTY: Final = 16
"""It acknowledges or pings faster than its budget."""
BUSY: Final = 32
"""What it sent in one flight is handled over several turns of the loop."""

MOST_A_TURN: Final = 64
"""Messages of one peer that are handled before the others get their turn: a millisecond or two,
where a read full of the smallest frames would keep the loop for more than 100."""


class Peer(asyncio.BufferedProtocol):
    """One connection."""

    __slots__ = (
        "_hub",
        "_left",
        "_out",
        "_paused",
        "_pushed_bytes",
        "_rest",
        "_tls",
        "_transport",
        "address",
        "certificate",
        "closing",
        "connection",
        "heard",
        "in_flight",
        "login",
        "partial_since",
        "session",
        "since",
        "slow",
    )

    def __init__(self, hub: Hub) -> None:
        self._hub = hub
        self._out: list[bytes] = []
        self._paused = 0
        self._pushed_bytes = 0
        self._left = MOST_A_TURN
        self._rest: list[Message] = []
        """Parsed, to be handled in the next turn; what came behind them stays encrypted."""
        self._transport: asyncio.Transport | None = None
        self._tls = hub.channel()
        self.connection = ServerConnection()
        self.session: Session | None = None
        self.login: object = None
        """What the login service keeps between two frames."""
        self.address = ""
        self.certificate: CertificateInfo | None = None
        """The certificate that this connection saw; None without TLS."""
        self.closing = False
        self.slow = False
        self.in_flight = 0
        self.since = self.heard = hub.tick
        self.partial_since = 0

    # Called by the loop.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Register with the hub, or be turned away."""
        self._transport = cast(asyncio.Transport, transport)
        self._transport.set_write_buffer_limits(high=self._hub.outbox_bytes)
        peername = transport.get_extra_info("peername")
        self.address = str(peername[0]) if peername else ""
        refusal = self._hub.admit(self)
        if refusal is not None:
            self.refuse(refusal)

    def get_buffer(self, _hint: int) -> memoryview:
        """Lend the shared buffer: it is parsed before anybody else receives."""
        return self._hub.receive_view

    def buffer_updated(self, count: int) -> None:
        """Cut frames out of the shared buffer and handle them."""
        view = self._hub.receive_view
        self._left = MOST_A_TURN
        if self._tls is None:
            if not self.closing:
                self._handle(self.connection.receive_data(view[:count]))
            return
        for start in range(0, count, RECORD_BYTES):
            if not self.closing:
                self._decrypt(self._tls, view[start : min(start + RECORD_BYTES, count)])

    def pause_writing(self) -> None:
        """The outbox is full: push nothing, read nothing."""
        self.slow = True
        self.pause(SLOW)

    def resume_writing(self) -> None:
        """The outbox was emptied."""
        self.slow = False
        self.resume(SLOW)
        if self.session is not None and not self.closing:
            self.session.caught_up()

    def eof_received(self) -> bool:
        """Close: half-open connections serve nobody."""
        return False

    def connection_lost(self, _error: Exception | None) -> None:
        """Leave the hub."""
        self.closing = True
        self.connection.close()
        self._out.clear()
        self._rest.clear()
        self._hub.leave(self)

    # Called by the daemon.

    def write(self, frame: bytes) -> None:
        """Send a frame at the end of this tick."""
        if not self._out:
            if self.closing:
                return
            self._hub.flush_later(self)
        self._out.append(frame)

    def push(self, frame: bytes) -> None:
        """Send a frame like :meth:`write`; whether the outbox is full shows within the tick.

        One batch may hold more for one client than its outbox takes.
        """
        if not self._out:
            if self.closing:
                return
            self._hub.flush_later(self)
        self._out.append(frame)
        self._pushed_bytes += len(frame)
        if self._pushed_bytes >= self._hub.outbox_bytes:
            self.flush()

    def send(self, message: Message) -> None:
        """Encode a message and send it at the end of this tick."""
        if self.closing or self.connection.failure is not None:
            return  # the peer's error, which came in the same flight, is the last word
        try:
            self.write(self.connection.send(message))
        except LocalProtocolError as error:
            log.error("bug_local_protocol", reason=str(error))
            self.abort()

    def reply(self, message: Message) -> None:
        """Answer a request that was counted by :meth:`begin_request`."""
        self.in_flight -= 1
        if self._paused & MANY and self.in_flight < limits.MAX_REQUESTS_IN_FLIGHT // 2:
            self.resume(MANY)
        self.send(message)

    def error(self, request: int, code: ErrorCode, retry_after_ms: int = 0) -> None:
        """Answer a counted request with an error."""
        info = ERRORS[code]
        self.reply(Error(request, code, info.text, info.retryable, retry_after_ms))

    def begin_request(self) -> None:
        """Count a request; over the bound nothing is read until some are answered."""
        self.in_flight += 1
        if self.in_flight >= limits.MAX_REQUESTS_IN_FLIGHT:
            self.pause(MANY)

    def flush(self) -> None:
        """Hand what was gathered to the transport, in one write."""
        if self._out and self._transport is not None:
            out, self._out = self._out, []
            self._pushed_bytes = 0
            data = out[0] if len(out) == 1 else b"".join(out)
            tls = self._tls
            if tls is None:
                self._transport.write(data)
            elif tls.open:
                self._encrypt(tls, data)

    def release(self) -> None:
        """The pending login was answered: parse what came behind it."""
        self.resume(HELD)
        self._left = MOST_A_TURN
        if not self.closing and not self.connection.held:
            self._handle(self.connection.receive_data(b""))

    def go_on(self) -> None:
        """Handle what the last turn left, then what came behind it."""
        if self._paused != BUSY:
            return  # there is another reason to wait; ``resume`` calls again
        self._left = MOST_A_TURN
        rest, self._rest = self._rest, []
        if not self.closing:
            self._handle(rest)
        if self._tls is not None and not self._rest:
            self._read(self._tls)
        if not self._rest:
            self.resume(BUSY)

    def pause(self, reason: int) -> None:
        """Stop reading for a reason."""
        if not self._paused and self._transport is not None and not self.closing:
            self._transport.pause_reading()
        self._paused |= reason

    def resume(self, reason: int) -> None:
        """Read again, if that was the last reason."""
        if not self._paused & reason:
            return
        self._paused &= ~reason
        if not self._paused and self._transport is not None and not self.closing:
            self.heard = self._hub.tick  # the silence was ours
            if self.partial_since:
                self.partial_since = self.heard
            self._transport.resume_reading()
        elif self._paused == BUSY and reason != BUSY:
            self._hub.environment.call_soon(self.go_on)

    @property
    def paused_by_us(self) -> bool:
        """Whether this peer is silent because it is not read from; its own slowness aside."""
        return self._paused & ~(SLOW | BUSY) != 0

    @property
    def hasty(self) -> bool:
        """Whether it has to wait for its budget already."""
        return self._paused & HASTY != 0

    def refuse(self, code: ErrorCode, retry_after_ms: int = 0) -> None:
        """Tell a fatal error without a request, then close."""
        if self.closing:
            return
        info = ERRORS[code]
        self.write(encode(Error(None, code, info.text, info.retryable, retry_after_ms)))
        self.close()

    def go_away(self, code: ErrorCode, reconnect_after_ms: int = 0, *, close: bool = True) -> None:
        """Tell the client to leave, and why."""
        if self.connection.state in (State.READY, State.DRAINING):
            self.send(GoAway(code, reconnect_after_ms))
            if close:
                self.close()
        else:
            self.refuse(code, reconnect_after_ms)

    def close(self) -> None:
        """Send what was gathered, then close."""
        if self.closing:
            return
        self.flush()
        self.closing = True
        self.connection.close()
        if self._transport is not None:
            if self._tls is not None:
                self._transport.write(self._tls.shut())
            self._transport.close()
            self._hub.abort_later(self)

    def abort(self) -> None:
        """Close at once."""
        self.closing = True
        self.connection.close()
        if self._transport is not None:
            self._transport.abort()

    @property
    def shaking_hands(self) -> bool:
        """Whether the TLS handshake is not complete yet."""
        return self._tls is not None and not self._tls.open

    def _encrypt(self, tls: TlsChannel, data: bytes) -> None:
        assert self._transport is not None
        try:
            self._transport.write(tls.encrypt(data))
        except TlsFailed as error:
            log.debug("tls_failed", address=self.address, reason=str(error))
            self.abort()

    def _decrypt(self, tls: TlsChannel, data: memoryview) -> None:
        try:
            if tls.open:
                tls.feed(data)
            else:
                self._shake_hands(tls, data)
        except TlsFailed as error:
            log.debug("tls_failed", address=self.address, reason=str(error))
            self.close()
        else:
            self._read(tls)

    def _read(self, tls: TlsChannel) -> None:
        plain = self._hub.plain_view
        try:
            while not self._rest and not self.closing and (count := tls.read(plain)):
                self._handle(self.connection.receive_data(plain[:count]))
        except TlsFailed as error:
            log.debug("tls_failed", address=self.address, reason=str(error))
            self.close()

    def _shake_hands(self, tls: TlsChannel, data: memoryview) -> None:
        assert self._transport is not None
        tls.feed(data)
        answer = tls.take()
        if answer:
            self._transport.write(answer)
        if tls.open:
            self.certificate = context_info(tls.context)

    def _handle(self, messages: list[Message]) -> None:
        hub = self._hub
        self.heard = hub.tick
        handlers = hub.handlers
        if len(messages) > self._left:
            messages, self._rest = messages[: self._left], messages[self._left :]
        self._left -= len(messages)
        for message in messages:
            if self.closing:
                return
            handlers[message.OP](self, message)
        if self._rest:
            self.pause(BUSY)
            hub.environment.call_soon(self.go_on)
            return
        connection = self.connection
        if connection.held:
            self.pause(HELD)
        elif connection.failure is not None:
            self._break(connection.failure)
        elif not connection.buffered_bytes:
            self.partial_since = 0
        elif messages or not self.partial_since:
            self.partial_since = hub.tick
        if hub.committer.full and not self.closing:
            self.pause(QUEUED)
            hub.when_free(self)

    def _break(self, failure: RemoteProtocolError) -> None:
        log.info(
            "protocol_error", address=self.address, code=failure.code.name, reason=str(failure)
        )
        self.write(farewell(failure))
        self.close()


Handler = Callable[[Peer, Message], None]
