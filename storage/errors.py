"""What storage can raise. Nothing of SQLite's leaves this package.

StorageError
├── StorageFull        no room: nothing of the batch was stored; retry when there is room
├── StorageFailed      the disk or the database failed: stop, answer nothing more
├── StorageCorrupt     the file is damaged: restore a backup
├── SchemaTooNew       written by a newer version: update, or restore the snapshot
└── StorageBusy        another process holds the database
"""

import errno
from collections.abc import Iterator
from contextlib import contextmanager

import apsw


class StorageError(Exception):
    """Base of everything that this package raises on purpose."""


class StorageFull(StorageError):
    """There is no room on the disk. The batch was rolled back whole."""


class StorageFailed(StorageError):
    """A read, write or fsync failed. What was not yet answered is in doubt: stop at once."""


class StorageCorrupt(StorageError):
    """The database file is damaged or no database."""


class SchemaTooNew(StorageError):
    """The database was written by a newer version of the program."""

    def __init__(self, found: int, known: int) -> None:
        super().__init__(found, known)
        self.found, self.known = found, known

    def __str__(self) -> str:
        return (
            f"the database has schema version {self.found}, this program knows {self.known}: "
            "update the program, or restore the snapshot that was made before the upgrade"
        )


class StorageBusy(StorageError):
    """Another process holds the database."""


@contextmanager
def translated() -> Iterator[None]:
    """Turn SQLite's errors into this package's, at the border."""
    try:
        yield
    except apsw.Error as error:
        raise translate(error) from error


def translate(error: apsw.Error) -> StorageError:
    """Return this package's error for one of SQLite's. SQLite's texts may quote data: none is."""
    if isinstance(error, apsw.FullError):
        return StorageFull("no room left on the disk: make room, then try again")
    if isinstance(error, (apsw.CorruptError, apsw.NotADBError)):
        return StorageCorrupt("the database file is damaged: restore a backup")
    if isinstance(error, (apsw.BusyError, apsw.LockedError)):
        return StorageBusy("the database is held by another process: stop that one first")
    codes = {**apsw.mapping_result_codes, **apsw.mapping_extended_result_codes}
    code = codes.get(getattr(error, "extendedresult", -1), type(error).__name__)
    return StorageFailed(
        f"the database failed ({code}): "
        "look for disk errors in the system's log and check the data folder's permissions"
    )


def translate_os(error: OSError, what: str) -> StorageError:
    """Return this package's error for one of the operating system's; ``what`` did not work."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return StorageFull(f"{what}: no room left on the disk")
    return StorageFailed(f"{what}: {error.strerror}")
