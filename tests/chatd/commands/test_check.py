"""`chatd check` finds what is wrong and repairs nothing."""

import datetime
import json
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from chatd.certificate import ensure_self_signed
from chatd.folder import open_folder
from tests.chatd.commands.conftest import CommandLine
from tests.chatd.conftest import SeededWorld


def test_check_passes_before_the_first_start(chatd: CommandLine) -> None:
    done = chatd("check")
    assert done.exit_code == 0, done.output
    assert "does not exist; `chatd run` makes it" in done.stdout
    assert not chatd.folder.exists()


@pytest.mark.parametrize("running", [True, False])
def test_check_looks_at_everything(chatd: CommandLine, running: bool) -> None:
    open_folder(chatd.folder)
    ensure_self_signed(chatd.folder, "chat.example", SeededWorld(now_ms=1_700_000_000_000))
    if running:
        with chatd.daemon():
            done = chatd("check", "--json")
    else:
        done = chatd("check", "--json")
    assert done.exit_code == 0, done.output
    assert [(row["name"], row["ok"]) for row in json.loads(done.stdout)] == [
        ("configuration", True),
        ("data folder", True),
        ("certificate", True),
        ("database", True),
    ]


def test_check_fails_when_others_can_read_the_data(chatd: CommandLine) -> None:
    open_folder(chatd.folder)
    (chatd.folder / "chatd.db").touch(0o600)
    (chatd.folder / "chatd.db").chmod(0o644)
    done = chatd("check")
    assert done.exit_code == 1
    assert f"FAIL  data folder: others can reach {chatd.folder / 'chatd.db'}" in done.stdout


def test_check_fails_when_the_database_is_not_well(chatd: CommandLine) -> None:
    open_folder(chatd.folder)
    chatd.admin.healthy = False
    done = chatd("check")
    assert done.exit_code == 1
    assert "FAIL  database: integrity" in done.stdout


@pytest.mark.parametrize(
    ("begins_days", "ends_days", "says"),
    [(-9, -1, "expired on"), (-9, 13, "renew it now"), (2, 90, "not valid before"), (-9, 20, None)],
)
def test_check_judges_the_certificates_dates(
    chatd: CommandLine, tmp_path: Path, begins_days: int, ends_days: int, says: str | None
) -> None:
    open_folder(chatd.folder)
    key = ec.generate_private_key(ec.SECP256R1())
    now, day = datetime.datetime.now(datetime.UTC), datetime.timedelta(days=1)
    certificate = x509.CertificateBuilder(
        x509.Name([]),
        x509.Name([]),
        key.public_key(),
        1,
        now + begins_days * day,
        now + ends_days * day,
    ).sign(key, hashes.SHA256())
    path = tmp_path / "own.pem"
    path.touch(0o600)
    path.write_bytes(
        key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        + certificate.public_bytes(Encoding.PEM)
    )
    done = chatd("check", "--set", f"tls.certificate={path}", "--set", f"tls.key={path}")
    assert done.exit_code == (1 if says else 0), done.output
    assert says is None or says in done.stdout


def test_check_fails_when_the_certificate_cannot_be_read(chatd: CommandLine) -> None:
    open_folder(chatd.folder)
    done = chatd("check", "--set", "tls.certificate=/absent", "--set", "tls.key=/absent")
    assert done.exit_code == 1
    assert "FAIL  certificate: /absent" in done.stdout
