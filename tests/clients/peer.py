"""A server that does what a test tells it to: real loopback sockets, no behaviour of its own.

The test accepts connections, expects messages and answers them one by one; :meth:`Peer.log_in`
plays the usual opening.
"""

import asyncio
import ssl
from pathlib import Path
from types import TracebackType
from typing import Self, TypeVar, cast

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from protocol import derive
from protocol.declare import Message
from protocol.links import Link
from protocol.messages.messaging import Entry, Head, Sync, SyncPage, Watermark
from protocol.messages.session import Accepted, Hello, Login, Welcome
from protocol.server import ServerConnection

M = TypeVar("M", bound=Message)

FAR_FUTURE_S = 2**40
SERVER_ID = b"S" * 16
TOKEN = b"T" * 16
KEEPALIVE_MS = 40_000


class Wire(asyncio.Protocol):
    """One accepted connection."""

    def __init__(self, peer: "Peer") -> None:
        self.peer = peer
        self.connection = ServerConnection()
        self.transport: asyncio.Transport | None = None
        self.inbox: asyncio.Queue[Message | None] = asyncio.Queue()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)  # uvloop's is none by name
        self.peer.accepted.put_nowait(self)

    def data_received(self, data: bytes) -> None:
        self._take(data)

    def connection_lost(self, error: Exception | None) -> None:
        self.inbox.put_nowait(None)

    def _take(self, data: bytes) -> None:
        for message in self.connection.receive_data(data):
            self.inbox.put_nowait(message)
        assert self.connection.failure is None, self.connection.failure

    def send(self, *messages: Message) -> None:
        """Send messages in one write."""
        assert self.transport is not None
        out = b""
        for message in messages:
            out += self.connection.send(message)
        self.transport.write(out)
        self._take(b"")

    async def receive(self) -> Message:
        """Return the next message."""
        message = await asyncio.wait_for(self.inbox.get(), 10)
        assert message is not None, "the client closed the connection"
        return message

    async def expect(self, kind: type[M]) -> M:
        """Return the next message, which must be of this kind."""
        message = await self.receive()
        assert isinstance(message, kind), message
        return message

    async def closed(self) -> list[Message]:
        """Wait until the client is gone; return what it still said."""
        said = []
        while (message := await asyncio.wait_for(self.inbox.get(), 10)) is not None:
            said.append(message)
        return said

    def cut(self) -> None:
        """Lose the connection without a word."""
        assert self.transport is not None
        self.transport.abort()


class Peer:
    """A listening server with an identity."""

    def __init__(self, certificate: Path | None = None) -> None:
        self._tls: ssl.SSLContext | None = None
        if certificate is not None:
            self._tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self._tls.load_cert_chain(certificate)
        self.accepted: asyncio.Queue[Wire] = asyncio.Queue()
        self.key = Ed25519PrivateKey.from_private_bytes(b"K" * 32)
        self.tls_key_hash = derive.ZERO_HASH
        self.port = 0
        self._wires: list[Wire] = []

    async def __aenter__(self) -> Self:
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(lambda: Wire(self), "127.0.0.1", 0, ssl=self._tls)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._server.close()
        for wire in self._wires:
            if wire.transport is not None:
                wire.transport.abort()

    @property
    def public_key(self) -> bytes:
        return self.key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)

    @property
    def link(self) -> str:
        return str(Link("127.0.0.1", self.port, self.public_key, SERVER_ID, TOKEN))

    async def accept(self) -> Wire:
        """Wait for the next connection."""
        wire = await asyncio.wait_for(self.accepted.get(), 10)
        self._wires.append(wire)
        return wire

    def welcome(self) -> Welcome:
        text = derive.welcome_text(SERVER_ID, self.tls_key_hash, 0, FAR_FUTURE_S)
        return Welcome(
            1,
            "peer",
            (),
            SERVER_ID,
            self.public_key,
            self.tls_key_hash,
            0,
            FAR_FUTURE_S,
            self.key.sign(text),
            KEEPALIVE_MS,
        )

    async def hello(self) -> Wire:
        """Accept a connection and exchange HELLO and WELCOME."""
        wire = await self.accept()
        await wire.expect(Hello)
        wire.send(self.welcome())
        return wire

    async def log_in(
        self,
        *heads: Head,
        watermarks: tuple[Watermark, ...] = (),
        commit: int = 7,
    ) -> Wire:
        """Accept a connection, its login, and its SYNC."""
        wire = await self.hello()
        login = await wire.expect(Login)
        wire.send(Accepted(login.request, login.user, login.device, None))
        sync = await wire.expect(Sync)
        wire.send(SyncPage(sync.request, commit, heads, watermarks, 0))
        return wire


class Log:
    """The log of one direct conversation, as the server would keep it."""

    def __init__(self, one: str, other: str) -> None:
        self.users = (one, other)
        self.id = derive.direct_id(one, other)
        self.entries: list[Entry] = []
        self.chains = [self.id]
        self._n: dict[tuple[str, int], int] = {}

    def add(self, user: str, body: bytes, device: int = 1, message_id: bytes = b"") -> Entry:
        """Append an entry and return it."""
        n = self._n[user, device] = self._n.get((user, device), 0) + 1
        seq = len(self.entries) + 1
        entry = Entry(
            seq,
            user,
            device,
            n,
            1_000 * seq,
            b"\x90",
            message_id or seq.to_bytes(16, "big"),
            body,
        )
        self.entries.append(entry)
        self.chains.append(derive.chain_entry(self.chains[-1], entry))
        return entry

    def head(self, me: str, acked: int = 0, read: int = 0, last_n: int = 0) -> Head:
        peer = self.users[0] if self.users[1] == me else self.users[1]
        return Head(self.id, 0, peer, 1, len(self.entries), self.chains[-1], acked, read, last_n)
