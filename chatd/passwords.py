"""SCRAM-SHA-256 on the server's side: proofs of a password that never comes here.

Over TLS only the PLUS variant, bound to the certificate by ``tls-server-end-point`` (RFC 5929);
without TLS, on loopback, the plain one. An unknown user gets a salt that is always the same and a
verifier that no password fits: the same bytes, in the same time. Source: RFC 5802, RFC 7677.
"""

import hmac
from collections.abc import Callable
from typing import Final

from scramp import ScramException, ScramMechanism

from protocol import limits
from storage.types import Verifier

_PLAIN: Final = ScramMechanism("SCRAM-SHA-256")
_PLUS: Final = ScramMechanism("SCRAM-SHA-256-PLUS")


class ProofFailed(Exception):
    """The exchange failed: wrong password, unknown user, wrong channel, bad message."""


class Exchange:
    """One proof, in two messages."""

    def __init__(self, secret: bytes, binding: bytes | None, nonce: bytes) -> None:
        """Begin.

        Args:
            secret: The server's secret, for the salts of unknown users.
            binding: ``tls-server-end-point`` of the certificate the connection saw; None: no TLS.
            nonce: At least 18 random bytes.
        """
        self._secret = secret
        self.user = ""
        self.verifier: Verifier | None = None
        """That of the user, if it exists: what was proven once :meth:`final` has returned."""
        self._fault: Exception | None = None
        self._look_up: Callable[[str], Verifier | None] = lambda _: None
        mechanism, channel = _PLAIN, None
        if binding is not None:
            mechanism, channel = _PLUS, ("tls-server-end-point", binding)
        self._server = mechanism.make_server(
            self._auth_info, channel_binding=channel, s_nonce=nonce.hex()
        )

    def first(self, message: bytes, look_up: Callable[[str], Verifier | None]) -> bytes:
        """Take the client-first-message and return the server-first-message.

        Args:
            message: As received.
            look_up: From a user name to its verifier, or None; may block.

        Raises:
            ProofFailed: Not such a message, or for another channel.
            Exception: What ``look_up`` raised.
        """
        self._look_up = look_up
        try:
            self._server.set_client_first(message.decode())
            challenge: str = self._server.get_server_first()
        except (ScramException, UnicodeDecodeError) as error:
            if self._fault is not None:
                raise self._fault from None  # a fault of ours is no wrong password
            raise ProofFailed("client-first-message refused") from error
        finally:
            self._look_up = lambda _: None
        if len(challenge) > limits.MAX_SCRAM_BYTES:
            raise ProofFailed("the client's nonce is too long to be repeated")
        return challenge.encode()

    def final(self, message: bytes) -> bytes:
        """Check the client-final-message and return the server-final-message.

        Raises:
            ProofFailed: The password, the user or the channel is not the right one.
        """
        try:
            self._server.set_client_final(message.decode())
            answer: str = self._server.get_server_final()
        except (ScramException, UnicodeDecodeError) as error:
            raise ProofFailed("client-final-message refused") from error
        if self.verifier is None:
            raise ProofFailed("no such user")  # not reached: no proof fits the fake verifier
        return answer.encode()

    def _auth_info(self, user: str) -> tuple[bytes, bytes, bytes, int]:
        self.user = user
        try:
            self.verifier = self._look_up(user)
        except Exception as error:
            self._fault = error  # scramp turns it into an error of the client's
            raise
        fake = Verifier(
            self._fake("salt", user)[: limits.SALT_BYTES],
            self._fake("stored", user),
            self._fake("server", user),
        )
        real = self.verifier or fake
        return real.salt, real.stored_key, real.server_key, limits.SCRAM_ITERATIONS

    def _fake(self, label: str, user: str) -> bytes:
        return hmac.digest(self._secret, f"chatd/fake-{label}/1\0{user}".encode(), "sha256")
