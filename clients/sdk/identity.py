"""Who one is and whom one talks to: names, device keys, and the check of the server's WELCOME.

The trust decisions of a connection stand here, free of I/O. Source: docs/protocol.md, "Server
identity" and "Login by key".
"""

import hmac
from dataclasses import dataclass
from hashlib import new as new_hash
from hashlib import sha256
from typing import Final

import precis_i18n
from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from clients.sdk.errors import InvalidInput, ServerNotTrusted
from protocol import derive, limits
from protocol.messages.session import Welcome

_USERNAME: Final = precis_i18n.get_profile("UsernameCaseMapped")
_CLOCK_SLACK_S: Final = 300
"""A client's clock may be off by this much against the server's validity."""


def prepare_user(name: str) -> str:
    """Return a user name as it stands on the wire (RFC 8265, UsernameCaseMapped).

    Raises:
        InvalidInput: It has characters that a name may not have, or not 1 to 64 bytes.
    """
    try:
        prepared = _USERNAME.enforce(name)
    except UnicodeError as error:
        raise InvalidInput(
            f"{name!r} is not a user name: use letters, digits and signs without spaces"
        ) from error
    if not 0 < len(prepared.encode()) <= limits.MAX_USER_BYTES:
        raise InvalidInput(f"a user name has 1 to {limits.MAX_USER_BYTES} bytes")
    return prepared


def prepare_device_name(name: str) -> str:
    """Return a device name that the server takes.

    Raises:
        InvalidInput: It is empty, over 64 bytes, or holds control characters.
    """
    name = name.strip()
    try:
        size_bytes = len(name.encode())
    except UnicodeEncodeError as error:
        raise InvalidInput("the device name is not UTF-8") from error
    if not 0 < size_bytes <= limits.MAX_DEVICE_NAME_BYTES or not name.isprintable():
        raise InvalidInput(
            f"a device name has 1 to {limits.MAX_DEVICE_NAME_BYTES} bytes and no control characters"
        )
    return name


@dataclass(frozen=True, slots=True)
class DeviceKeys:
    """The two private keys of a device, as raw seeds; never printed."""

    login: bytes
    signing: bytes

    def __repr__(self) -> str:
        return "DeviceKeys(…)"

    @property
    def login_public(self) -> bytes:
        """Return the key that the server checks logins with."""
        return _public(self.login)

    @property
    def signing_public(self) -> bytes:
        """Return the key that others check this device's statements with."""
        return _public(self.signing)

    def sign_login(
        self, server_id: bytes, certificate_hash: bytes, user: str, device: int, counter: int
    ) -> bytes:
        """Return the signature of LOGIN; ``counter`` must be committed before this is sent."""
        text = derive.login_text(server_id, certificate_hash, user, device, counter)
        return Ed25519PrivateKey.from_private_bytes(self.login).sign(text)


def _public(seed: bytes) -> bytes:
    key = Ed25519PrivateKey.from_private_bytes(seed).public_key()
    return key.public_bytes(Encoding.Raw, PublicFormat.Raw)


@dataclass(frozen=True, slots=True)
class Peer:
    """What TLS showed of the server: two hashes; all zeros on a plaintext connection."""

    key_hash: bytes
    """SHA-256 of the certificate's SubjectPublicKeyInfo; what WELCOME signs."""
    certificate_hash: bytes
    """tls-server-end-point (RFC 5929): what logins are bound to."""

    @property
    def binding(self) -> bytes | None:
        """The channel binding of SCRAM-PLUS; None without TLS."""
        return None if self == PLAINTEXT else self.certificate_hash


PLAINTEXT: Final = Peer(derive.ZERO_HASH, derive.ZERO_HASH)


def peer_of(certificate: bytes) -> Peer:
    """Return the hashes of the certificate (DER) that TLS showed.

    Raises:
        ServerNotTrusted: It is no certificate that can be read.
    """
    try:
        parsed = x509.load_der_x509_certificate(certificate)
        key = parsed.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        algorithm = parsed.signature_hash_algorithm
    except (ValueError, UnsupportedAlgorithm) as error:
        raise ServerNotTrusted("the server's certificate cannot be read") from error
    # RFC 5929 §4.1: MD5 and SHA-1 count as SHA-256; Ed25519 names no hash, ours is SHA-256.
    name = algorithm.name if algorithm else "sha256"
    name = "sha256" if name in ("md5", "sha1") else name
    return Peer(sha256(key).digest(), new_hash(name, certificate).digest())


def verify_welcome(
    welcome: Welcome, server_id: bytes, server_key: bytes, peer: Peer, now_s: int
) -> None:
    """Check that WELCOME comes from the pinned server and names the key that TLS showed.

    Args:
        welcome: What the server sent.
        server_id: The id in the link.
        server_key: The key in the link.
        peer: What TLS showed.
        now_s: Unix seconds.

    Raises:
        ServerNotTrusted: Any of it does not hold; says which.
    """
    if welcome.server_key != server_key or welcome.server_id != server_id:
        raise ServerNotTrusted(
            "another server answers at this address: its identity key is not the one in your link"
        )
    text = derive.welcome_text(
        welcome.server_id, welcome.tls_key_hash, welcome.not_before_s, welcome.not_after_s
    )
    try:
        Ed25519PublicKey.from_public_bytes(server_key).verify(welcome.signature, text)
    except (InvalidSignature, ValueError) as error:
        raise ServerNotTrusted("the server cannot prove that it is the one in your link") from error
    if not hmac.compare_digest(welcome.tls_key_hash, peer.key_hash):
        raise ServerNotTrusted(
            "the connection is intercepted: its TLS key is not the one that the server signed"
        )
    if not welcome.not_before_s - _CLOCK_SLACK_S <= now_s <= welcome.not_after_s + _CLOCK_SLACK_S:
        raise ServerNotTrusted(
            "the server's signature is not valid at this time: check this machine's clock"
        )
