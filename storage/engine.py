"""SQLite behind the interface: one file, its write-ahead log, and a reserve beside them."""

from collections.abc import Callable
from pathlib import Path

import apsw

from storage.checkpoint import COPY_PAGES, RESTART_PAGES, Checkpointer, checkpoint
from storage.database import DATABASE_NAME
from storage.reader import Reader
from storage.reserve import Reserve
from storage.writer import ChainFunction, Writer


class SqliteEngine:
    """Everything durable in one folder."""

    def __init__(
        self,
        folder: Path,
        *,
        now_ms: Callable[[], int],
        chain: ChainFunction,
        cache_mib: int = 64,
        reserve_mib: int = 16,
    ) -> None:
        """Open or create the database in ``folder``, migrating it if it is older.

        Raises:
            StorageError: See :mod:`storage.errors`.
        """
        self._path = folder / DATABASE_NAME
        self._cache_mib = cache_mib
        self.writer = Writer(self._path, now_ms=now_ms, chain=chain, cache_mib=cache_mib)
        self._reserve = Reserve(folder, reserve_mib * 1024 * 1024)
        self._checkpointer = Checkpointer(self._path)
        self._pages = 0
        self._copied_at = 0
        self.writer.connection.set_wal_hook(self._committed)

    def reader(self) -> Reader:
        """Return a new reader; the caller closes it."""
        return Reader(self._path, max(4, self._cache_mib // 4))

    def hold_reserve(self) -> bool:
        """Reserve room on the disk; return whether it is reserved."""
        return self._reserve.hold()

    def release_reserve(self) -> None:
        """Give the reserved room up."""
        self._reserve.release()

    def wants_copy(self) -> bool:
        """Return whether the write-ahead log has grown enough to be copied."""
        return self._pages - self._copied_at >= COPY_PAGES or self.writer.bodies_removed

    def copy(self) -> None:
        """Copy what is committed into the database, beside the writer.

        Raises:
            StorageError: The disk failed or is full.
        """
        self._copied_at = self._pages
        self._checkpointer.copy()

    def finish_copy(self) -> None:
        """Copy the rest between two batches when the log file is long or holds removed bodies.

        Raises:
            StorageError: The disk failed or is full.
        """
        if self.writer.bodies_removed:
            mode = apsw.SQLITE_CHECKPOINT_TRUNCATE
        elif self._pages >= RESTART_PAGES:
            mode = apsw.SQLITE_CHECKPOINT_PASSIVE
        else:
            return
        pages, copied = checkpoint(self.writer.connection, mode)
        if mode == apsw.SQLITE_CHECKPOINT_TRUNCATE and pages == copied == 0:
            self.writer.bodies_removed = False

    def close(self) -> None:
        """Copy everything, close every connection but the readers'."""
        self.writer.close()
        self._checkpointer.close()

    def _committed(self, _connection: apsw.Connection, _name: str, pages: int) -> int:
        if pages < self._pages:
            self._copied_at = 0  # the log file started over
        self._pages = pages
        return apsw.SQLITE_OK
