"""Joining over TLS: pinning, registration whose answer is lost, enrolment, who proves what."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path

import pytest
import pytest_asyncio
import scramp
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

from clients.sdk.client import Client
from clients.sdk.errors import (
    AccountExists,
    AuthenticationFailed,
    InvalidInput,
    Refused,
    ServerBroke,
    ServerNotTrusted,
    Unreachable,
)
from clients.sdk.home import Home
from protocol import derive, limits
from protocol.errors import ERRORS, ErrorCode
from protocol.messages import session as wire
from tests.clients.peer import SERVER_ID, TOKEN, Peer, Wire
from tests.clients.world import World

pytestmark = pytest.mark.asyncio

PASSWORD = "correct horse battery"
PASSPHRASE = "staple staple"


def make_certificate(folder: Path) -> tuple[Path, x509.Certificate]:
    """Write a self-signed certificate and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([])
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(datetime(2020, 1, 1, tzinfo=UTC))
        .not_valid_after(datetime(2100, 1, 1, tzinfo=UTC))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("peer")]), critical=False)
        .sign(key, hashes.SHA256())
    )
    path = folder / "tls.pem"
    secret = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    path.write_bytes(secret + made.public_bytes(Encoding.PEM))
    return path, made


@pytest.fixture
def certificate(tmp_path: Path) -> tuple[Path, x509.Certificate]:
    return make_certificate(tmp_path)


@pytest_asyncio.fixture
async def peer(certificate: tuple[Path, x509.Certificate]) -> AsyncIterator[Peer]:
    path, made = certificate
    async with Peer(path) as listening:
        public = made.public_key()
        spki = public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        listening.tls_key_hash = sha256(spki).digest()
        yield listening


def refuse(on: Wire, request: int, code: ErrorCode) -> None:
    info = ERRORS[code]
    on.send(wire.Error(request, code, info.text, info.retryable, 0))


def joining(home: Path, peer: Peer, *, existing: bool = False) -> "asyncio.Task[Client]":
    return asyncio.create_task(
        Client.join(
            home,
            peer.link,
            "Romeo",
            PASSWORD,
            existing=existing,
            passphrase=PASSPHRASE,
            environment=World(),
        )
    )


async def test_client_registers_and_its_device_logs_in_by_key(
    peer: Peer, tmp_path: Path, certificate: tuple[Path, x509.Certificate]
) -> None:
    task = joining(tmp_path / "home", peer)
    on = await peer.hello()
    register = await on.expect(wire.Register)
    assert (register.user, register.token, register.device_name) == ("romeo", TOKEN, "terminal")
    on.send(wire.Accepted(register.request, "romeo", 1, None))
    await on.expect(wire.Bye)
    on.cut()
    async with await task as romeo:
        on = await peer.hello()
        login = await on.expect(wire.Login)
        assert login.counter == 1
        end_point = certificate[1].fingerprint(hashes.SHA256())
        text = derive.login_text(SERVER_ID, end_point, "romeo", 1, login.counter)
        Ed25519PublicKey.from_public_bytes(register.login_key).verify(login.signature, text)
        on.send(wire.Accepted(login.request, "romeo", 1, None))
        await romeo.wait_online()


async def test_client_trusts_nobody_between_it_and_the_pinned_server(
    peer: Peer, tmp_path: Path
) -> None:
    peer.tls_key_hash = b"\0" * 32  # what WELCOME signs is not the key that TLS shows
    task = joining(tmp_path / "home", peer)
    on = await peer.hello()
    with pytest.raises(ServerNotTrusted, match="intercepted"):
        await task
    assert Home(tmp_path / "home").accounts() == []
    assert await on.closed() == []  # not a byte of a password or name has left


async def test_client_refuses_a_certificate_without_authority_when_asked_to(
    peer: Peer, tmp_path: Path
) -> None:
    with pytest.raises(ServerNotTrusted, match="certificate"):
        await Client.join(tmp_path, peer.link, "romeo", PASSWORD, tls="ca", passphrase=PASSPHRASE)


async def test_client_refuses_plaintext_to_another_machine(tmp_path: Path, peer: Peer) -> None:
    link = peer.link.replace("127.0.0.1", "192.0.2.1")
    with pytest.raises(InvalidInput, match="without TLS"):
        await Client.join(tmp_path, link, "romeo", PASSWORD, tls="off", passphrase=PASSPHRASE)
    assert Home(tmp_path).accounts() == []


