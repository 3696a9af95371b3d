"""TLS of one accepted connection, over bytes: no socket, no loop.

The daemon runs TLS itself, on a plain transport, instead of having the loop do it. Three reasons:
a connection counts against the limits from its first byte, not only after a handshake that may
never end; the buffers stay small (input and output pass in pieces of one record, so OpenSSL's
memory grows beyond it only for a client that floods); and it is cheaper, by about a fifth of the
input and output cost (measured in docs/decisions/0004).
"""

import ssl
from typing import Final

RECORD_BYTES: Final = 16_384
"""The plaintext of one TLS record (RFC 8446 §5.1), and the piece that input is fed in."""
READ_BYTES: Final = 8_192
"""The piece that plaintext is taken in: even the smallest frames in it take 3 ms to decode."""


class TlsFailed(Exception):
    """The peer broke TLS, or speaks something else: send what ``take`` has, then close."""


class TlsChannel:
    """The server's side of a handshake and of the stream behind it."""

    __slots__ = ("_incoming", "_object", "_outgoing", "open")

    def __init__(self, context: ssl.SSLContext) -> None:
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._object = context.wrap_bio(self._incoming, self._outgoing, server_side=True)
        self.open = False
        """True once the handshake is complete."""

    @property
    def context(self) -> ssl.SSLContext:
        """The context that the handshake was made with."""
        return self._object.context

    def feed(self, data: memoryview) -> None:
        """Take bytes from the transport, at most ``RECORD_BYTES``, and go on with the handshake.

        Raises:
            TlsFailed: The handshake failed.
        """
        self._incoming.write(data)
        if self.open:
            return
        try:
            self._object.do_handshake()
            self.open = True
        except ssl.SSLWantReadError:
            return
        except ssl.SSLError as error:
            raise TlsFailed(error.reason or "handshake failed") from None

    def read(self, into: memoryview) -> int:
        """Decrypt into a buffer, as much as fits; the rest of a record comes with the next call.

        Returns:
            Bytes written; 0 when more input is needed.

        Raises:
            TlsFailed: The stream is broken, or the peer has closed it.
        """
        if not self._incoming.pending and not self._object.pending():
            return 0  # saves the exception that asking OpenSSL would cost
        try:
            # Into a buffer it returns a count, which typeshed does not know.
            count: int = self._object.read(len(into), into)  # type: ignore[assignment]
        except ssl.SSLWantReadError:
            return 0
        except ssl.SSLError as error:
            raise TlsFailed(error.reason or "stream broken") from None
        if not count:
            raise TlsFailed("closed by the peer")
        return count

    def encrypt(self, data: bytes) -> bytes:
        """Return the records for ``data``.

        Raises:
            TlsFailed: The stream is broken.
        """
        try:
            if len(data) <= RECORD_BYTES:
                self._object.write(data)
                return self._outgoing.read()
            records = []
            for start in range(0, len(data), RECORD_BYTES):
                self._object.write(data[start : start + RECORD_BYTES])
                records.append(self._outgoing.read())
            return b"".join(records)
        except ssl.SSLError as error:
            raise TlsFailed(error.reason or "stream broken") from None

    def take(self) -> bytes:
        """Return what TLS itself wants to send: handshake messages, alerts."""
        return self._outgoing.read()

    def shut(self) -> bytes:
        """Return the closing alert (RFC 8446 §6.1), if the handshake got that far."""
        if self.open:
            try:
                self._object.unwrap()
            except ssl.SSLError:
                pass  # the peer's own alert need not be waited for
        return self._outgoing.read()
