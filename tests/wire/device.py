"""A device that never gives up: connects, catches up, sends, and writes down all it sees.

HELLO, LOGIN, SYNC and every unanswered send leave in one flight. Whatever breaks, the next
connection repeats what is still in the outbox, and HISTORY fills what was missed.
"""

import asyncio
import ssl
from collections.abc import Callable
from random import Random
from typing import Any, Final, cast

from protocol import limits
from protocol.client import ClientConnection
from protocol.declare import Message
from protocol.errors import ErrorCode
from protocol.messages.messaging import (
    Ack,
    Acks,
    Event,
    History,
    HistoryPage,
    Read,
    Receipt,
    Resync,
    Sent,
    Sync,
    SyncPage,
)
from protocol.messages.session import Accepted, Error, GoAway, Hello, Ok, Welcome
from protocol.ops import Op
from tests.checker import Acknowledged, Device, Head, Pushed, Record, Session, Watermark
from tests.wire.caller import SOFTWARE, client_context
from tests.wire.identity import Credential
from tests.wire.talk import Talk, entry_of

MAX_WINDOW: Final = 8
"""Unanswered sends of a device in a conversation; the wire allows 32."""
MAX_BODY_BYTES: Final = 300
READ_EVERY: Final = 20
"""One acknowledgement in so many is followed by a read mark."""
RETRY_S: Final = 0.02
_LOGIN, _SYNC, _READ, _HISTORY = range(4)
"""Request ids below 1 << 24 are the session's own; conversations are numbered from 1."""


class Surprise(Exception):
    """The server said what no fault explains."""


class _Stream(asyncio.BufferedProtocol):
    """Hands whole messages to the device."""

    def __init__(self, device: "OutboxDevice") -> None:
        self._device = device
        # A view: the ssl module of asyncio slices it to read on behind what it has.
        self._buffer = memoryview(bytearray(65_536))
        self.connection = ClientConnection()
        self.lost = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)
        certificate = transport.get_extra_info("ssl_object").getpeercert(binary_form=True)
        self._device.begin(self, certificate)

    def get_buffer(self, sizehint: int) -> memoryview:
        return self._buffer

    def buffer_updated(self, nbytes: int) -> None:
        messages = self.connection.receive_data(self._buffer[:nbytes])
        try:
            if self.connection.failure is not None:
                raise Surprise(str(self.connection.failure))
            self._device.handle(messages)
        except Surprise as error:
            self._fail(error)

    def connection_lost(self, error: Exception | None) -> None:
        if not self.lost.done():
            self.lost.set_result(None)

    def _fail(self, error: Surprise) -> None:
        if not self.lost.done():
            self.lost.set_exception(error)
        self.cut()

    def cut(self) -> None:
        """Abort the connection, once the transport is done with what it is doing now."""
        asyncio.get_running_loop().call_soon(self.transport.abort)

    def write(self, op: Op, frame: bytes) -> None:
        """Send an encoded frame."""
        self.transport.write(self.connection.relay(op, frame))

    def send(self, *messages: Message) -> None:
        """Send messages in one write."""
        self.transport.write(b"".join([self.connection.send(message) for message in messages]))


