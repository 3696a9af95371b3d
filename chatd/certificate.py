"""The self-signed certificate made at first start, and what is to be known of any certificate.

Our clients pin the server through its identity key, which signs the TLS key's hash; so a
self-signed certificate is as good as another, and need not expire.
"""

import datetime
import hashlib
import ipaddress
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import NameOID

from chatd.folder import write_file
from chatd.identity import Environment

FILE_NAME = "tls.pem"
_P256_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
_DAY_S = 86_400
NEVER = datetime.datetime(9999, 12, 31, 23, 59, 59, tzinfo=datetime.UTC)
"""No well-defined expiration date. Source: RFC 5280 §4.1.2.5."""


class CertificateError(Exception):
    """A certificate or its key cannot be used; the message says which file and why."""


@dataclass(frozen=True, slots=True)
class CertificateInfo:
    """What login and HELLO need of the certificate that a connection saw.

    Attributes:
        der_sha256: SHA-256 of the whole certificate in DER.
        end_point_hash: `tls-server-end-point` (RFC 5929 §4.1): the certificate hashed with the
            hash of its own signature, SHA-256 in place of MD5 and SHA-1.
        spki_hash: SHA-256 of the DER public key (SubjectPublicKeyInfo): what a pin holds.
        not_before_s, not_after_s: Validity in seconds since the Unix epoch, both inclusive.
    """

    der_sha256: bytes
    end_point_hash: bytes
    spki_hash: bytes
    not_before_s: int
    not_after_s: int

    @classmethod
    def of(cls, der: bytes) -> "CertificateInfo":
        """Read a DER certificate.

        Raises:
            CertificateError: It cannot be parsed, or has no `tls-server-end-point`.
        """
        try:
            certificate = x509.load_der_x509_certificate(der)
            algorithm = certificate.signature_hash_algorithm
            spki = certificate.public_key().public_bytes(
                Encoding.DER, PublicFormat.SubjectPublicKeyInfo
            )
        except ValueError as error:
            raise CertificateError(f"the certificate cannot be read: {error}") from error
        if algorithm is None:
            raise CertificateError(
                "the certificate is signed without a separate hash (Ed25519, Ed448), for which "
                "logins cannot be bound to it; use one signed with ECDSA or RSA"
            )
        name = "sha256" if algorithm.name in ("md5", "sha1") else algorithm.name
        return cls(
            hashlib.sha256(der).digest(),
            hashlib.new(name, der).digest(),
            hashlib.sha256(spki).digest(),
            int(certificate.not_valid_before_utc.timestamp()),
            int(certificate.not_valid_after_utc.timestamp()),
        )


def ensure_self_signed(folder: Path, host: str, environment: Environment) -> Path:
    """Make the server's own certificate and key, or keep those made before.

    When `host` changed, the certificate is issued anew for the same key, so pins of the key hold.

    Args:
        folder: The data folder, under the instance lock.
        host: The public name or IP address.
        environment: Clock and randomness.

    Returns:
        One PEM file holding the P-256 key and the certificate.

    Raises:
        CertificateError: The file of an earlier start cannot be read.
        FolderError: The file cannot be written.
    """
    path = folder / FILE_NAME
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        seed = int.from_bytes(environment.token_bytes(48))
        # 384 random bits against a 256-bit order: the bias is below 2^-128 (FIPS 186-5 A.2.1).
        key = ec.derive_private_key(seed % (_P256_ORDER - 1) + 1, ec.SECP256R1())
    except OSError as error:
        raise CertificateError(f"{path} cannot be read: {error.strerror}") from error
    else:
        try:
            old = x509.load_pem_x509_certificate(data)
            loaded = load_pem_private_key(data, None)
        except (ValueError, TypeError) as error:
            raise CertificateError(
                f"{path} is damaged; restore it, or delete it to have a new one made"
            ) from error
        if not isinstance(loaded, ec.EllipticCurvePrivateKey):
            raise CertificateError(f"{path} is not of chatd's making; set tls.certificate instead")
        if _names(old) == [_general_name(host)]:
            return path
        key = loaded
    write_file(path, _issue(key, host, environment))
    return path


def _general_name(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)


def _names(certificate: x509.Certificate) -> list[x509.GeneralName]:
    try:
        extension = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    except x509.ExtensionNotFound:
        return []
    return list(extension.value)


def _issue(key: ec.EllipticCurvePrivateKey, host: str, environment: Environment) -> bytes:
    # The common name is for people and limited to 64 (RFC 5280 A.1); the SAN is what counts.
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, host[:64])])
    # A day early, for clients whose clocks are behind.
    now = datetime.datetime.fromtimestamp(environment.now_ms() // 1000 - _DAY_S, datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(int.from_bytes(environment.token_bytes(16)) >> 1 | 1)
        .not_valid_before(now)
        .not_valid_after(NEVER)
        .add_extension(x509.SubjectAlternativeName([_general_name(host)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return pem + certificate.public_bytes(Encoding.PEM)
