"""What the daemon relies on, so that another engine can stand behind it later.

An engine has one writer, any number of readers and a way to keep its files small. The rules:

1. A batch is atomic and, once ``commit`` has returned, durable. Commands are decided in the order
   of the batch, on the state that all batches before it left.
2. Whatever decides whether something is stored is checked in ``apply`` and nowhere else.
3. A reader sees every batch whose ``commit`` returned before the read began, whole or not at all.
4. A seq is given in the batch that stores the entry: dense, from 1, never given twice.
5. Errors are those of :mod:`storage.errors`; nothing of the engine's library passes this border.
6. Calls block. Writer calls never overlap; each reader serves one thread at a time; the
   maintenance calls may run beside both.
"""

from collections.abc import Sequence
from typing import Protocol

from storage.commands import Command, Result
from storage.state import Conversation
from storage.types import DeviceInfo, HistoryPage, SyncPage, UserInfo, Verifier


class StorageWriter(Protocol):
    """See :class:`storage.writer.Writer`."""

    full: bool
    bodies_removed: bool

    def apply(self, batch: Sequence[Command]) -> list[Result]: ...
    def commit(self) -> None: ...
    def rollback(self) -> None: ...
    def peek(self, cid: bytes) -> Conversation | None: ...
    def close(self) -> None: ...


class StorageReader(Protocol):
    """See :class:`storage.reader.Reader`."""

    def verifier(self, user: str) -> Verifier | None: ...
    def login_key(self, user: str, number: int) -> bytes | None: ...
    def display_name(self, user: str) -> str | None: ...
    def devices(self, user: str, *, revoked: bool = False) -> list[DeviceInfo] | None: ...
    def users(self) -> list[UserInfo]: ...
    def members(self, cid: bytes) -> list[int]: ...
    def history(
        self,
        cid: bytes,
        user_id: int,
        *,
        after: int | None = None,
        before: int | None = None,
        at_ms: int | None = None,
        max_entries: int,
        max_bytes: int,
    ) -> HistoryPage | None: ...
    def sync(
        self, user_id: int, device_id: int, since: int, page: int, *, most: int
    ) -> SyncPage: ...
    def check(self) -> list[str]: ...
    def close(self) -> None: ...


class StorageEngine(Protocol):
    """See :class:`storage.engine.SqliteEngine`."""

    @property
    def writer(self) -> StorageWriter: ...
    def reader(self) -> StorageReader: ...
    def hold_reserve(self) -> bool:
        """Reserve room on the disk; return whether it is reserved."""
        ...

    def release_reserve(self) -> None:
        """Give the reserved room up."""
        ...

    def wants_copy(self) -> bool:
        """Return whether :meth:`copy` is due. Cheap; between batches only."""
        ...

    def copy(self) -> None:
        """Do the bulk of the maintenance beside the writer."""
        ...

    def finish_copy(self) -> None:
        """Do the rest of it; counts as a writer call."""
        ...

    def close(self) -> None: ...
