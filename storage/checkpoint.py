"""Moving the write-ahead log into the database, beside the writer and not in its way.

A :class:`Checkpointer` has its own connection and thread: it copies what is committed while new
batches go on. The log file can start over only when all of it was copied, which a busy writer
never lets happen; then, over ``_RESTART_PAGES``, the little that is left is copied between two
batches by the writer's own thread.
"""

from pathlib import Path
from typing import Final

import apsw

from storage.database import open_reader
from storage.errors import StorageBusy, translate

COPY_PAGES: Final = 8_000
"""32 MiB: copied in the background. Rarer is cheaper: hot pages are then copied once for many."""
RESTART_PAGES: Final = 16_000
"""64 MiB: the writer lends a hand, so that the file is bounded by about this."""


class Checkpointer:
    """Copies in the background. One call at a time."""

    def __init__(self, path: Path) -> None:
        """Open the database.

        Raises:
            StorageError: It cannot be opened.
        """
        self._connection = open_reader(path, 1)
        self._connection.pragma("query_only", False)

    def copy(self) -> None:
        """Copy what is committed into the database file and sync it.

        Raises:
            StorageError: The disk failed or is full.
        """
        checkpoint(self._connection, apsw.SQLITE_CHECKPOINT_PASSIVE)

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()


def checkpoint(connection: apsw.Connection, mode: int) -> tuple[int, int]:
    """Checkpoint; being kept from finishing by a reader is no error.

    Returns:
        Pages in the log file, and how many of them are copied.

    Raises:
        StorageError: The disk failed or is full.
    """
    try:
        return connection.wal_checkpoint(mode=mode)
    except apsw.Error as error:
        failure = translate(error)
        if isinstance(failure, StorageBusy):
            return (0, 0)
        raise failure from error