class OutboxDevice:
    """One device of one user, and all its conversations."""

    def __init__(
        self,
        credential: Credential,
        server_id: bytes,
        port: int,
        records: list[Record],
        seed: int,
        peers: dict[bytes, str],
    ) -> None:
        """``peers`` names the other user of each conversation; ``records`` is shared by all."""
        self.device = Device(credential.user, credential.device)
        self.talks = {cid: Talk(at, cid, user) for at, (cid, user) in enumerate(peers.items(), 1)}
        self.acknowledged = 0  # SENTs received
        self.repeated = 0  # sends repeated because their outcome was unknown or a refusal
        self.talking = True  # makes up new messages
        self._by_number = {talk.number: talk for talk in self.talks.values()}
        self._credential = credential
        self._server_id = server_id
        self._port = port
        self._records = records
        self._random = Random(seed)
        self._context: ssl.SSLContext = client_context()
        self._stream: _Stream | None = None
        self._ready = False
        self._commit = 0  # of the last complete SYNC
        self._sync_commit = 0
        self._stopping = False
        self.failure: BaseException | None = None
        self._handlers: dict[type, Callable[[Any], None]] = {  # Any: each takes its own message
            Welcome: lambda _message: None,
            Ok: lambda _message: None,
            Accepted: lambda _message: self._records.append(Session(self.device)),
            SyncPage: self._on_sync_page,
            Event: self._on_event,
            Sent: self._on_sent,
            Receipt: self._on_receipt,
            HistoryPage: self._on_history_page,
            Resync: lambda _message: self._sync(0),
            Error: self._on_error,
            GoAway: lambda _message: None,  # the end of the connection follows
        }

    async def run(self) -> None:
        """Stay connected until told to stop.

        Raises:
            Surprise: The server said what no fault explains.
        """
        loop = asyncio.get_running_loop()
        while not self._stopping:
            try:
                _, stream = await loop.create_connection(
                    lambda: _Stream(self), "127.0.0.1", self._port, ssl=self._context
                )
            except OSError:  # down, or killed during the handshake
                await asyncio.sleep(RETRY_S)
                continue
            try:
                await stream.lost
            finally:
                self._ready, self._stream = False, None
                for talk in self.talks.values():
                    talk.disconnect()
                stream.transport.abort()

    def stop(self) -> None:
        """End the connection and stay away."""
        self._stopping = True
        if self._stream is not None:
            self._stream.transport.abort()

    def quiet(self, heads: dict[bytes, int]) -> bool:
        """Whether everything is sent, and everything up to ``heads`` taken and acknowledged."""
        return self._ready and all(
            not talk.outbox and talk.position == talk.acknowledged == heads[talk.conversation]
            for talk in self.talks.values()
        )

    def unfinished(self) -> list[str]:
        """Return a line for each conversation that waits for something: for people to read."""
        return [
            f"{self.device.user}/{self.device.number}, {talk.conversation.hex()[:8]}: "
            f"connected {self._ready}, at {talk.position}, acknowledged {talk.acknowledged}, "
            f"{len(talk.outbox)} to send, {talk.unanswered} unanswered, fetching {talk.fetching}, "
            f"held {sorted(talk.waiting)[:3]}"
            for talk in self.talks.values()
            if talk.outbox or talk.position != talk.acknowledged or talk.fetching or talk.waiting
        ]

    def begin(self, stream: _Stream, certificate: bytes) -> None:
        """The connection stands: everything in one flight."""
        self._stream = stream
        stream.send(
            Hello(1, SOFTWARE, ()),
            self._credential.login(_LOGIN, self._server_id, certificate),
            Sync(_SYNC, self._commit, 0),
        )
        for talk in self.talks.values():
            self._repeat(talk)

    def handle(self, messages: list[Message]) -> None:
        """Handle a batch, then acknowledge it as a whole."""
        for message in messages:
            handler = self._handlers.get(type(message))
            if handler is None:
                raise Surprise(f"unexpected {type(message).__name__}")
            handler(message)
        if self._ready:
            for talk in self.talks.values():
                self._acknowledge(talk)
                if self.talking and not talk.unanswered and not talk.refused:
                    self._compose(talk)

    # What is sent.

    def _send(self, *messages: Message) -> None:
        assert self._stream is not None
        self._stream.send(*messages)

    def _repeat(self, talk: Talk) -> None:
        assert self._stream is not None
        talk.refused = False
        talk.unanswered = len(talk.outbox)
        self.repeated += talk.unanswered
        for pending in talk.outbox:
            self._stream.write(Op.SEND, pending.frame)

    def _compose(self, talk: Talk) -> None:
        assert self._stream is not None
        random = self._random
        for _ in range(random.randint(1, MAX_WINDOW) - len(talk.outbox)):
            body = random.randbytes(random.randint(0, MAX_BODY_BYTES))
            pending = talk.compose(self.device, self._records, random.randbytes(16), body)
            talk.unanswered += 1
            self._stream.write(Op.SEND, pending.frame)

    def _acknowledge(self, talk: Talk) -> None:
        if talk.position <= talk.acknowledged:
            return
        talk.acknowledged = talk.position
        self._records.append(Acknowledged(self.device, talk.conversation, talk.position))
        self._send(Acks((Ack(talk.conversation, talk.position),)))
        if self._random.randrange(READ_EVERY) == 0:
            public = self._random.random() < 0.5
            self._send(Read(_READ, talk.conversation, talk.position, public))

    def _sync(self, page: int) -> None:
        self._send(Sync(_SYNC, self._commit, page))

    def _fetch(self, talk: Talk) -> None:
        if talk.fetching:
            return
        talk.fetching = True
        self._send(
            History(
                talk.request_id(0),
                talk.conversation,
                0,
                talk.position,
                self._random.choice((7, 100, limits.MAX_PAGE_ENTRIES)),
                limits.MAX_PAGE_BYTES,
            )
        )

    # What arrives.

    def _on_sync_page(self, page: SyncPage) -> None:
        for head in page.heads:
            talk = self._talk(head.conversation)
            self._records.append(
                Head(self.device, head.conversation, head.head, head.acked, head.last_n)
            )
            talk.head = max(talk.head, head.head)
        for mark in page.watermarks:
            self._records.append(
                Watermark(
                    self.device, mark.conversation, mark.user, mark.delivered, mark.read, False
                )
            )
        # Later pages are read from later snapshots: only the first one's commit covers all.
        self._sync_commit = self._sync_commit or page.commit
        if page.next:
            self._sync(page.next)
        else:
            self._commit, self._sync_commit, self._ready = self._sync_commit, 0, True
            for talk in self.talks.values():
                if talk.head > talk.position:
                    self._fetch(talk)

    def _on_event(self, event: Event) -> None:
        talk = self._talk(event.conversation)
        self._records.append(Pushed(self.device, event.conversation, event.entry.seq))
        if talk.take(self.device, self._records, entry_of(event.entry)) and self._ready:
            self._fetch(talk)

    def _on_sent(self, sent: Sent) -> None:
        talk, n = self._by_number[sent.request >> 24], sent.request & 0xFFFFFF
        talk.unanswered -= 1
        self.acknowledged += 1
        if talk.settle(self.device, self._records, n, sent.seq, sent.chain) and self._ready:
            self._fetch(talk)
        self._after_answer(talk)

    def _on_receipt(self, receipt: Receipt) -> None:
        self._records.append(
            Watermark(
                self.device,
                receipt.conversation,
                receipt.user,
                receipt.delivered,
                receipt.read,
                True,
            )
        )

    def _on_history_page(self, page: HistoryPage) -> None:
        talk = self._by_number[page.request >> 24]
        talk.fetching = False
        for entry in page.entries:
            talk.take(self.device, self._records, entry_of(entry))
        if talk.head > talk.position:
            self._fetch(talk)

    def _on_error(self, error: Error) -> None:
        request, code = error.request, error.code
        if request is None:
            if not error.retryable:
                raise Surprise(f"the connection was closed with error {code}: {error.text}")
            return
        talk = self._by_number.get(request >> 24)
        if talk is None or not request & 0xFFFFFF:
            if not error.retryable:
                raise Surprise(f"request {request} was refused with {code}: {error.text}")
            assert self._stream is not None
            self._stream.cut()  # log in anew, and ask again
            return
        # A send that was refused for now, and those behind it, which are then out of order.
        if not error.retryable and code != ErrorCode.OUT_OF_ORDER:
            raise Surprise(f"send {request & 0xFFFFFF} was refused with {code}: {error.text}")
        if code == ErrorCode.OUT_OF_ORDER and request & 0xFFFFFF == talk.outbox[0].n:
            raise Surprise(f"send {talk.outbox[0].n}: the server lost one that it acknowledged")
        talk.unanswered -= 1
        talk.refused = True
        self._after_answer(talk)

    def _after_answer(self, talk: Talk) -> None:
        if talk.refused and not talk.unanswered:
            self._repeat(talk)

    def _talk(self, conversation: bytes) -> Talk:
        talk = self.talks.get(conversation)
        if talk is None:
            raise Surprise(f"a conversation of others: {conversation.hex()[:8]}")
        return talk
