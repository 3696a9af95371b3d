"""The store's file: opened under a lock, encrypted, durable; and the transaction around each batch.

Synchronous, used by one thread at a time. A transaction is on disk when it returns
(``synchronous=FULL``). apsw's errors do not leave this package's store modules: they come out as
:class:`clients.sdk.errors.StoreError`.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import apsw

from clients.sdk import schema
from clients.sdk.errors import StoreDamaged, StoreNewer, WrongKey
from clients.sdk.home import Lock

Value = str | int | float | bytes | None
Row = tuple[Any, ...]  # the schema is what gives columns their types
MAX_WAL_PAGES: Final = 1_000
"""4 MiB: a checkpoint about every few thousand messages."""


@contextmanager
def border(path: Path) -> Iterator[None]:
    """Translate apsw's errors; their texts may quote values, so only the kind is kept."""
    try:
        yield
    except apsw.NotADBError as error:
        raise WrongKey(f"the passphrase or key does not open {path}") from error
    except apsw.FullError as error:
        raise StoreDamaged(f"no space left for {path}: free some, nothing is lost") from error
    except apsw.Error as error:
        raise StoreDamaged(f"{path} cannot be used ({type(error).__name__})") from error


class Store:
    """One account's encrypted database, exclusively ours while open."""

    def __init__(self, path: Path, key: bytes) -> None:
        """Open or make the store; its folder exists.

        Args:
            path: The database file; ``.lock`` beside it is the lock.
            key: 32 bytes.

        Raises:
            StoreLocked: Another process uses it.
            WrongKey: The key does not open it.
            StoreNewer: A newer version wrote it.
            StoreDamaged: It cannot be read or made.
        """
        self.path = path
        self._lock = Lock(path.with_suffix(".lock"))
        try:
            with border(path):
                self._make_file()
                self.db = apsw.Connection(str(path))
                try:
                    self._prepare(key)
                except BaseException:
                    self.db.close()
                    raise
        except BaseException:
            self._lock.close()
            raise

    def _make_file(self) -> None:
        # Made here so that it never exists with a wider mode; SQLite gives -wal the same one.
        try:
            os.close(os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
            os.chmod(self.path, 0o600)
        except OSError as error:
            raise StoreDamaged(f"cannot open {self.path}: {error.strerror}") from error

    def _prepare(self, key: bytes) -> None:
        if len(key) != 32:
            raise WrongKey("a store key has 32 bytes")
        self.db.pragma("cipher", "chacha20")
        # "raw:" skips the cipher's own slow derivation: the key is uniform already.
        self.db.execute(f"PRAGMA key='raw:{key.hex()}'")
        self.db.execute("SELECT count(*) FROM sqlite_schema")
        self.db.set_busy_timeout(0)  # nobody else may be here
        self.db.pragma("journal_mode", "wal")
        self.db.pragma("synchronous", "FULL")
        self.db.pragma("secure_delete", "ON")
        self.db.pragma("foreign_keys", "ON")
        self.db.pragma("temp_store", "MEMORY")
        self.db.wal_autocheckpoint(MAX_WAL_PAGES)
        found = self.db.pragma("user_version")
        assert isinstance(found, int)
        if found > schema.VERSION:
            raise StoreNewer(f"{self.path} was written by a newer version: update this one")
        for version in range(found + 1, schema.VERSION + 1):
            with self.transaction():
                self.db.execute(schema.MIGRATIONS[version])
                self.db.pragma("user_version", version)

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """One transaction: on disk when it ends, undone when it raises."""
        with border(self.path):
            self.db.execute("BEGIN IMMEDIATE")
            try:
                yield
                self.db.execute("COMMIT")
            except BaseException:
                if not self.db.get_autocommit():
                    self.db.execute("ROLLBACK")
                raise

    @contextmanager
    def savepoint(self) -> Iterator[None]:
        """One part of a transaction: undone alone when it raises."""
        with border(self.path):
            self.db.execute("SAVEPOINT job")
            try:
                yield
            except BaseException:
                if not self.db.get_autocommit():  # a full disk may have undone everything
                    self.db.execute("ROLLBACK TO job")
                    self.db.execute("RELEASE job")
                raise
            self.db.execute("RELEASE job")

    def row(self, sql: str, bindings: tuple[Value, ...] = ()) -> Row | None:
        """Return the first row, or None."""
        return self.db.execute(sql, bindings).fetchone()

    def rows(self, sql: str, bindings: tuple[Value, ...] = ()) -> list[Row]:
        """Return all rows: the statement bounds them."""
        return list(self.db.execute(sql, bindings))

    def close(self) -> None:
        """Close the file and let the lock go. Idempotent."""
        try:
            with border(self.path):
                self.db.close()
        finally:
            self._lock.close()
            self._lock = _NO_LOCK


class _NoLock(Lock):
    def __init__(self) -> None:  # takes nothing: see Store.close
        pass

    def close(self) -> None:
        pass


_NO_LOCK: Final = _NoLock()
