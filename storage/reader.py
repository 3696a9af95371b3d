"""Reading snapshots: every method is one short transaction on its own connection.

A reader sees every commit that returned before the call. Membership is checked in the snapshot
that is read from. One reader serves one thread at a time.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import apsw

from storage.database import open_reader
from storage.errors import translated
from storage.places import IDS, TAIL, newest
from storage.types import (
    ConversationKind,
    DeviceInfo,
    HeadInfo,
    HistoryPage,
    LogEntry,
    SyncPage,
    UserInfo,
    UserState,
    Verifier,
    WatermarkInfo,
)

_MOST_SENDERS: Final = 10_000
"""Device names kept for history pages; a name never changes its device."""
_ENTRY_OVERHEAD_BYTES: Final = 112
"""What an encoded entry needs beside its body, header and sender's name, at most."""

_ENTRY = (
    "SELECT seq, device_id, n, at_ms, header, message_id, body, body_hash, removed_by, chain"
    f" FROM log WHERE id IN {IDS} ORDER BY id "
)


Execute = Callable[..., apsw.Cursor]


class Reader:
    """One connection for reading."""

    def __init__(self, path: Path, cache_mib: int = 16) -> None:
        """Open the database, which a writer has created.

        Raises:
            StorageError: It cannot be opened.
        """
        self._connection = open_reader(path, cache_mib)
        self._senders: dict[int, tuple[str, int]] = {}

    def close(self) -> None:
        """Close the connection."""
        with translated():
            self._connection.close()

    def verifier(self, user: str) -> Verifier | None:
        """Return the SCRAM verifier of an active account, or None."""
        with self._snapshot() as execute:
            row = execute(
                "SELECT salt, stored_key, server_key FROM users WHERE name = ? AND state = 0",
                (user,),
            ).get
        return None if row is None else Verifier(*row)

    def login_key(self, user: str, number: int) -> bytes | None:
        """Return the login key of a device that is not revoked, or None."""
        with self._snapshot() as execute:
            row: bytes | None = execute(
                "SELECT d.login_key FROM devices d JOIN users u ON u.id = d.user_id"
                " WHERE u.name = ? AND d.number = ? AND d.revoked_ms IS NULL AND u.state = 0",
                (user, number),
            ).get
        return row

    def display_name(self, user: str) -> str | None:
        """Return the display name of an active account, or None."""
        with self._snapshot() as execute:
            row: str | None = execute(
                "SELECT display_name FROM users WHERE name = ? AND state = 0", (user,)
            ).get
        return row

    def devices(self, user: str, *, revoked: bool = False) -> list[DeviceInfo] | None:
        """Return a user's devices by number, with or without revoked ones; None: no such user."""
        with self._snapshot() as execute:
            user_id = execute("SELECT id FROM users WHERE name = ?", (user,)).get
            if user_id is None:
                return None
            return [
                DeviceInfo(row[0], row[1], row[2], row[3], row[4], row[5] is not None)
                for row in execute(
                    "SELECT id, number, name, created_ms, last_seen_ms, revoked_ms FROM devices"
                    " WHERE user_id = ? AND (? OR revoked_ms IS NULL) ORDER BY number",
                    (user_id, revoked),
                )
            ]

    def users(self) -> list[UserInfo]:
        """Return every account, by id: inviters come before the invited."""
        with self._snapshot() as execute:
            return [
                UserInfo(name, display, UserState(state), inviter, created, devices, seen)
                for name, display, state, inviter, created, devices, seen in execute(
                    "SELECT u.name, u.display_name, u.state, i.name, u.created_ms,"
                    " count(d.id) FILTER (WHERE d.revoked_ms IS NULL), max(d.last_seen_ms)"
                    " FROM users u LEFT JOIN users i ON i.id = u.invited_by"
                    " LEFT JOIN devices d ON d.user_id = u.id GROUP BY u.id ORDER BY u.id"
                )
            ]

    def members(self, cid: bytes) -> list[int]:
        """Return the user ids of a conversation's members; empty if there is none."""
        with self._snapshot() as execute:
            return [
                row[0]
                for row in execute(
                    "SELECT m.user_id FROM conversations c JOIN members m ON m.conv_id = c.id"
                    " WHERE c.cid = ?",
                    (cid,),
                )
            ]

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
    ) -> HistoryPage | None:
        """Read a page of a conversation: exactly one of the three positions is given.

        Args:
            after: Entries with ``seq > after``.
            before: Entries with ``seq < before``, the highest ones.
            at_ms: Entries from the first with a time of at least this.
            max_entries: At most so many entries.
            max_bytes: At most so many bytes once encoded; the first entry always fits.

        Returns:
            None if there is no such conversation or this user may read nothing of it.
        """
        with self._snapshot() as execute:
            row = execute(
                "SELECT c.id, max(i.from_seq, c.first_seq), i.to_seq FROM conversations c"
                " JOIN intervals i ON i.conv_id = c.id"
                " WHERE c.cid = ? AND i.user_id = ? ORDER BY i.from_seq DESC LIMIT 1",
                (cid, user_id),
            ).get
            if row is None:
                return None
            conv_id, low, high = row
            newest_id = newest(self._connection, conv_id)
            head = execute("SELECT seq FROM log WHERE id = ?", (newest_id,)).get or 0
            high = head if high is None else min(high, head)
            if at_ms is not None:
                after = self._seek(conv_id, at_ms, low, high) - 1
            if after is not None:
                start, stop, order = max(after + 1, low), high, "ASC"
            else:
                assert before is not None
                start, stop, order = low, min(before - 1, high), "DESC"
            entries, anchor_row = self._page(conv_id, start, stop, order, max_entries, max_bytes)
            if entries:
                first, last = entries[0].seq, entries[-1].seq
                more = last < stop if order == "ASC" else first > start
            else:
                first, more = start, False
            anchor = anchor_row or self._chain_at(conv_id, cid, min(first - 1, high))
        return HistoryPage(low, high, anchor, tuple(entries), more)

    def sync(self, user_id: int, device_id: int, since: int, page: int, *, most: int) -> SyncPage:
        """Return conversations and watermarks of a user that moved after commit ``since``.

        Args:
            page: 0, then ``next_page`` of the page before.
            most: At most so many heads, and so many watermarks.
        """
        with self._snapshot() as execute:
            commit_no = execute("SELECT value FROM meta WHERE key = 'commit_no'").get
            heads: list[HeadInfo] = []
            for row in execute(
                f"WITH tail AS MATERIALIZED ({TAIL})"
                " SELECT c.id, c.cid, c.kind, c.first_seq, l.seq, l.chain,"
                " coalesce(k.acked, 0), m.read_own, coalesce(k.last_n, 0),"
                " (SELECT u.name FROM members o JOIN users u ON u.id = o.user_id"
                "   WHERE o.conv_id = c.id AND o.user_id <> m.user_id AND c.kind = 0)"
                " FROM members m JOIN conversations c ON c.id = m.conv_id"
                " LEFT JOIN tail t ON t.conv_id = c.id"
                " JOIN log l ON l.id = coalesce(t.id, (SELECT log_id FROM log_index"
                "   WHERE conv_id = c.id ORDER BY seq DESC LIMIT 1))"
                " LEFT JOIN cursors k ON k.conv_id = c.id AND k.device_id = ?"
                " WHERE m.user_id = ? AND m.conv_id > ? AND"
                " (l.commit_no > ? OR EXISTS (SELECT 1 FROM members o"
                "   WHERE o.conv_id = m.conv_id AND o.changed > ?))"
                " ORDER BY m.conv_id LIMIT ?",
                (device_id, user_id, page, since, since, most + 1),
            ):
                conv_id, cid, kind, first_seq, head, chain, acked, read, last_n, peer = row
                heads.append(
                    HeadInfo(
                        conv_id,
                        cid,
                        ConversationKind(kind),
                        peer,
                        first_seq,
                        head,
                        chain,
                        acked,
                        read,
                        last_n,
                    )
                )
            more = len(heads) > most
            del heads[most:]
            watermarks = [
                WatermarkInfo(head.cid, *row)
                for head in heads
                for row in execute(
                    "SELECT u.name, m.delivered, m.read_public FROM members m"
                    " JOIN users u ON u.id = m.user_id"
                    " WHERE m.conv_id = ? AND m.user_id <> ? AND m.changed > ?",
                    (head.conv_id, user_id, since),
                )
            ]
        return SyncPage(
            commit_no, tuple(heads), tuple(watermarks), heads[-1].conv_id if more else 0
        )

    def check(self) -> list[str]:
        """Return what SQLite finds wrong with the file; empty when it is sound. Slow: reads all."""
        with self._snapshot() as execute:
            rows = [str(row[0]) for row in execute("PRAGMA integrity_check(20)")]
        return [] if rows == ["ok"] else rows

    @contextmanager
    def _snapshot(self) -> Iterator[Execute]:
        with translated():
            self._connection.execute("BEGIN")
            try:
                yield self._connection.execute
            finally:
                self._connection.execute("COMMIT")

    def _page(
        self, conv_id: int, start: int, stop: int, order: str, most: int, max_bytes: int
    ) -> tuple[list[LogEntry], bytes | None]:
        """Return entries in ascending order, and L of the one before them if it was met."""
        entries: list[LogEntry] = []
        size_bytes = 0
        if order == "ASC":  # seqs are dense
            stop = min(stop, start + most - 1)
        else:
            start = max(start, stop - most + 1)
        rows = self._connection.execute(_ENTRY + order, (conv_id, start, stop))
        try:
            for seq, device_id, n, at_ms, header, message_id, body, digest, removed, chain in rows:
                user, number = self._sender(device_id)
                size_bytes += (
                    len(header) + len(body or b"") + len(user.encode()) + _ENTRY_OVERHEAD_BYTES
                )
                if entries and size_bytes > max_bytes:
                    if order == "DESC":
                        entries.reverse()
                        return entries, chain
                    break
                entries.append(
                    LogEntry(seq, user, number, n, at_ms, header, message_id, body, digest, removed)
                )
        finally:
            # Left to the garbage collector, a cursor that was not read to its end can outlive the
            # transaction (apsw 3.54 keeps a reference when another statement runs meanwhile, as in
            # _sender), and this connection would then read its snapshot for ever.
            rows.close()
        if order == "DESC":
            entries.reverse()
        return entries, None

    def _chain_at(self, conv_id: int, cid: bytes, seq: int) -> bytes:
        if seq <= 0:
            return cid
        chain = self._connection.execute(
            f"SELECT chain FROM log WHERE id IN {IDS}", (conv_id, seq, seq)
        ).get
        assert isinstance(chain, bytes)
        return chain

    def _seek(self, conv_id: int, at_ms: int, low: int, high: int) -> int:
        """Return the lowest seq with a time of at least ``at_ms``: times never fall."""
        high += 1
        while low < high:
            middle = (low + high) // 2
            found = self._connection.execute(
                f"SELECT at_ms FROM log WHERE id IN {IDS}", (conv_id, middle, middle)
            ).get
            if found < at_ms:
                low = middle + 1
            else:
                high = middle
        return low

    def _sender(self, device_id: int) -> tuple[str, int]:
        sender = self._senders.get(device_id)
        if sender is None:
            sender = self._connection.execute(
                "SELECT u.name, d.number FROM devices d JOIN users u ON u.id = d.user_id"
                " WHERE d.id = ?",
                (device_id,),
            ).get
            if len(self._senders) >= _MOST_SENDERS:
                self._senders.clear()
            self._senders[device_id] = sender
        return sender