async def test_client_leaves_nothing_behind_when_it_is_refused(peer: Peer, tmp_path: Path) -> None:
    task = joining(tmp_path / "home", peer)
    on = await peer.hello()
    register = await on.expect(wire.Register)
    refuse(on, register.request, ErrorCode.REGISTRATION_CLOSED)
    with pytest.raises(Refused, match="registration_closed"):
        await task
    assert Home(tmp_path / "home").accounts() == []


async def test_client_finishes_a_registration_whose_answer_was_lost(
    peer: Peer, tmp_path: Path
) -> None:
    task = joining(tmp_path / "home", peer)
    on = await peer.hello()
    first = await on.expect(wire.Register)
    on.cut()
    with pytest.raises(Unreachable):
        await task
    task = joining(tmp_path / "home", peer)
    on = await peer.hello()
    again = await on.expect(wire.Register)
    assert again.login_key == first.login_key
    refuse(on, again.request, ErrorCode.NAME_UNAVAILABLE)
    on = await peer.hello()
    login = await on.expect(wire.Login)
    on.send(wire.Accepted(login.request, "romeo", 1, None))
    client = await task
    assert client.folder.header.user == "romeo"
    with pytest.raises(AccountExists):
        await joining(tmp_path / "home", peer)


async def test_client_tells_that_a_name_is_taken_by_another(peer: Peer, tmp_path: Path) -> None:
    task = joining(tmp_path / "home", peer)
    on = await peer.hello()
    register = await on.expect(wire.Register)
    refuse(on, register.request, ErrorCode.NAME_UNAVAILABLE)
    on = await peer.hello()
    login = await on.expect(wire.Login)
    refuse(on, login.request, ErrorCode.AUTHENTICATION_FAILED)
    with pytest.raises(Refused, match="name_unavailable"):
        await task
    assert Home(tmp_path / "home").accounts() == []


@pytest.mark.parametrize("server", ["honest", "impostor", "cheap"])
async def test_client_enrols_only_with_a_server_that_knows_the_password(
    peer: Peer, tmp_path: Path, certificate: tuple[Path, x509.Certificate], server: str
) -> None:
    task = joining(tmp_path / "home", peer)
    on = await peer.hello()
    register = await on.expect(wire.Register)
    refuse(on, register.request, ErrorCode.REGISTRATION_CLOSED)
    with pytest.raises(Refused):
        await task

    mechanism = scramp.ScramMechanism("SCRAM-SHA-256-PLUS")
    end_point = certificate[1].fingerprint(hashes.SHA256())
    iterations = limits.SCRAM_ITERATIONS * (2 if server == "cheap" else 1)
    checking = mechanism.make_server(
        lambda user: (register.salt, register.stored_key, register.server_key, iterations),
        channel_binding=("tls-server-end-point", end_point),
    )
    task = joining(tmp_path / "home", peer, existing=True)
    on = await peer.hello()
    opening = await on.expect(wire.ScramFirst)
    checking.set_client_first(opening.message.decode())
    on.send(wire.ScramChallenge(opening.request, checking.get_server_first().encode()))
    if server == "cheap":
        with pytest.raises(ServerBroke, match="iterations"):
            await task
        return
    final = await on.expect(wire.ScramFinal)
    checking.set_client_final(final.message.decode())  # the password, bound to this certificate
    proof = checking.get_server_final().encode() if server == "honest" else b"v=AAAA"
    on.send(wire.Accepted(final.request, "romeo", 7, proof))
    if server == "impostor":
        with pytest.raises(AuthenticationFailed):
            await task
        return
    assert (await task).folder.header.user == "romeo"


async def test_client_speaks_in_one_flight_once_it_knows_the_tls_key(
    peer: Peer, tmp_path: Path
) -> None:
    task = joining(tmp_path / "home", peer)
    on = await peer.hello()
    register = await on.expect(wire.Register)
    on.send(wire.Accepted(register.request, "romeo", 1, None))
    home = (await task).folder
    for flight in (False, True):
        world = World()
        async with Client.open(
            tmp_path / "home", passphrase=PASSPHRASE, environment=world
        ) as romeo:
            on = await peer.accept()
            await on.expect(wire.Hello)
            if not flight:
                on.send(peer.welcome())
            login = await on.expect(wire.Login)  # with flight: before WELCOME was sent
            if flight:
                on.send(peer.welcome())
            on.send(wire.Accepted(login.request, "romeo", 1, None))
            await romeo.wait_online()
            assert romeo.folder.name == home.name
