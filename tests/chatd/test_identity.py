"""The server's identity is made once and never anew in silence."""

import json
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from chatd.identity import IdentityError, load_or_create
from tests.chatd.conftest import SeededWorld


def test_identity_is_made_at_first_start_and_stays(tmp_path: Path, world: SeededWorld) -> None:
    made = load_or_create(tmp_path, world)
    again = load_or_create(tmp_path, world)
    assert (tmp_path / "identity.json").stat().st_mode & 0o777 == 0o600
    assert (len(made.server_id), len(made.server_secret), len(made.public_key)) == (16, 32, 32)
    assert again.public_key == made.public_key
    assert (again.server_id, again.server_secret) == (made.server_id, made.server_secret)
    Ed25519PublicKey.from_public_bytes(made.public_key).verify(again.sign(b"x"), b"x")


def test_identities_differ_when_the_randomness_does(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    one = load_or_create(tmp_path / "a", SeededWorld(1))
    two = load_or_create(tmp_path / "b", SeededWorld(2))
    assert one.public_key != two.public_key
    assert one.server_id != two.server_id


def test_identity_is_refused_when_it_is_lost_beside_a_database(
    tmp_path: Path, world: SeededWorld
) -> None:
    (tmp_path / "chatd.db").write_bytes(b"")
    with pytest.raises(IdentityError, match=r"missing although chatd\.db exists; restore"):
        load_or_create(tmp_path, world)
    assert not (tmp_path / "identity.json").exists()


def test_identity_shows_no_secret(tmp_path: Path, world: SeededWorld) -> None:
    identity = load_or_create(tmp_path, world)
    document = json.loads((tmp_path / "identity.json").read_text())
    shown = repr(identity) + str(identity)
    assert identity.server_id.hex() in shown
    assert identity.server_secret.hex() not in shown
    assert repr(identity.server_secret) not in shown
    assert document["identity_key"] not in shown


@pytest.mark.parametrize(
    "change",
    [
        {"identity_key": "AAAA"},
        {"server_id": "!!"},
        {"server_secret": None},
        {"server_secret": "AAAA"},
        {"server_id": 5},
    ],
)
def test_identity_is_refused_when_a_field_is_damaged(
    tmp_path: Path, world: SeededWorld, change: dict[str, object]
) -> None:
    load_or_create(tmp_path, world)
    path = tmp_path / "identity.json"
    document = json.loads(path.read_text())
    path.write_text(json.dumps({**document, **change}))
    with pytest.raises(IdentityError, match="damaged; restore it from your backup") as caught:
        load_or_create(tmp_path, world)
    assert document["server_secret"] not in str(caught.value)


@pytest.mark.parametrize("data", [b"", b"[]", b"{", b"\xff", b"[" * 4000, b" " * 4096 + b"{}"])
def test_identity_is_refused_when_the_file_is_no_identity(
    tmp_path: Path, world: SeededWorld, data: bytes
) -> None:
    (tmp_path / "identity.json").write_bytes(data)
    with pytest.raises(IdentityError, match="damaged"):
        load_or_create(tmp_path, world)


def test_identity_is_refused_when_it_is_newer_or_unreadable(
    tmp_path: Path, world: SeededWorld
) -> None:
    path = tmp_path / "identity.json"
    path.write_text('{"version": 2}')
    with pytest.raises(IdentityError, match="upgrade chatd"):
        load_or_create(tmp_path, world)
    path.unlink()
    path.mkdir()
    with pytest.raises(IdentityError, match="cannot be read"):
        load_or_create(tmp_path, world)
