"""Opening SQLite the way the rest of this package relies on.

WAL, ``synchronous=FULL`` (a commit is on disk when it returns), no automatic checkpoints (see
:mod:`storage.checkpoint`), deleted content overwritten. SQLite is the one bundled with
``apsw-sqlite3mc``, so that its version is known; before 3.51.3 a checkpoint beside a writer could
damage the file.
"""

from pathlib import Path
from typing import Final

import apsw

from storage.errors import StorageFailed, translate_os, translated

DATABASE_NAME: Final = "chatd.db"
BUSY_TIMEOUT_MS: Final = 5_000
"""How long a connection waits for another process; this program's own hardly ever collide."""
_STATEMENTS: Final = 400
"""Prepared statements kept: 64 sizes of the three bulk statements, and the single ones."""
_OLDEST_SQLITE: Final = (3, 51, 3)

if tuple(map(int, apsw.sqlite_lib_version().split("."))) < _OLDEST_SQLITE:
    raise ImportError(
        f"SQLite {apsw.sqlite_lib_version()} can damage a database that is checkpointed while it "
        "is written: install apsw-sqlite3mc 3.51.3 or newer"
    )


def open_writer(path: Path, cache_mib: int) -> apsw.Connection:
    """Open, and create if needed, the one connection that writes. The file gets mode 0600.

    Nothing in an existing file is changed: see :func:`log_ahead`.

    Raises:
        StorageError: It cannot be opened, is damaged or held by another process.
    """
    try:
        if not path.exists():
            path.touch(mode=0o600)
    except OSError as error:
        raise translate_os(error, f"{path.name} cannot be created") from error
    with translated():
        connection = apsw.Connection(str(path), statementcachesize=_STATEMENTS)
        _prepare(connection, cache_mib)
        connection.pragma("secure_delete", True)
        connection.pragma("foreign_keys", True)
    return connection


def log_ahead(connection: apsw.Connection) -> None:
    """Switch the database, known to be ours, to a write-ahead log.

    Raises:
        StorageFailed: The file system cannot hold one: readers and writer share memory through it.
        StorageError: The disk is full or failed.
    """
    with translated():
        mode = connection.pragma("journal_mode", "WAL")
    if mode != "wal":
        raise StorageFailed(
            "the data folder's file system has no shared memory for SQLite's write-ahead log: "
            "keep the data folder on a local disk"
        )


def open_reader(path: Path, cache_mib: int) -> apsw.Connection:
    """Open a connection that only reads.

    Raises:
        StorageError: It cannot be opened or is damaged.
    """
    with translated():
        connection = apsw.Connection(
            str(path), flags=apsw.SQLITE_OPEN_READWRITE, statementcachesize=100
        )
        _prepare(connection, cache_mib)
        connection.pragma("query_only", True)
    return connection


def _prepare(connection: apsw.Connection, cache_mib: int) -> None:
    connection.set_busy_timeout(BUSY_TIMEOUT_MS)
    connection.pragma("synchronous", "FULL")
    connection.pragma("wal_autocheckpoint", 0)
    connection.pragma("cache_size", -cache_mib * 1024)
    connection.pragma("mmap_size", 0)  # an EIO must be an error, not a SIGBUS
    connection.pragma("temp_store", "MEMORY")
