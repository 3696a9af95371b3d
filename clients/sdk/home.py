"""Where accounts live on disk: one folder each, 0700, with the store, its lock and a header.

    HOME/accounts/USER@ID/account.json   which account this is, and how its key is kept; no secret
                          store.db       everything else, encrypted
                          store.lock     held by the one process that uses the store
                          agent.sock     where that process serves the others; see clients/cli

The header is written once, when the account is made, and never holds anything secret: the name of
the user and the address of the server are readable on this machine, as the folder's name is.
"""

import fcntl
import json
import os
import re
import shutil
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final
from urllib.parse import quote

from clients.sdk.errors import AccountExists, InvalidInput, NoAccount, StoreDamaged, StoreLocked

_UNSAFE: Final = re.compile(r"[.~]")
MAX_HEADER_BYTES: Final = 4_096
"""A header is about 300 bytes; anything larger was not written by this program."""


@dataclass(frozen=True, slots=True)
class Header:
    """What is readable without the key."""

    user: str
    host: str
    port: int
    server_id: str
    """Hex."""
    key_kind: str
    """``passphrase`` or ``keyring``."""
    key_hint: str
    """Hex: the salt of the passphrase, or the entry's name in the keyring."""
    version: int = 1


class AccountFolder:
    """One account's folder."""

    def __init__(self, path: Path, header: Header) -> None:
        self.path, self.header = path, header

    @property
    def store_path(self) -> Path:
        """The encrypted database."""
        return self.path / "store.db"

    @property
    def name(self) -> str:
        """What ``--account`` takes: the folder's name, unique in its home."""
        return self.path.name

    def remove(self) -> None:
        """Delete everything of this account from this machine."""
        shutil.rmtree(self.path)


class Lock:
    """An exclusive lock on a file, held until closed or until the process ends."""

    def __init__(self, path: Path) -> None:
        """Take the lock.

        Raises:
            StoreLocked: Another process, or this one, holds it.
            StoreDamaged: The file cannot be made.
        """
        try:
            self._fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise StoreDamaged(f"cannot open {path}: {error.strerror}") from error
        try:
            fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            os.close(self._fd)
            raise StoreLocked(
                f"another process is using {path.parent}; stop it, or let it do this for you"
            ) from error

    def close(self) -> None:
        """Let the next one have it."""
        os.close(self._fd)


class Home:
    """A folder of accounts."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def accounts(self) -> list[AccountFolder]:
        """Return every account, by folder name.

        Raises:
            StoreDamaged: A header cannot be read.
        """
        try:
            names = sorted(os.listdir(self.root / "accounts"))
        except FileNotFoundError:
            return []
        except OSError as error:
            raise StoreDamaged(f"cannot read {self.root}: {error.strerror}") from error
        paths = [self.root / "accounts" / name for name in names]
        return [AccountFolder(path, _read(path)) for path in paths if _is_account(path)]

    def find(self, name: str | None = None) -> AccountFolder:
        """Return the only account, or the one that ``name`` (a user, or a folder) means.

        Raises:
            NoAccount: There is none, or several fit; says what to do.
        """
        accounts = self.accounts()
        if not accounts:
            raise NoAccount(f"no account in {self.root}; join with your invite: chat join LINK")
        fitting = [a for a in accounts if name in (None, a.name, a.header.user)]
        if len(fitting) == 1:
            return fitting[0]
        listed = ", ".join(a.name for a in (fitting or accounts))
        if not fitting:
            raise NoAccount(f"no account {name!r} in {self.root}; there are: {listed}")
        raise NoAccount(f"several accounts fit; name one with --account: {listed}")

    def get(self, user: str, server_id: bytes) -> AccountFolder | None:
        """Return the folder of this user of this server, if there is one."""
        path = self._path(user, server_id)
        return AccountFolder(path, _read(path)) if _is_account(path) else None

    def create(self, header: Header) -> AccountFolder:
        """Make the folder of a new account.

        Raises:
            AccountExists: It is there.
            StoreDamaged: The file system refuses.
        """
        path = self._path(header.user, bytes.fromhex(header.server_id))
        if _is_account(path):
            raise AccountExists(f"{path} exists")
        try:
            for folder in (self.root, self.root / "accounts", path):
                folder.mkdir(0o700, parents=folder == self.root, exist_ok=True)
            path.chmod(0o700)
            (self.root / "accounts").chmod(0o700)
            _write(path / "account.json", json.dumps(asdict(header), indent=1) + "\n")
        except OSError as error:
            raise StoreDamaged(f"cannot make {path}: {error.strerror}") from error
        return AccountFolder(path, header)

    def _path(self, user: str, server_id: bytes) -> Path:
        # Every byte that means something to a file system is escaped; the dot too, for "..".
        safe = _UNSAFE.sub(lambda match: f"%{ord(match[0]):02X}", quote(user, safe=""))
        return self.root / "accounts" / f"{safe}@{server_id.hex()[:8]}"


def _is_account(path: Path) -> bool:
    return (path / "account.json").exists()


def _write(path: Path, text: str) -> None:
    # Whole or not at all: written beside, synced, renamed.
    beside = path.with_suffix(".new")
    fd = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    with os.fdopen(fd, "w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    beside.rename(path)
    folder = os.open(path.parent, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _read(path: Path) -> Header:
    file = path / "account.json"
    try:
        with file.open("rb") as opened:
            values = json.loads(opened.read(MAX_HEADER_BYTES))
        header = Header(**values)
        bytes.fromhex(header.server_id + header.key_hint)
    except OSError as error:
        raise StoreDamaged(f"cannot read {file}: {error.strerror}") from error
    except (ValueError, TypeError) as error:
        raise StoreDamaged(f"{file} is damaged: restore it from a copy of this folder") from error
    if header.version != 1:
        raise InvalidInput(f"{file} was written by a newer version: update this one")
    return header
