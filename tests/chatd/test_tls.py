"""TLS contexts over real loopback sockets, on asyncio and on uvloop."""

import asyncio
import hashlib
import socket
import ssl
import threading
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import cast

import pytest
import uvloop
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
    load_pem_private_key,
)

from chatd.certificate import CertificateError, CertificateInfo, ensure_self_signed
from chatd.tls import TlsContexts, context_info
from chatd.tls_channel import RECORD_BYTES, TlsChannel, TlsFailed
from tests.chatd.conftest import SeededWorld

LOOPS: dict[str, Callable[[], asyncio.AbstractEventLoop]] = {
    "asyncio": asyncio.new_event_loop,
    "uvloop": uvloop.new_event_loop,
}


def run(loop: str, main: Coroutine[object, object, None]) -> None:
    with asyncio.Runner(loop_factory=LOOPS[loop], debug=loop == "asyncio") as runner:
        runner.run(main)


def make(folder: Path, host: str, seed: int) -> Path:
    folder.mkdir(exist_ok=True)
    return ensure_self_signed(folder, host, SeededWorld(seed))


class Recorder(asyncio.Protocol):
    """Tells which certificate each connection saw, in the order of their handshakes."""

    def __init__(self, contexts: TlsContexts, seen: list[CertificateInfo]) -> None:
        self._tls = TlsChannel(contexts.context)
        self._seen = seen

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports are asyncio's by their methods only.
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        was_open = self._tls.open
        try:
            self._tls.feed(memoryview(data))
            if was_open:
                self._tls.read(memoryview(bytearray(RECORD_BYTES)))
        except TlsFailed:
            self._transport.write(self._tls.take() + self._tls.shut())
            self._transport.close()
            return
        self._transport.write(self._tls.take())
        if self._tls.open and not was_open:
            self._seen.append(context_info(self._tls.context))
            self._transport.write(self._tls.encrypt(b"!"))


async def shown(port: int, name: str | None, version: ssl.TLSVersion | None = None) -> bytes:
    """The certificate that a client is shown, once the server has said something."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    if version is not None:
        context.maximum_version = version
    # No server_hostname means no SNI in the hello.
    reader, writer = await asyncio.open_connection(
        "127.0.0.1", port, ssl=context, server_hostname=name or ""
    )
    assert await reader.readexactly(1) == b"!"
    der = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
    writer.close()
    await writer.wait_closed()
    assert isinstance(der, bytes)
    return der


@pytest.mark.parametrize("loop", LOOPS)
@pytest.mark.parametrize("name", ["chat.example", None])
@pytest.mark.parametrize("version", [None, ssl.TLSVersion.TLSv1_2])
def test_each_connection_tells_the_certificate_it_saw_across_a_reload(
    tmp_path: Path, loop: str, name: str | None, version: ssl.TLSVersion | None
) -> None:
    path = make(tmp_path, "a.example", 1)

    async def main() -> None:
        contexts = TlsContexts(path, None, "1.2")
        seen: list[CertificateInfo] = []
        running = asyncio.get_running_loop()
        server = await running.create_server(lambda: Recorder(contexts, seen), "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        first = await shown(port, name, version)
        path.write_bytes(make(tmp_path / "new", "b.example", 2).read_bytes())
        assert await shown(port, name, version) == first
        contexts.reload()
        second = await shown(port, name, version)
        assert second != first
        path.write_bytes(b"bad")
        with pytest.raises(CertificateError):
            contexts.reload()
        assert await shown(port, name, version) == second
        assert [info.der_sha256 for info in seen] == [
            hashlib.sha256(der).digest() for der in (first, first, second, second)
        ]
        assert contexts.current == seen[-1]
        server.close()
        await server.wait_closed()

    run(loop, main())


@pytest.mark.parametrize("loop", LOOPS)
def test_server_refuses_an_older_version_than_configured(tmp_path: Path, loop: str) -> None:
    path = make(tmp_path, "a.example", 1)

    async def main() -> None:
        contexts = TlsContexts(path, None, "1.3")
        server = await asyncio.get_running_loop().create_server(
            lambda: Recorder(contexts, []), "127.0.0.1", 0
        )
        port = server.sockets[0].getsockname()[1]
        with pytest.raises((ssl.SSLError, ConnectionError)):
            await shown(port, None, ssl.TLSVersion.TLSv1_2)
        await shown(port, None)
        server.close()
        await server.wait_closed()

    run(loop, main())


def test_server_offers_no_resumption_and_so_always_shows_its_certificate(tmp_path: Path) -> None:
    contexts = TlsContexts(make(tmp_path, "a.example", 1), None, "1.2")
    client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    client.check_hostname = False
    client.verify_mode = ssl.CERT_NONE
    left, right = socket.socketpair()
    left.settimeout(10)
    right.settimeout(10)
    with left, right:

        def serve() -> None:
            with contexts.context.wrap_socket(left, server_side=True) as server:
                server.sendall(b"!")
                server.recv(1)

        thread = threading.Thread(target=serve)
        thread.start()
        with client.wrap_socket(right) as end:
            assert end.recv(1) == b"!"
            assert end.version() == "TLSv1.3"
            assert end.session is None or not end.session.has_ticket
        thread.join()


def test_contexts_refuse_files_that_cannot_serve(tmp_path: Path) -> None:
    one = make(tmp_path / "1", "a.example", 1)
    two = make(tmp_path / "2", "b.example", 2)
    key = load_pem_private_key(two.read_bytes(), None)
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    encrypted = tmp_path / "encrypted.pem"
    encrypted.write_bytes(
        key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"x"))
    )
    encrypted.chmod(0o600)
    empty = tmp_path / "empty.pem"
    empty.touch(0o600)
    for certificate, private, why in (
        (one, two, "the key is not the certificate's"),
        (two, encrypted, "encrypted"),
        (one, tmp_path / "absent", "cannot be read"),
        (tmp_path / "absent", one, "a file is missing"),
        (one, tmp_path, "Is a directory"),
        (empty, one, "PEM"),
    ):
        with pytest.raises(CertificateError, match=why):
            TlsContexts(certificate, private, "1.3")


def test_contexts_refuse_a_key_that_everybody_can_read(tmp_path: Path) -> None:
    path = make(tmp_path, "a.example", 1)
    for mode, fits in ((0o600, True), (0o640, True), (0o644, False), (0o602, False)):
        path.chmod(mode)
        if fits:
            TlsContexts(path, None, "1.3")
        else:
            with pytest.raises(CertificateError, match="chmod 0600"):
                TlsContexts(path, None, "1.3")


def test_context_info_refuses_a_foreign_context() -> None:
    with pytest.raises(TypeError, match="TlsContexts"):
        context_info(ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER))
