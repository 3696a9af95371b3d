"""The password's path: PRECIS, Argon2id, SCRAM. The server never sees it, nor anything guessable.

Blocking and slow by design (64 MiB, three passes): call :func:`stretch` in a thread.
Source: docs/protocol.md, "Login by password"; RFC 5802, RFC 7677, RFC 8265, RFC 9106.
"""

from base64 import b64encode
from dataclasses import dataclass
from typing import Final

import precis_i18n
import scramp
from argon2.low_level import Type, hash_secret_raw

from clients.sdk.errors import AuthenticationFailed, InvalidInput, ServerBroke
from protocol import derive, limits

_OPAQUE: Final = precis_i18n.get_profile("OpaqueString")

MIN_PASSWORD_CHARACTERS: Final = 8
MAX_PASSWORD_CHARACTERS: Final = 1024

ARGON2_MEMORY_KIB: Final = 65_536
ARGON2_PASSES: Final = 3
ARGON2_LANES: Final = 1


def argon2id(secret: bytes, salt: bytes) -> bytes:
    """Return 32 bytes; takes about a tenth of a second and 64 MiB."""
    return hash_secret_raw(
        secret, salt, ARGON2_PASSES, ARGON2_MEMORY_KIB, ARGON2_LANES, 32, Type.ID
    )


def prepare_password(password: str) -> bytes:
    """Return the UTF-8 of the prepared password (RFC 8265, OpaqueString).

    Raises:
        InvalidInput: It is too short, too long, or holds control characters.
    """
    if not MIN_PASSWORD_CHARACTERS <= len(password) <= MAX_PASSWORD_CHARACTERS:
        raise InvalidInput(
            f"a password has {MIN_PASSWORD_CHARACTERS} to {MAX_PASSWORD_CHARACTERS} characters"
        )
    try:
        prepared: str = _OPAQUE.enforce(password)
    except UnicodeError as error:
        # The library quotes its input: keep it out of the text and of the chain.
        raise InvalidInput("the password holds characters that cannot be typed") from error
    return prepared.encode()


def stretch(password: str, server_id: bytes, user: str) -> str:
    """Return the secret that SCRAM uses in the password's place.

    Raises:
        InvalidInput: See :func:`prepare_password`.
    """
    salt = derive.password_salt(server_id, user)
    return b64encode(argon2id(prepare_password(password), salt)).decode()


@dataclass(frozen=True, slots=True)
class Verifier:
    """What the server keeps of a password."""

    salt: bytes
    stored_key: bytes
    server_key: bytes

    def __repr__(self) -> str:
        return "Verifier(…)"


def make_verifier(secret: str, salt: bytes) -> Verifier:
    """Return the SCRAM-SHA-256 verifier of a stretched password."""
    mechanism = scramp.ScramMechanism("SCRAM-SHA-256")
    _, stored_key, server_key, _ = mechanism.make_auth_info(secret, limits.SCRAM_ITERATIONS, salt)
    return Verifier(salt, stored_key, server_key)


class Proof:
    """One SCRAM exchange, the client's side: first, challenge, final, and the server's proof."""

    def __init__(self, user: str, secret: str, binding: bytes | None, nonce: str) -> None:
        """Begin.

        Args:
            user: The prepared user name.
            secret: What :func:`stretch` returned.
            binding: tls-server-end-point of this connection; None only without TLS.
            nonce: Printable, unguessable, new for each exchange.
        """
        if binding is None:
            self._client = scramp.ScramClient(["SCRAM-SHA-256"], user, secret, c_nonce=nonce)
        else:
            self._client = scramp.ScramClient(
                ["SCRAM-SHA-256-PLUS"],
                user,
                secret,
                channel_binding=("tls-server-end-point", binding),
                c_nonce=nonce,
            )

    def first(self) -> bytes:
        """Return the client-first-message."""
        message: str = self._client.get_client_first()
        return message.encode()

    def answer(self, challenge: bytes) -> bytes:
        """Take the server-first-message and return the client-final-message.

        Raises:
            ServerBroke: It is malformed, or asks for other than 4,096 iterations: fewer would
                weaken the proof, more would burn this machine.
        """
        try:
            self._client.set_server_first(challenge.decode())
            if int(self._client.iterations) != limits.SCRAM_ITERATIONS:
                raise ServerBroke("the server asks for a wrong number of SCRAM iterations")
            message: str = self._client.get_client_final()
        except (scramp.ScramException, UnicodeDecodeError) as error:
            raise ServerBroke("the server's SCRAM challenge is malformed") from error
        return message.encode()

    def check(self, final: bytes | None) -> None:
        """Take the server-final-message: only who holds the verifier can have made it.

        Raises:
            AuthenticationFailed: It is missing or wrong: this is not your server.
        """
        try:
            self._client.set_server_final((final or b"").decode())
        except (scramp.ScramException, UnicodeDecodeError) as error:
            raise AuthenticationFailed(
                "the server could not prove that it knows your account"
            ) from error
