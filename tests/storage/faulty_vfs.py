"""A file system that fails on request, and remembers what a power cut would leave of its files.

It stands between SQLite and the real files of one folder: every write goes through, and is
remembered until the next sync of its file. :meth:`FaultyVFS.after_power_cut` writes what might be
found then: all that was synced, and of the rest any part, torn or garbled.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import apsw

Write = tuple[str, int, bytes]
"""File name, offset, data; an offset of -1 cuts the file to ``len(data)`` zeros."""


def failure(kind: type[apsw.Error], extended: int) -> apsw.Error:
    """An error as the operating system would cause it in SQLite."""
    error = kind("injected")
    setattr(error, "extendedresult", extended)  # noqa: B010  the stubs do not name it
    return error


def no_space() -> apsw.Error:
    return failure(apsw.FullError, apsw.SQLITE_FULL)


def bad_write() -> apsw.Error:
    return failure(apsw.IOError, apsw.SQLITE_IOERR_WRITE)


def bad_sync() -> apsw.Error:
    return failure(apsw.IOError, apsw.SQLITE_IOERR_FSYNC)


def bad_read() -> apsw.Error:
    return failure(apsw.IOError, apsw.SQLITE_IOERR_READ)


@dataclass
class Faults:
    """What is to fail from now on: each a condition on the file's name, and the error."""

    write: Callable[[], apsw.Error] | None = None
    sync: Callable[[], apsw.Error] | None = None
    read: Callable[[], apsw.Error] | None = None
    suffix: str = ""
    """Only files whose name ends so: "-wal", ".db" or all."""
    after: int = 0
    """So many calls succeed first."""
    raised: int = 0
    calls: list[str] = field(default_factory=list)
    """Every write and sync since the first failure."""

    def check(self, call: str, error: Callable[[], apsw.Error] | None, name: str) -> None:
        if self.raised and call != "read":
            self.calls.append(call)
        if error is None or not name.endswith(self.suffix):
            return
        if self.after:
            self.after -= 1
            return
        self.raised += 1
        raise error()


class FaultyFile(apsw.VFSFile):
    """One open file."""

    def __init__(
        self, base: str, name: str | apsw.URIFilename | None, flags: list[int], vfs: "FaultyVFS"
    ) -> None:
        super().__init__(base, name, flags)
        text = name.filename() if isinstance(name, apsw.URIFilename) else name
        self._vfs = vfs
        self.name = Path(text or "").name
        # SQLite syncs the folder with the first sync of a journal or log that it creates.
        self._in_folder = not flags[0] & (apsw.SQLITE_OPEN_WAL | apsw.SQLITE_OPEN_MAIN_JOURNAL)

    def xWrite(self, data: bytes, offset: int) -> None:  # noqa: N802  SQLite's name
        self._vfs.faults.check("write", self._vfs.faults.write, self.name)
        super().xWrite(data, offset)
        self._vfs.unsynced.append((self.name, offset, bytes(data)))

    def xTruncate(self, size: int) -> None:  # noqa: N802
        super().xTruncate(size)
        self._vfs.unsynced.append((self.name, -1, bytes(size)))

    def xRead(self, amount: int, offset: int) -> bytes:  # noqa: N802
        self._vfs.faults.check("read", self._vfs.faults.read, self.name)
        return super().xRead(amount, offset)

    def xSync(self, flags: int) -> None:  # noqa: N802
        if self._vfs.before_sync is not None:
            self._vfs.before_sync()
        self._vfs.faults.check("sync", self._vfs.faults.sync, self.name)
        super().xSync(flags)
        if not self._in_folder:
            self._in_folder = True
            self._vfs.folder_synced()
        self._vfs.synced(self.name)


class FaultyVFS(apsw.VFS):
    """The default file system while a test runs."""

    def __init__(self) -> None:
        self._base = apsw.vfs_names()[0]
        super().__init__("faulty", self._base, makedefault=True)
        self.faults = Faults()
        self.unsynced: list[Write] = []
        self.stable: dict[str, bytearray] = {}
        """What is surely on the disk, by file name."""
        self._deleted: list[str] = []
        self.before_sync: Callable[[], None] | None = None

    def xOpen(  # noqa: N802
        self, name: str | apsw.URIFilename | None, flags: list[int]
    ) -> FaultyFile:
        file = FaultyFile(self._base, name, flags, self)
        if file.name in self._deleted:  # made anew: the old one is of no more interest
            self._deleted.remove(file.name)
            self.stable.pop(file.name, None)
        return file

    def xDelete(self, filename: str, syncdir: bool) -> None:  # noqa: N802
        super().xDelete(filename, syncdir)
        self._deleted.append(Path(filename).name)
        if syncdir:
            self.folder_synced()

    def folder_synced(self) -> None:
        """Deleted files stay so; until now a power cut might have brought them back."""
        for name in self._deleted:
            self.stable.pop(name, None)
            self.unsynced = [write for write in self.unsynced if write[0] != name]
        self._deleted.clear()

    def synced(self, name: str) -> None:
        """Everything written to this file is on the disk now."""
        content = self.stable.setdefault(name, bytearray())
        for write in self.unsynced:
            if write[0] == name:
                put(content, write)
        self.unsynced = [write for write in self.unsynced if write[0] != name]

    def after_power_cut(self, target: Path, kept: int, garbled: bool) -> None:
        """Write what a power cut may leave.

        Args:
            kept: So many of the unsynced writes reached the disk, in their order.
            garbled: Of the one after them half did, and then rubbish.
        """
        files = {name: bytearray(content) for name, content in self.stable.items()}
        for write in self.unsynced[:kept]:
            put(files.setdefault(write[0], bytearray()), write)
        if garbled and kept < len(self.unsynced):
            name, offset, data = self.unsynced[kept]
            if offset >= 0:
                half = len(data) // 2
                torn = data[:half] + bytes(b ^ 0xA5 for b in data[half:])
                put(files.setdefault(name, bytearray()), (name, offset, torn))
        for name, content in files.items():
            (target / name).write_bytes(content)


def put(content: bytearray, write: Write) -> None:
    """Do a remembered write."""
    _, offset, data = write
    if offset < 0:
        del content[len(data) :]
        return
    content.extend(bytes(max(0, offset - len(content))))
    content[offset : offset + len(data)] = data


@contextmanager
def faulty() -> Iterator[FaultyVFS]:
    """Every SQLite file that is opened inside goes through it."""
    vfs = FaultyVFS()
    try:
        yield vfs
    finally:
        vfs.unregister()
