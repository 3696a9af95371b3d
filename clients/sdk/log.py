"""This device's copy of the logs: entries by seq, the chain over them, and reading them back.

Entries are accepted only at the position's end (live, or pulled forward) or before the lowest
(older history). One's own may be known earlier, from SENT: they wait in their place until the
position reaches them.
"""

from hashlib import sha256
from typing import Final

from clients.sdk.body import decode_body
from clients.sdk.conversations import Conversation
from clients.sdk.events import Message, MessageState
from clients.sdk.outbox import Queued
from clients.sdk.store import Row, Store
from protocol import derive
from protocol.header import HeaderError, Kind, decode_header
from protocol.messages.messaging import Entry

MAX_READ: Final = 1_000
"""Messages that one call of the history returns: a screenful, many times over."""

_SELECT: Final = (
    "SELECT seq, user, device, n, at_ms, header, message_id, body, body_hash, removed_by "
    "FROM entries WHERE conversation = ? "
)


def insert(store: Store, c: Conversation, entry: Entry) -> None:
    """Store an entry at its place; one that is there is left as it is."""
    store.db.execute(
        "INSERT OR IGNORE INTO entries (conversation, seq, user, device, n, at_ms, header, "
        "message_id, body, body_hash, removed_by) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            c.id,
            entry.seq,
            entry.user,
            entry.device,
            entry.n,
            entry.at_ms,
            entry.header,
            entry.message_id,
            entry.body,
            entry.body_hash,
            entry.removed_by,
        ),
    )


def stored(store: Store, c: Conversation, seq: int) -> Entry | None:
    """Return the entry at ``seq``, or None."""
    row = store.row(_SELECT + "AND seq = ?", (c.id, seq))
    return Entry(*row) if row else None


def has_own(store: Store, c: Conversation, me: str, after: int, up_to: int) -> bool:
    """Whether an entry of the user's own with ``after < seq <= up_to`` is stored."""
    row = store.row(
        "SELECT 1 FROM entries WHERE conversation = ? AND seq > ? AND seq <= ? AND user = ? "
        "LIMIT 1",
        (c.id, after, up_to, me),
    )
    return row is not None


def link(c: Conversation, entry: Entry) -> bool:
    """Move chain and position over the entry behind the position; False if the chain broke."""
    c.position = entry.seq
    c.head = max(c.head, entry.seq)
    if c.chain is None:
        return True  # where the chain stands here shows with the next page
    try:
        c.chain = derive.chain_entry(c.chain, entry)
    except ValueError:  # neither body nor hash: nothing can be verified over it
        c.chain = None
        return False
    return True


def remove_target(store: Store, c: Conversation, entry: Entry) -> None:
    """If the entry is a deletion of its own user's message, drop that body; its hash stays."""
    try:
        header = decode_header(entry.header)
    except HeaderError:
        return  # odd but stored: it keeps its place and does nothing
    if header.kind != Kind.DELETION:
        return
    target = stored(store, c, header.target)
    if target is None or target.user != entry.user or target.body is None:
        return
    store.db.execute(
        "UPDATE entries SET body = NULL, body_hash = ?, removed_by = ? "
        "WHERE conversation = ? AND seq = ?",
        (sha256(target.body).digest(), entry.seq, c.id, target.seq),
    )


def prepend(store: Store, c: Conversation, entries: tuple[Entry, ...], anchor: bytes) -> bool:
    """Store a page of older history that ends right before the lowest entry.

    Returns:
        False if the page does not lead up to the chain known there; it is stored all the same.
    """
    if not entries or entries[-1].seq != c.lowest - 1:
        return True  # an answer that something else has overtaken
    chain: bytes | None = anchor
    for entry in entries:
        insert(store, c, entry)
        try:
            chain = derive.chain_entry(chain, entry) if chain is not None else None
        except ValueError:
            chain = None
    fits = c.lowest_chain is None or chain == c.lowest_chain
    c.lowest, c.lowest_chain = entries[0].seq, anchor
    return fits


def as_message(c: Conversation, me: str, entry: Entry) -> Message:
    """Return what the user sees of an entry."""
    mine = entry.user == me
    state: MessageState = "received"
    if mine:
        state = "sent"
        if entry.seq <= c.peer_read:
            state = "read"
        elif entry.seq <= c.peer_delivered:
            state = "delivered"
    return Message(
        c.peer,
        entry.seq,
        entry.user,
        entry.device,
        entry.at_ms,
        entry.message_id.hex(),
        None if entry.body is None else decode_body(entry.body).text,
        entry.body is None,
        mine,
        state,
    )


def as_queued(me: str, device: int, queued: Queued) -> Message:
    """Return what the user sees of a message that has no place yet."""
    return Message(
        queued.peer,
        0,
        me,
        device,
        queued.queued_ms,
        queued.message_id.hex(),
        decode_body(queued.body).text,
        False,
        True,
        "queued" if queued.reason is None else "refused",
        queued.reason,
    )


def _messages(c: Conversation, me: str, rows: list[Row]) -> list[Message]:
    return [as_message(c, me, Entry(*row)) for row in rows]


def before(store: Store, c: Conversation, me: str, seq: int, limit: int) -> list[Message]:
    """Return at most ``limit`` messages with a lower seq, ascending, without gaps."""
    rows = store.rows(
        _SELECT + "AND seq < ? AND seq BETWEEN ? AND ? ORDER BY seq DESC LIMIT ?",
        (c.id, seq, c.lowest, c.position, min(limit, MAX_READ)),
    )
    return _messages(c, me, rows[::-1])


def after(store: Store, c: Conversation, me: str, seq: int, limit: int) -> list[Message]:
    """Return at most ``limit`` messages with a higher seq, ascending, without gaps."""
    rows = store.rows(
        _SELECT + "AND seq > ? AND seq BETWEEN ? AND ? ORDER BY seq LIMIT ?",
        (c.id, seq, c.lowest, c.position, min(limit, MAX_READ)),
    )
    return _messages(c, me, rows)


def seq_at(store: Store, c: Conversation, at_ms: int) -> int:
    """Return the seq of the first stored entry that is not older; past the end if there is none."""
    row = store.row(
        "SELECT min(seq) FROM entries WHERE conversation = ? AND at_ms >= ? "
        "AND seq BETWEEN ? AND ?",
        (c.id, at_ms, c.lowest, c.position),
    )
    return c.position + 1 if row is None or row[0] is None else int(row[0])


def oldest_ms(store: Store, c: Conversation) -> int | None:
    """Return the time of the lowest stored entry; None if there is none."""
    row = store.row(
        "SELECT at_ms FROM entries WHERE conversation = ? AND seq = ?", (c.id, c.lowest)
    )
    return None if row is None else int(row[0])
