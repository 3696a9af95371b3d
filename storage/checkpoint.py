"""Moving the write-ahead log into the database, beside the writer and not in its way.

A :class:`Checkpointer` has its own connection and thread: it copies what is committed while new
batches go on. The log file can start over only when all of it was copied, which a busy writer
never lets happen; then, over ``RESTART_PAGES``, the little that is left is copied between two
batches by the writer's own thread.
"""

from pathlib import Path
from typing import Final

import apsw

from storage.database import BUSY_TIMEOUT_MS, open_reader
from storage.errors import StorageBusy, translate, translated

COPY_PAGES: Final = 8_000
"""32 MiB: copied in the background. Rarer is cheaper: hot pages are then copied once for many."""
RESTART_PAGES: Final = 16_000
"""64 MiB: the writer lends a hand, so that the file is bounded by about this."""
_PATIENCE_MS: Final = 20
"""How long the writer waits for readers before it gives up emptying the log file for now."""


class Checkpointer:
    """Copies in the background. One call at a time."""

    def __init__(self, path: Path) -> None:
        """Open the database.

        Raises:
            StorageError: It cannot be opened.
        """
        self._connection = open_reader(path, 1)
        with translated():
            self._connection.pragma("query_only", False)

    def copy(self) -> None:
        """Copy what is committed into the database file and sync it.

        Raises:
            StorageError: The disk failed or is full.
        """
        _checkpoint(self._connection, apsw.SQLITE_CHECKPOINT_PASSIVE)

    def close(self) -> None:
        """Close the connection."""
        with translated():
            self._connection.close()


def copy_rest(writer: apsw.Connection) -> None:
    """Copy what is left, so that the next batch can start the log file over.

    Raises:
        StorageError: The disk failed or is full.
    """
    _checkpoint(writer, apsw.SQLITE_CHECKPOINT_PASSIVE)


def empty(writer: apsw.Connection) -> bool:
    """Copy everything and cut the log file to nothing, unless a reader still needs it.

    Returns:
        Whether the log file is empty now.

    Raises:
        StorageError: The disk failed or is full.
    """
    with translated():
        writer.set_busy_timeout(_PATIENCE_MS)
        try:
            return _checkpoint(writer, apsw.SQLITE_CHECKPOINT_TRUNCATE) == (0, 0)
        finally:
            writer.set_busy_timeout(BUSY_TIMEOUT_MS)


def _checkpoint(connection: apsw.Connection, mode: int) -> tuple[int, int] | None:
    """Return pages in the log file and how many are copied; None: kept from it by a reader."""
    try:
        return connection.wal_checkpoint(mode=mode)
    except apsw.Error as error:
        failure = translate(error)
        if isinstance(failure, StorageBusy):
            return None
        raise failure from error
