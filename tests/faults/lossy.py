"""A chatd whose disk keeps only what was synced: killing it is a power cut.

``python -m tests.faults.lossy ARGUMENTS`` is ``chatd ARGUMENTS`` over an SQLite file layer that
holds written bytes in memory until xSync, as an operating system's cache does, and is lost with the
process. As real disks do, it lets some sectors through earlier, in no particular order, so that
what was not synced may be there in part. A sync takes a while. With ``LOSSY_SKIP_PERCENT`` set it
is a disk that lies: so many syncs of the log do nothing, and what was acknowledged gets lost.
"""

import os
import random
import threading
import time
from typing import Final

import apsw

from chatd.__main__ import main as chatd

SECTOR_BYTES: Final = 512
EARLY_SHARE: Final = 0.2
"""How many sectors reach the disk before they are synced."""
SYNC_S: Final = 0.002
"""A slow sync: whoever answers before it ends is caught lying."""
SKIP_PERCENT: Final = int(os.environ.get("LOSSY_SKIP_PERCENT", "0"))


class Cache:
    """One file, as the process sees it, and which of its bytes the disk has not got."""

    def __init__(self, content: bytes) -> None:
        self.content = bytearray(content)
        self.dirty: list[tuple[int, bytes]] = []
        self.lock = threading.Lock()


_caches: dict[str, Cache] = {}
_random = random.SystemRandom()


class LossyFile(apsw.VFSFile):
    """A database or its write-ahead log."""

    def __init__(self, name: str | apsw.URIFilename, flags: list[int]) -> None:
        super().__init__("unix", name, flags)
        path = name if isinstance(name, str) else name.filename()
        if path not in _caches:
            size = super().xFileSize()
            _caches[path] = Cache(super().xRead(size, 0) if size else b"")
        self._cache = _caches[path]
        self._is_log = path.endswith("-wal")

    def xRead(self, amount: int, offset: int) -> bytes:  # noqa: N802  SQLite's names
        """Return what was written, synced or not."""
        return bytes(self._cache.content[offset : offset + amount])

    def xWrite(self, data: bytes, offset: int) -> None:  # noqa: N802
        """Write to memory, and now and then a sector to the disk."""
        cache, data = self._cache, bytes(data)
        with cache.lock:
            if offset > len(cache.content):
                cache.content.extend(bytes(offset - len(cache.content)))
            cache.content[offset : offset + len(data)] = data
            cache.dirty.append((offset, data))
            for at in range(0, len(data), SECTOR_BYTES):
                if _random.random() < EARLY_SHARE:
                    super().xWrite(data[at : at + SECTOR_BYTES], offset + at)

    def xTruncate(self, newsize: int) -> None:  # noqa: N802
        """Cut, in memory."""
        with self._cache.lock:
            del self._cache.content[newsize:]

    def xFileSize(self) -> int:  # noqa: N802
        """Return the size that the process sees."""
        return len(self._cache.content)

    def xSync(self, flags: int) -> None:  # noqa: N802
        """Make the disk what the process sees."""
        time.sleep(SYNC_S)
        if self._is_log and _random.random() * 100 < SKIP_PERCENT:
            return
        cache = self._cache
        with cache.lock:
            for offset, data in cache.dirty:
                super().xWrite(data, offset)
            cache.dirty.clear()
            super().xTruncate(len(cache.content))


class LossyDisk(apsw.VFS):
    """Opens databases and logs as :class:`LossyFile`, and temporary files as they are."""

    def __init__(self) -> None:
        super().__init__("lossy", "unix", makedefault=True)

    def xOpen(  # noqa: N802
        self, name: str | apsw.URIFilename | None, flags: list[int]
    ) -> apsw.VFSFile:
        """Open a file."""
        if name is None:
            return super().xOpen(name, flags)
        return LossyFile(name, flags)

    def xDelete(self, filename: str, syncdir: bool) -> None:  # noqa: N802
        """Forget a file."""
        _caches.pop(filename, None)
        super().xDelete(filename, syncdir)


def main() -> None:
    """Run chatd on the lossy disk."""
    disk = LossyDisk()  # registered as long as it lives
    try:
        chatd()
    finally:
        disk.unregister()


if __name__ == "__main__":
    main()
