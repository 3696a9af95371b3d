"""Accounts and devices for tests: made over the wire, logged in by key or by password.

A load test never uses the password, so its verifier is random; where devices are enrolled by
password, the verifier is computed from the secret that SCRAM sees (what Argon2id yields otherwise).
"""

from base64 import b64encode
from dataclasses import dataclass, field
from hashlib import pbkdf2_hmac, sha256
from hmac import digest
from os import urandom

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from scramp import ScramClient

from protocol import limits
from protocol.derive import login_text
from protocol.messages.session import Accepted, Login, Register, ScramFinal, ScramFirst

MECHANISM = "SCRAM-SHA-256-PLUS"


def public_bytes(key: Ed25519PrivateKey) -> bytes:
    """Return the 32 bytes that the server stores of a key."""
    return key.public_key().public_bytes_raw()


@dataclass(slots=True)
class Credential:
    """One device: what it needs to log in again."""

    user: str
    key: Ed25519PrivateKey = field(default_factory=Ed25519PrivateKey.generate)
    device: int = 0  # 0 until the server has given a number
    counter: int = 0

    def login(self, request: int, server_id: bytes, certificate: bytes) -> Login:
        """Return the next LOGIN; ``certificate`` is the DER that TLS showed."""
        self.counter += 1
        text = login_text(
            server_id, sha256(certificate).digest(), self.user, self.device, self.counter
        )
        return Login(request, self.user, self.device, self.counter, self.key.sign(text))

    def accept(self, accepted: Accepted) -> None:
        """Keep the device number that the server gave."""
        self.device = accepted.device


def secret_of(user: str) -> str:
    """Return the stretched password of a test user, as SCRAM sees it."""
    return b64encode(sha256(b"secret of " + user.encode()).digest()).decode()


def register(
    request: int,
    credential: Credential,
    *,
    token: bytes | None = None,
    secret: str | None = None,
    device_name: str = "load",
) -> Register:
    """Return the REGISTER of a new account; with ``secret`` more devices can be enrolled later."""
    salt = urandom(limits.SALT_BYTES)
    stored_key, server_key = urandom(limits.KEY_BYTES), urandom(limits.KEY_BYTES)
    if secret is not None:
        # RFC 5802 §3
        salted = pbkdf2_hmac("sha256", secret.encode(), salt, limits.SCRAM_ITERATIONS)
        stored_key = sha256(digest(salted, b"Client Key", "sha256")).digest()
        server_key = digest(salted, b"Server Key", "sha256")
    return Register(
        request,
        credential.user,
        token,
        salt,
        stored_key,
        server_key,
        device_name,
        public_bytes(credential.key),
        public_bytes(Ed25519PrivateKey.generate()),
    )


class Enrolment:
    """One SCRAM-SHA-256-PLUS exchange that enrols a further device."""

    def __init__(self, credential: Credential, secret: str, certificate: bytes) -> None:
        self._credential = credential
        self._scram = ScramClient(
            [MECHANISM],
            credential.user,
            secret,
            channel_binding=("tls-server-end-point", sha256(certificate).digest()),
        )

    def first(self, request: int) -> ScramFirst:
        """Return the opening message."""
        return ScramFirst(request, self._scram.get_client_first().encode())

    def final(self, request: int, challenge: bytes, device_name: str) -> ScramFinal:
        """Answer the challenge."""
        self._scram.set_server_first(challenge.decode())
        return ScramFinal(
            request,
            self._scram.get_client_final().encode(),
            device_name,
            public_bytes(self._credential.key),
            public_bytes(Ed25519PrivateKey.generate()),
        )

    def verify(self, accepted: Accepted) -> None:
        """Check the server's signature and keep the device number.

        Raises:
            ScramException: The server does not know the verifier.
        """
        assert accepted.scram is not None
        self._scram.set_server_final(accepted.scram.decode())
        self._credential.accept(accepted)
