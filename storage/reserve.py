"""Room on the disk that is kept for the time when there is none.

A file of real blocks. When the database reports a full disk it is given up, so that
acknowledgements and logins still find room; new entries are refused until it can be made again.
"""

import errno
import os
from pathlib import Path
from typing import Final

from storage.errors import translate_os

RESERVE_NAME: Final = "reserve"


class Reserve:
    """The file, held or given up."""

    def __init__(self, folder: Path, size_bytes: int) -> None:
        self._path = folder / RESERVE_NAME
        self._size_bytes = size_bytes

    def hold(self) -> bool:
        """Make sure the room is reserved; return whether it is. Needs twice its size free."""
        try:
            if self._path.exists() and self._path.stat().st_blocks * 512 >= self._size_bytes:
                return True
            free = os.statvfs(self._path.parent)
            if free.f_bavail * free.f_frsize < 2 * self._size_bytes:
                return False
            descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o600)
            try:
                os.posix_fallocate(descriptor, 0, self._size_bytes)
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
        except OSError as error:
            if error.errno in (errno.ENOSPC, errno.EDQUOT):  # somebody was faster
                self.release()
                return False
            raise translate_os(error, "the reserve file failed") from error
        return True

    def release(self) -> None:
        """Give the room up."""
        try:
            self._path.unlink(missing_ok=True)
        except OSError as error:
            raise translate_os(error, "the reserve file failed") from error
