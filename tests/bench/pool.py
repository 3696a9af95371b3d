"""Many TLS connections in one thread on bare epoll: the load must cost less than what it loads.

A cycle (SEND, SENT, EVENT, ACK, RECEIPT: two records out, three in) takes about 50 µs here, most
of it in the kernel; on uvloop, whose TLS goes through memory buffers, it took 60.
"""

import select
import socket
import ssl
from collections.abc import Callable
from typing import Final

from protocol.codec import HEADER
from protocol.ops import Op
from tests.wire.caller import Caller

_unpack: Final = HEADER.unpack_from
_RECEIVE_BYTES: Final = 65_536


class LoadFailed(Exception):
    """The server did what a load must not be measured over: refused, closed, or fell behind."""


class Link:
    """One connection after its set-up. Subclasses handle whole frames in ``on_data``."""

    __slots__ = ("_rest", "fd", "socket")

    def __init__(self, caller: Caller) -> None:
        self.socket = caller.socket
        self.fd = self.socket.fileno()
        self._rest = b""

    def send(self, data: bytes) -> None:
        """Write now; a load never fills the socket's buffer.

        Raises:
            LoadFailed: It did.
        """
        try:
            sent = self.socket.send(data)
        except (ssl.SSLWantWriteError, OSError) as error:
            raise LoadFailed(f"cannot send: {error}") from error
        if sent != len(data):
            raise LoadFailed("the socket took only a part")

    def receive(self) -> None:
        """Read what is there and handle the whole frames in it."""
        try:
            data = self.socket.recv(_RECEIVE_BYTES)
            while self.socket.pending():
                data += self.socket.recv(_RECEIVE_BYTES)
        except ssl.SSLWantReadError:
            return
        except OSError as error:
            raise LoadFailed(f"connection lost: {error}") from error
        if not data:
            raise LoadFailed("the server closed a connection")
        if self._rest:
            data = self._rest + data
        self._rest = data[self.on_data(data) :]

    def on_data(self, data: bytes) -> int:
        """Handle whole frames; return how many bytes they took."""
        raise NotImplementedError

    def unexpected(self, op: int) -> LoadFailed:
        """Return the error for a frame that no handler takes."""
        return LoadFailed(f"unexpected {Op(op).name}")


class Sink(Link):
    """Takes whatever comes, and counts it by op."""

    __slots__ = ("counts",)

    def __init__(self, caller: Caller) -> None:
        super().__init__(caller)
        self.counts: dict[int, int] = {}

    def on_data(self, data: bytes) -> int:
        at, end = 0, len(data)
        while end - at >= 5:
            size, op = _unpack(data, at)
            if end - at < size + 4:
                break
            if op in (Op.ERROR, Op.GOAWAY, Op.RESYNC):
                raise self.unexpected(op)
            self.counts[op] = self.counts.get(op, 0) + 1
            at += 4 + size
        return at


class Pool:
    """Links, and the loop that serves them."""

    def __init__(self) -> None:
        self._links: dict[int, Link] = {}
        self._epoll = select.epoll()

    def add(self, link: Link) -> None:
        """Serve a link from now on."""
        link.socket.setblocking(False)
        self._links[link.fd] = link
        self._epoll.register(link.fd, select.EPOLLIN)

    def run(self, until: Callable[[], bool], *, timeout_s: float = 5.0) -> None:
        """Serve all links until ``until()``, which is asked after every poll.

        Raises:
            LoadFailed: Nothing arrived for ``timeout_s``.
        """
        links, poll = self._links, self._epoll.poll
        while not until():
            ready = poll(timeout_s)
            if not ready:
                raise LoadFailed(f"nothing arrived for {timeout_s} s")
            for fd, _ in ready:
                links[fd].receive()

    def close(self) -> None:
        """Close every connection."""
        self._epoll.close()
        for link in self._links.values():
            try:
                link.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\0" * 8)
            finally:
                link.socket.close()
