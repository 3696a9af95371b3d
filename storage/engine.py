"""SQLite behind the interface: one file, its write-ahead log, and a reserve beside them."""

from collections.abc import Callable
from pathlib import Path
from typing import Final

import apsw

from storage.checkpoint import COPY_PAGES, RESTART_PAGES, Checkpointer, copy_rest, empty
from storage.database import DATABASE_NAME
from storage.errors import StorageFull
from storage.reader import Reader
from storage.reserve import Reserve
from storage.writer import ChainFunction, Writer

EMPTY_EVERY_MS: Final = 1_000
"""How often, at most, the log file is emptied of removed bodies: each time costs a few syncs."""


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
        self._now_ms = now_ms
        self._emptied_ms: int | None = None
        self._pages = 0
        self._copied_at = 0
        self._empty_old_log()
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
        if self._pages - self._copied_at >= COPY_PAGES:
            return True
        if not self.writer.bodies_removed:
            return False
        last_ms = self._emptied_ms
        # A clock that was set back counts as a second gone by.
        return last_ms is None or not 0 <= self._now_ms() - last_ms < EMPTY_EVERY_MS

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
            self._emptied_ms = self._now_ms()
            if empty(self.writer.connection):
                self.writer.bodies_removed = False
        elif self._pages >= RESTART_PAGES:
            copy_rest(self.writer.connection)

    def close(self) -> None:
        """Copy everything, close every connection but the readers'."""
        try:
            self.writer.close()
        finally:
            self._checkpointer.close()

    def _empty_old_log(self) -> None:
        """Empty the log file of a process that was killed: it may hold removed bodies."""
        try:
            self.writer.bodies_removed = not empty(self.writer.connection)
        except StorageFull:
            self.writer.bodies_removed = True  # no reason not to start: tried again later

    def _committed(self, _connection: apsw.Connection, _name: str, pages: int) -> int:
        if pages < self._pages:
            self._copied_at = 0  # the log file started over
        self._pages = pages
        return apsw.SQLITE_OK
