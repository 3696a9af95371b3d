"""The one writer: applies batches of commands, each batch one transaction.

Contract for the caller:

1. MUST call, in turn and never at once: :meth:`Writer.apply`, then :meth:`Writer.commit`.
   ``apply`` works in memory and in SQLite's page cache and is quick; ``commit`` waits for the
   disk and may run in a thread.
2. MUST NOT tell anybody a result before ``commit`` has returned.
3. MUST call :meth:`Writer.rollback` when either raised; nothing of the batch then happened.
   After anything but :class:`storage.errors.StorageFull`, MUST stop using the writer.
4. MUST NOT change the objects of :mod:`storage.state`; MAY read them in the thread that calls
   ``apply``: ``commit`` does not touch them.
"""

from collections import OrderedDict
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final
from weakref import WeakValueDictionary

import apsw

from storage import accounts, messaging
from storage.commands import (
    Acknowledge,
    Append,
    Command,
    CreateToken,
    Enrol,
    Login,
    MarkRead,
    Register,
    RenameDevice,
    ReplaceVerifier,
    Result,
    RevokeDevice,
    SetDisplayName,
    SetUserState,
    Touch,
)
from storage.database import open_writer
from storage.errors import translate, translated
from storage.places import Places
from storage.rows import RowBuffer
from storage.schema import migrate
from storage.state import Conversation, Device, User

ChainFunction = Callable[[bytes, int, str, int, int, bytes, bytes, bytes], bytes]
"""(previous, seq, user, device number, n, header, message id, SHA-256 of the body) -> L."""

_MOST_CONVERSATIONS: Final = 20_000
"""Conversations kept in memory: 2 KiB each when direct, 8 KiB with 64 senders remembered, so at
most 160 MiB."""


class Writer:
    """Owns the writing connection and the state that decisions are made on."""

    def __init__(
        self, path: Path, *, now_ms: Callable[[], int], chain: ChainFunction, cache_mib: int = 64
    ) -> None:
        """Open the database, creating or migrating it.

        Args:
            path: The database file.
            now_ms: The clock, Unix milliseconds.
            chain: How an entry's chain value follows from the one before.
            cache_mib: SQLite's page cache.

        Raises:
            StorageError: See :mod:`storage.errors`.
        """
        self.connection = open_writer(path, cache_mib)
        try:
            migrate(self.connection, path)
        except BaseException:
            self.connection.close()
            raise
        self.now_ms = now_ms
        self.batch_ms = 0
        """When the batch that is being applied began: the time of its entries."""
        self.chain = chain
        self.full = False
        """True while there is no room: new entries are refused, the rest goes on."""
        self.bodies_removed = False
        """True once a body or an account was removed: the log file still holds it, until
        :meth:`storage.engine.SqliteEngine.finish_copy` has emptied that."""

        self.users: WeakValueDictionary[int, User] = WeakValueDictionary()
        self.devices: WeakValueDictionary[int, Device] = WeakValueDictionary()
        self.conversations: OrderedDict[bytes, Conversation] = OrderedDict()

        self.log = RowBuffer(
            "INSERT INTO log (id, conv_id, seq, device_id, n, prev_seq, at_ms, commit_no,"
            " message_id, header, body, chain) VALUES ",
            12,
        )
        self.cursors = RowBuffer(
            "INSERT INTO cursors (conv_id, device_id, acked, last_n, last_seq) VALUES ",
            5,
            " ON CONFLICT DO UPDATE SET acked = excluded.acked, last_n = excluded.last_n,"
            " last_seq = excluded.last_seq",
        )
        self.members = RowBuffer(
            "INSERT INTO members (conv_id, user_id, delivered, read_own, read_public, changed)"
            " VALUES ",
            6,
            " ON CONFLICT DO UPDATE SET delivered = excluded.delivered,"
            " read_own = excluded.read_own, read_public = excluded.read_public,"
            " changed = excluded.changed",
        )
        self.dirty = messaging.Dirty()
        with translated():
            self.commit_no = self.connection.execute(
                "SELECT value FROM meta WHERE key = 'commit_no'"
            ).get
            self.places = Places(self.connection)
            with self.connection:
                self.places.index()

    def apply(self, batch: Sequence[Command]) -> list[Result]:
        """Begin a transaction and decide every command of the batch, in order.

        Returns:
            One result for each command; to be told only after :meth:`commit`.

        Raises:
            StorageError: The database failed or is full. Call :meth:`rollback`.
        """
        try:
            self.connection.execute("BEGIN IMMEDIATE")
            self.commit_no += 1
            self.batch_ms = self.now_ms()
            results = [_HANDLERS[type(command)](self, command) for command in batch]
            self.flush()
            self.places.index_if_due()
            self.trim()
            self.connection.execute(
                "UPDATE meta SET value = ? WHERE key = 'commit_no'", (self.commit_no,)
            )
        except apsw.Error as error:
            raise translate(error) from error
        return results

    def commit(self) -> None:
        """Make the applied batch durable: when this returns, it is on disk.

        Raises:
            StorageError: It is not. Call :meth:`rollback`.
        """
        with translated():
            self.connection.execute("COMMIT")

    def rollback(self) -> None:
        """Undo what was applied and forget every object that may have been changed."""
        with translated():
            if self.connection.in_transaction:
                self.connection.execute("ROLLBACK")
            for buffer in (self.log, self.cursors, self.members):
                buffer.clear()
            self.dirty.clear()
            self.conversations.clear()
            self.commit_no = self.connection.execute(
                "SELECT value FROM meta WHERE key = 'commit_no'"
            ).get
            self.places.reload()
            accounts.reload(self)

    def flush(self) -> None:
        """Write what was decided so far, so that the statements that follow see it."""
        messaging.collect(self)
        self.log.write(self.connection)
        self.members.write(self.connection)
        self.cursors.write(self.connection)

    def peek(self, cid: bytes) -> Conversation | None:
        """Return a conversation if it is in memory."""
        return self.conversations.get(cid)

    def trim(self) -> None:
        """Forget the conversations that were not used for longest, over the bound.

        Only when everything was flushed: what is forgotten is read from the disk again.
        """
        while len(self.conversations) > _MOST_CONVERSATIONS:
            self.conversations.popitem(last=False)

    def close(self) -> None:
        """Close the connection; a batch that was not committed is undone."""
        with translated():
            self.connection.close()


_HANDLERS: Final[dict[type, Callable[[Writer, Command], Result]]] = {
    Append: messaging.append,
    Acknowledge: messaging.acknowledge,
    MarkRead: messaging.mark_read,
    Register: accounts.register,
    Enrol: accounts.enrol,
    Login: accounts.login,
    Touch: accounts.touch,
    RenameDevice: accounts.rename_device,
    RevokeDevice: accounts.revoke_device,
    ReplaceVerifier: accounts.replace_verifier,
    SetDisplayName: accounts.set_display_name,
    SetUserState: accounts.set_user_state,
    CreateToken: accounts.create_token,
}
