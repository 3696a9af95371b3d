"""The real engine behind a disk that can be slow, full or broken when a test says so."""

import threading
from collections.abc import Sequence

from storage.commands import Command, Result
from storage.engine import SqliteEngine
from storage.errors import StorageError, StorageFull
from storage.interface import StorageReader
from storage.reader import Reader
from storage.state import Conversation
from storage.writer import Writer


class Disk:
    """What happens to the next commits, reads and copies."""

    def __init__(self) -> None:
        self._free = threading.Event()
        self._free.set()
        self._reads_free = threading.Event()
        self._reads_free.set()
        self.reads_done = 0
        self.commit_errors: list[StorageError] = []
        """Raised by the next commits, in turn."""
        self.apply_errors: list[StorageError] = []
        self.read_errors: list[Exception] = []
        self.copy_errors: list[Exception] = []
        self.copy_wanted = False
        self.has_room = True
        """Whether the reserve can be held."""
        self.reserve_held = False
        self.batches: list[list[Command]] = []

    def hold(self) -> None:
        """Let no commit return until :meth:`release`."""
        self._free.clear()

    def release(self) -> None:
        self._free.set()

    def fills_up(self, commits: int) -> None:
        """The next commits find no room."""
        self.has_room = False
        self.commit_errors += [StorageFull("no room left on the disk") for _ in range(commits)]

    def commit(self) -> None:
        self._free.wait()
        if self.commit_errors:
            raise self.commit_errors.pop(0)

    def apply(self, batch: Sequence[Command]) -> None:
        self.batches.append(list(batch))
        if self.apply_errors:
            raise self.apply_errors.pop(0)

    def hold_reads(self) -> None:
        """Let reads be done, and none return until :meth:`release_reads`."""
        self._reads_free.clear()

    def release_reads(self) -> None:
        self._reads_free.set()

    def before_read(self) -> None:
        if self.read_errors:
            raise self.read_errors.pop(0)

    def after_read(self) -> None:
        self.reads_done += 1
        self._reads_free.wait()


class DiskWriter:
    """The writer, through the disk."""

    def __init__(self, writer: Writer, disk: Disk) -> None:
        self._writer, self._disk = writer, disk

    @property
    def full(self) -> bool:
        return self._writer.full

    @full.setter
    def full(self, full: bool) -> None:
        self._writer.full = full

    @property
    def bodies_removed(self) -> bool:
        return self._writer.bodies_removed

    @bodies_removed.setter
    def bodies_removed(self, removed: bool) -> None:
        self._writer.bodies_removed = removed

    def apply(self, batch: Sequence[Command]) -> list[Result]:
        results = self._writer.apply(batch)
        self._disk.apply(batch)
        return results

    def commit(self) -> None:
        self._disk.commit()
        self._writer.commit()

    def rollback(self) -> None:
        self._writer.rollback()

    def peek(self, cid: bytes) -> Conversation | None:
        return self._writer.peek(cid)

    def close(self) -> None:
        self._writer.close()


class DiskEngine:
    """The engine, through the disk."""

    def __init__(self, engine: SqliteEngine, disk: Disk) -> None:
        self._engine, self._disk = engine, disk
        self.writer = DiskWriter(engine.writer, disk)

    def reader(self) -> StorageReader:
        return FailingReader(self._engine.reader(), self._disk)  # type: ignore[return-value]  # all of it is forwarded

    def hold_reserve(self) -> bool:
        self._disk.reserve_held = self._disk.has_room
        return self._disk.has_room

    def release_reserve(self) -> None:
        self._disk.reserve_held = False
        self._engine.release_reserve()

    def wants_copy(self) -> bool:
        return self._disk.copy_wanted or self._engine.wants_copy()

    def copy(self) -> None:
        self._disk.copy_wanted = False
        if self._disk.copy_errors:
            raise self._disk.copy_errors.pop(0)
        self._engine.copy()

    def finish_copy(self) -> None:
        self._engine.finish_copy()

    def close(self) -> None:
        self._engine.close()


class FailingReader:
    """Forwards every read, unless the disk fails it."""

    def __init__(self, reader: Reader, disk: Disk) -> None:
        self._reader, self._disk = reader, disk

    def __getattr__(self, name: str) -> object:
        found = getattr(self._reader, name)
        if name == "close":
            return found

        def read(*args: object, **kwargs: object) -> object:
            self._disk.before_read()
            result = found(*args, **kwargs)
            self._disk.after_read()
            return result

        return read
