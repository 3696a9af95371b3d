"""The data folder: private to its owner, written atomically, used by one process at a time.

Folder 0700, files 0600, whatever the umask. A file appears whole or not at all: temporary name,
fsync, rename, fsync of the folder. Wrong modes of our own are repaired and reported; what belongs
to somebody else is refused. Source: threats.md class 30.
"""

import errno
import fcntl
import os
import stat
from pathlib import Path
from types import TracebackType
from typing import Self

FOLDER_MODE = 0o700
FILE_MODE = 0o600
LOCK_NAME = "lock"


class FolderError(Exception):
    """The data folder cannot be used; the message says why and what to do."""


class FolderInUse(FolderError):
    """Another process holds the folder's lock. `pid` is its process id, None if it is unknown."""

    def __init__(self, folder: Path, pid: int | None) -> None:
        super().__init__(folder, pid)
        self.folder, self.pid = folder, pid

    def __str__(self) -> str:
        who = f"process {self.pid}" if self.pid is not None else "another process"
        return f"{self.folder} is in use by {who}; stop it first, or choose another server.data_dir"


def open_folder(folder: Path) -> list[str]:
    """Make the data folder, or check and repair the modes of one that exists.

    Returns:
        The names of what had to be repaired, for the log. Only the top level is looked at:
        nothing below a 0700 folder is within anybody else's reach.

    Raises:
        FolderError: It cannot be made, is no folder, or it or a file in it is somebody else's.
    """
    try:
        folder.mkdir(mode=FOLDER_MODE, parents=True, exist_ok=True)
        repaired = []
        if _repair(folder):
            repaired.append(str(folder))
        with os.scandir(folder) as entries:
            repaired += [entry.name for entry in entries if _repair(Path(entry.path))]
    except FileExistsError as error:
        raise FolderError(f"{folder} is not a folder; choose another server.data_dir") from error
    except OSError as error:
        raise FolderError(f"{folder} cannot be used: {error.strerror}") from error
    return sorted(repaired)


def _repair(path: Path) -> bool:
    try:
        found = path.lstat() if path.is_symlink() else path.stat()
    except FileNotFoundError:
        # Gone between listing and looking: a temporary file of a running daemon.
        return False
    if stat.S_ISLNK(found.st_mode):
        return False
    if found.st_uid != os.geteuid():
        raise FolderError(
            f"{path} belongs to user id {found.st_uid}, not to {os.geteuid()} who runs chatd; "
            "run it as the owner or give it to this user (chown)"
        )
    if not stat.S_IMODE(found.st_mode) & 0o077:
        return False
    path.chmod(FOLDER_MODE if stat.S_ISDIR(found.st_mode) else FILE_MODE)
    return True


def write_file(path: Path, data: bytes) -> None:
    """Write a 0600 file that is either the old one or whole and on disk.

    Raises:
        FolderError: It could not be written; the old content, if any, is untouched.
    """
    temporary = path.with_name(f".{path.name}.new")
    try:
        # A left-over of a crash is replaced; the instance lock keeps rivals away.
        temporary.unlink(missing_ok=True)
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, FILE_MODE)
        with os.fdopen(descriptor, "wb") as file:
            os.fchmod(file.fileno(), FILE_MODE)
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        temporary.rename(path)
        sync_folder(path.parent)
    except OSError as error:
        raise FolderError(f"{path} cannot be written: {error.strerror}") from error


def sync_folder(folder: Path) -> None:
    """Make the names in a folder durable. Raises OSError as the system gives it."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


class InstanceLock:
    """The right to use a data folder, held by one process; the system frees it if that dies."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    @classmethod
    def acquire(cls, folder: Path) -> Self:
        """Take the lock without waiting. The folder must exist.

        Raises:
            FolderInUse: Another process, or another holder in this one, has it.
            FolderError: The lock file cannot be opened or locked here.
        """
        path = folder / LOCK_NAME
        try:
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, FILE_MODE)
        except OSError as error:
            raise FolderError(f"{path} cannot be opened: {error.strerror}") from error
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
        except OSError as error:
            holder = _holder(descriptor)
            os.close(descriptor)
            if error.errno in (errno.EWOULDBLOCK, errno.EACCES):
                raise FolderInUse(folder, holder) from error
            raise FolderError(f"{path} cannot be locked: {error.strerror}") from error
        return cls(descriptor)

    def release(self) -> None:
        """Give the lock up; doing so twice is harmless.

        The file stays: deleting it would let two processes lock two files of one name.
        """
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.release()


def _holder(descriptor: int) -> int | None:
    text = os.pread(descriptor, 20, 0).strip()
    return int(text) if text.isdigit() else None
