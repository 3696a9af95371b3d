"""What makes this server itself: identity key, server id and server secret, made at first start.

Links and clients pin the key and the id, so they must never change or be made anew unnoticed. All
three lie in one file, written once and atomically: there is no half an identity.
"""

import base64
import binascii
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from chatd.folder import write_file

FILE_NAME = "identity.json"
VERSION = 1
SERVER_ID_BYTES = 16
SERVER_SECRET_BYTES = 32
_KEY_BYTES = 32
_MAX_FILE_BYTES = 4_096


class Environment(Protocol):
    """The part of the environment object that identity and certificates need."""

    def now_ms(self) -> int:
        """Milliseconds since the Unix epoch."""

    def token_bytes(self, n: int) -> bytes:
        """`n` bytes fit for keys."""


class IdentityError(Exception):
    """The identity file is missing where it must exist, or cannot be read."""


@dataclass(frozen=True, slots=True)
class Identity:
    """The server's own keys. `repr` and logs show the public part only."""

    key: Ed25519PrivateKey
    server_id: bytes
    server_secret: bytes

    @property
    def public_key(self) -> bytes:
        """The 32 bytes of the Ed25519 public key that links carry."""
        return self.key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)

    def sign(self, data: bytes) -> bytes:
        """The 64-byte Ed25519 signature (RFC 8032 §5.1) of `data`."""
        return self.key.sign(data)

    def __repr__(self) -> str:
        return f"Identity(server_id={self.server_id.hex()})"


def load_or_create(folder: Path, environment: Environment) -> Identity:
    """Read the identity, or make it in a folder that holds no database yet.

    Call it under the instance lock and before the database is made.

    Raises:
        IdentityError: The file is damaged, or missing beside a database: users of that
            database pinned the lost key, so making another in silence would lock them out.
        FolderError: The file cannot be written.
    """
    path = folder / FILE_NAME
    try:
        with path.open("rb") as file:
            data = file.read(_MAX_FILE_BYTES + 1)
    except FileNotFoundError:
        databases = sorted(folder.glob("*.db"))
        if databases:
            raise IdentityError(
                f"{path} is missing although {databases[0].name} exists; restore it from your "
                "backup, or move the database away to start a new server"
            ) from None
        return _create(path, environment)
    except OSError as error:
        raise IdentityError(f"{path} cannot be read: {error.strerror}") from error
    return _parse(path, data)


def _create(path: Path, environment: Environment) -> Identity:
    key = environment.token_bytes(_KEY_BYTES)
    server_id = environment.token_bytes(SERVER_ID_BYTES)
    secret = environment.token_bytes(SERVER_SECRET_BYTES)
    document = {
        "version": VERSION,
        "identity_key": base64.b64encode(key).decode(),
        "server_id": base64.b64encode(server_id).decode(),
        "server_secret": base64.b64encode(secret).decode(),
    }
    write_file(path, json.dumps(document, indent=2).encode() + b"\n")
    return Identity(Ed25519PrivateKey.from_private_bytes(key), server_id, secret)


def _parse(path: Path, data: bytes) -> Identity:
    damaged = IdentityError(f"{path} is damaged; restore it from your backup")
    try:
        document = json.loads(data) if len(data) <= _MAX_FILE_BYTES else None
        if not isinstance(document, dict):
            raise damaged
        if document.get("version") != VERSION:
            raise IdentityError(f"{path} was written by another version of chatd; upgrade chatd")
        key, server_id, secret = (
            base64.b64decode(document[name], validate=True)
            for name in ("identity_key", "server_id", "server_secret")
        )
    # "from None": the parser's message would quote the file, which is secret.
    except (ValueError, TypeError, KeyError, RecursionError, binascii.Error):
        raise damaged from None
    if (len(key), len(server_id), len(secret)) != (
        _KEY_BYTES,
        SERVER_ID_BYTES,
        SERVER_SECRET_BYTES,
    ):
        raise damaged
    return Identity(Ed25519PrivateKey.from_private_bytes(key), server_id, secret)
