"""A client on the bare wire, whose methods read like a play."""

import asyncio
import socket
import ssl
from collections import deque
from hashlib import sha256
from itertools import count
from typing import TypeVar

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from chatd.certificate import CertificateInfo
from protocol.client import ClientConnection
from protocol.declare import Message
from protocol.derive import ZERO_HASH, direct_id, login_text
from protocol.errors import ErrorCode
from protocol.header import PLAIN
from protocol.messages import messaging, session

T = TypeVar("T", bound=Message)

PATIENCE_S = 20
"""Only so that a test that would hang fails instead."""


def insecure_context() -> ssl.SSLContext:
    """A context that takes any certificate: these actors look at it themselves."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def public_bytes(key: Ed25519PrivateKey) -> bytes:
    return key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)


class Gone(Exception):
    """The server closed the connection."""


class Credentials:
    """What a device keeps."""

    def __init__(self, user: str, secret: str = "") -> None:
        self.user = user
        self.secret = secret or sha256(f"secret of {user}".encode()).hexdigest()
        self.device = 0
        self.counter = 0
        self.login_key = Ed25519PrivateKey.generate()
        self.signing_key = Ed25519PrivateKey.generate()

    def login(
        self, request: int, server_id: bytes, binding: bytes, counter: int | None = None
    ) -> session.Login:
        if counter is None:
            self.counter += 1
            counter = self.counter
        text = login_text(server_id, binding, self.user, self.device, counter)
        return session.Login(request, self.user, self.device, counter, self.login_key.sign(text))


class Actor:
    """One connection and who sits behind it."""

    def __init__(
        self,
        credentials: Credentials,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
    ) -> None:
        self.me = credentials
        self.connection = ClientConnection()
        self.pushes: deque[Message] = deque()
        self._replies: dict[int, Message] = {}
        self._reader, self._writer = reader, writer
        self._requests = count(1)
        self._ns: dict[bytes, int] = {}
        ssl_object = writer.get_extra_info("ssl_object")
        der = ssl_object.getpeercert(binary_form=True) if ssl_object else None
        self.certificate = CertificateInfo.of(der) if der else None
        self.welcome: session.Welcome | None = None
        self.final: session.Error | None = None
        """The error without a request with which the server closed."""

    @classmethod
    async def connect(
        cls,
        port: int,
        credentials: Credentials,
        *,
        tls: bool = True,
        receive_bytes: int = 0,
        host: str = "127.0.0.1",
        source: str = "",
    ) -> "Actor":
        """Open a connection; with ``receive_bytes`` one whose kernel buffers little."""
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        plain = socket.socket(family, socket.SOCK_STREAM)
        if receive_bytes:
            plain.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_bytes)
        if source:
            plain.bind((source, 0))
        plain.setblocking(False)
        async with asyncio.timeout(PATIENCE_S):
            try:
                await asyncio.get_running_loop().sock_connect(plain, (host, port))
            except OSError:
                plain.close()
                raise
            reader, writer = await asyncio.open_connection(
                sock=plain,
                ssl=insecure_context() if tls else None,
                server_hostname="chatd" if tls else None,
            )
        return cls(credentials, reader, writer)

    @property
    def binding(self) -> bytes:
        return self.certificate.end_point_hash if self.certificate else ZERO_HASH

    # Out.

    def request(self) -> int:
        return next(self._requests)

    def tell(self, *messages: Message) -> None:
        """Write messages in one flight."""
        self._writer.write(b"".join([self.connection.send(message) for message in messages]))

    def tell_raw(self, data: bytes) -> None:
        """Write bytes, whatever they are."""
        self._writer.write(data)

    async def asks(self, message: Message) -> Message:
        """Send a request and return its answer."""
        self.tell(message)
        return await self.answer(message.request)  # type: ignore[attr-defined]  # a request

    def hello(self) -> None:
        self.tell(session.Hello(1, "tests", ()))

    def sends(self, to: str, text: str | bytes, n: int = 0, **more: object) -> int:
        """Send a message to a user and return the request's id; the answer is not awaited."""
        cid = direct_id(self.me.user, to)
        n = n or self._ns.get(cid, 0) + 1
        self._ns[cid] = max(n, self._ns.get(cid, 0))
        body = text.encode() if isinstance(text, str) else text
        request = self.request()
        message_id = sha256(f"{self.me.user} {self.me.device} {to} {n}".encode()).digest()[:16]
        fields: dict[str, object] = {
            "request": request,
            "conversation": cid,
            "n": n,
            "message_id": message_id,
            "header": PLAIN,
            "body": body,
            "peer": to,
            **more,
        }
        self.tell(messaging.Send(**fields))  # type: ignore[arg-type]  # named as declared
        return request

    async def sent(self, request: int) -> messaging.Sent:
        """Wait for the receipt of a send."""
        return expect(messaging.Sent, await self.answer(request))

    async def says(self, to: str, text: str | bytes, **more: object) -> messaging.Sent:
        """Send and wait for the receipt."""
        return await self.sent(self.sends(to, text, **more))  # type: ignore[arg-type]  # fields

    def acks(self, peer: str, seq: int) -> None:
        """Acknowledge everything in the chat with a user up to ``seq``."""
        self.tell(messaging.Acks((messaging.Ack(direct_id(self.me.user, peer), seq),)))

    async def reads(self, peer: str, seq: int, *, public: bool = True) -> None:
        cid = direct_id(self.me.user, peer)
        expect(session.Ok, await self.asks(messaging.Read(self.request(), cid, seq, public)))

    async def syncs(self, since: int = 0, page: int = 0) -> messaging.SyncPage:
        message = messaging.Sync(self.request(), since, page)
        return expect(messaging.SyncPage, await self.asks(message))

    async def history(
        self,
        peer: str,
        position: int = 0,
        direction: int = 0,
        most: int = 512,
        most_bytes: int = 64_512,
    ) -> messaging.HistoryPage:
        cid = direct_id(self.me.user, peer)
        message = messaging.History(self.request(), cid, direction, position, most, most_bytes)
        return expect(messaging.HistoryPage, await self.asks(message))

    async def log_of(self, peer: str) -> list[messaging.Entry]:
        """Return the whole chat with a user."""
        entries: list[messaging.Entry] = []
        more = True
        while more:
            page = await self.history(peer, entries[-1].seq if entries else 0)
            entries += page.entries
            more = page.more
        return entries

    # In.

    async def answer(self, request: int) -> Message:
        """Wait for the answer to a request."""
        while request not in self._replies:
            await self._pump()
        return self._replies.pop(request)

    def has_answer(self, request: int) -> bool:
        """Whether an answer has come."""
        return request in self._replies

    async def push(self) -> Message:
        """Wait for the next push."""
        while not self.pushes:
            await self._pump()
        return self.pushes.popleft()

    async def receives(self, text: str, seq: int = 0) -> messaging.Event:
        """Wait for the next push: it must be this message."""
        event = expect(messaging.Event, await self.push())
        assert (event.entry.body or b"").decode() == text
        assert not seq or event.entry.seq == seq
        return event

    async def is_told(self, peer: str, user: str, delivered: int, read: int) -> None:
        """Wait for the next push: it must be this receipt in the chat with ``peer``."""
        receipt = expect(messaging.Receipt, await self.push())
        cid = direct_id(self.me.user, peer)
        assert receipt == messaging.Receipt(cid, user, delivered, read)

    async def ping(self) -> None:
        """Wait until the server has handled all that was sent, and all of its answers came."""
        nonce = self.request()
        self.tell(session.Ping(nonce))
        while nonce not in self._replies:
            await self._pump()
        del self._replies[nonce]

    async def hears_nothing(self) -> None:
        """Nothing was pushed that was not taken yet."""
        await self.ping()
        assert list(self.pushes) == []

    async def ends(self) -> None:
        """Wait until the server has closed."""
        try:
            while True:
                await self._pump()
        except Gone:
            return

    async def is_sent_away(self) -> session.GoAway:
        """Wait for GOAWAY, then for the end."""
        await self.ends()
        return expect(session.GoAway, self.pushes.pop())

    async def is_cut(self, code: ErrorCode) -> None:
        """Wait for a fatal error without a request, then for the end."""
        await self.ends()
        assert self.final is not None
        assert ErrorCode(self.final.code) is code

    def drop(self) -> None:
        """Cut the link, without TLS's farewell."""
        self._writer.transport.abort()

    def hang_up(self) -> None:
        """Say nothing more; over TLS that closes both ways."""
        if self._writer.can_write_eof():
            self._writer.write_eof()
        else:
            self._writer.close()

    async def leave(self) -> None:
        """Close and wait for the socket's end."""
        self._writer.close()
        try:
            await self._writer.wait_closed()
        except (OSError, ssl.SSLError):
            return  # the server was faster

    async def _pump(self) -> None:
        try:
            async with asyncio.timeout(PATIENCE_S):
                data = await self._reader.read(65_536)
        except (ConnectionError, ssl.SSLError):
            data = b""
        if not data:
            raise Gone
        for message in self.connection.receive_data(data):
            self._sort(message)
        if self.connection.failure is not None:
            raise self.connection.failure

    def _sort(self, message: Message) -> None:
        if isinstance(message, session.Pong):
            self._replies[message.nonce] = message
        elif isinstance(message, session.Welcome):
            self.welcome = message
        elif isinstance(message, session.Error) and message.request is None:
            self.final = message
        elif hasattr(message, "request"):
            self._replies[message.request] = message
        else:
            self.pushes.append(message)


def expect(cls: type[T], message: Message) -> T:
    """The message, which must be of this type."""
    assert isinstance(message, cls), message
    return message


def refused(message: Message) -> ErrorCode:
    """The code of an error; the message must be one."""
    return ErrorCode(expect(session.Error, message).code)
