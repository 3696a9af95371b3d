"""The self-signed certificate, and the hashes of any certificate."""

import base64
import datetime
import hashlib
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from chatd.certificate import CertificateError, CertificateInfo, ensure_self_signed
from tests.chatd.conftest import SeededWorld

# openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -sha1 -nodes
SHA1_SIGNED = (
    "MIIBgjCCASigAwIBAgIUCC+ctbSTNOIa52RwgQX+/P98ImEwCQYHKoZIzj0EATAXMRUwEwYDVQQDDAxz"
    "aGExLmV4YW1wbGUwHhcNMjYxMTI0MDcwMTExWhcNMjYxMjA0MDcwMTExWjAXMRUwEwYDVQQDDAxzaGEx"
    "LmV4YW1wbGUwWTATBgcqhkjOPQIBBggqhkjOPQMBBwNCAAQ3hrrQJJNaJOw/ljzuR6Px+7rpmAtDQTDi"
    "rcyrXjsqIDEinLB+C/4VVm7gwt8KMYIn2TnorRrYEefVLVLZx+K9o1MwUTAdBgNVHQ4EFgQU331+ulep"
    "s37ksq1tgfe2xHdQr+owHwYDVR0jBBgwFoAU331+uleps37ksq1tgfe2xHdQr+owDwYDVR0TAQH/BAUw"
    "AwEB/zAJBgcqhkjOPQQBA0kAMEYCIQDase1FlT/G8Sz36Heymo9gpxA+E0ykwbyRhyd3WDBlGAIhAKgp"
    "vGKwZlQRDsC7QIXhe5EXixPb5oDKbCOqm847ru6z"
)
START = datetime.datetime(2027, 1, 1, tzinfo=datetime.UTC)


def signed(
    key: ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey,
    algorithm: hashes.SHA256 | hashes.SHA384 | None,
) -> bytes:
    name = x509.Name([])
    builder = x509.CertificateBuilder(
        name, name, key.public_key(), 1, START, START + datetime.timedelta(days=1)
    )
    return builder.sign(key, algorithm).public_bytes(Encoding.DER)


@pytest.mark.parametrize("algorithm", [hashes.SHA256(), hashes.SHA384()])
def test_info_hashes_with_the_signatures_hash(algorithm: hashes.SHA256 | hashes.SHA384) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    der = signed(key, algorithm)
    info = CertificateInfo.of(der)
    spki = key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    assert info.end_point_hash == hashlib.new(algorithm.name, der).digest()
    assert info.der_sha256 == hashlib.sha256(der).digest()
    assert info.spki_hash == hashlib.sha256(spki).digest()
    assert info.not_before_s == int(START.timestamp())
    assert info.not_after_s == info.not_before_s + 86_400


def test_info_takes_sha256_when_the_signature_used_sha1() -> None:
    der = base64.b64decode(SHA1_SIGNED)
    assert CertificateInfo.of(der).end_point_hash == hashlib.sha256(der).digest()


def test_info_refuses_what_logins_cannot_be_bound_to() -> None:
    with pytest.raises(CertificateError, match="Ed25519"):
        CertificateInfo.of(signed(ed25519.Ed25519PrivateKey.generate(), None))
    with pytest.raises(CertificateError, match="cannot be read"):
        CertificateInfo.of(b"\x30\x00")


@pytest.mark.parametrize(
    ("host", "name"),
    [("chat.example.org", "chat.example.org"), ("192.0.2.1", None), ("2001:db8::1", None)],
)
def test_self_signed_names_the_public_host(
    tmp_path: Path, world: SeededWorld, host: str, name: str | None
) -> None:
    path = ensure_self_signed(tmp_path, host, world)
    assert path.stat().st_mode & 0o777 == 0o600
    certificate = x509.load_pem_x509_certificate(path.read_bytes())
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    if name:
        assert names.get_values_for_type(x509.DNSName) == [name]
    else:
        assert [str(ip) for ip in names.get_values_for_type(x509.IPAddress)] == [host]
    assert isinstance(certificate.public_key(), ec.EllipticCurvePublicKey)
    assert certificate.not_valid_before_utc.timestamp() == world.now_ms() // 1000 - 86_400
    assert certificate.not_valid_after_utc.year == 9999


def test_self_signed_is_kept_and_keeps_its_key_when_the_host_changes(
    tmp_path: Path, world: SeededWorld
) -> None:
    path = ensure_self_signed(tmp_path, "a.example", world)
    first = path.read_bytes()
    assert ensure_self_signed(tmp_path, "a.example", world).read_bytes() == first
    second = ensure_self_signed(tmp_path, "b.example", world).read_bytes()
    der = [
        x509.load_pem_x509_certificate(pem).public_bytes(Encoding.DER) for pem in (first, second)
    ]
    one, two = (CertificateInfo.of(each) for each in der)
    assert one.spki_hash == two.spki_hash
    assert one.end_point_hash != two.end_point_hash


def test_self_signed_is_refused_when_its_file_is_damaged(
    tmp_path: Path, world: SeededWorld
) -> None:
    (tmp_path / "tls.pem").write_bytes(b"not PEM")
    with pytest.raises(CertificateError, match="damaged; restore it, or delete it"):
        ensure_self_signed(tmp_path, "a.example", world)
    (tmp_path / "tls.pem").unlink()
    (tmp_path / "tls.pem").mkdir()
    with pytest.raises(CertificateError, match="cannot be read"):
        ensure_self_signed(tmp_path, "a.example", world)


def test_self_signed_takes_a_host_name_longer_than_a_common_name(
    tmp_path: Path, world: SeededWorld
) -> None:
    host = "a" * 60 + ".example.org"
    path = ensure_self_signed(tmp_path, host, world)
    certificate = x509.load_pem_x509_certificate(path.read_bytes())
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == [host]
