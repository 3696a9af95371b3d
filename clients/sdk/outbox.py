"""The durable outbox: one FIFO for each conversation, numbered by ``n`` without gaps.

A message is on disk here before it is sent, and leaves in the transaction that stores its place
in the log. A retry repeats n, message id, header and body; only a refusal renumbers those behind.
"""

from dataclasses import dataclass, replace
from typing import Final

from clients.sdk import conversations
from clients.sdk.errors import QuotaReached
from clients.sdk.store import Row, Store

MAX_QUEUED: Final = 10_000
"""Messages waiting for the server, over all conversations: days of typing, or a runaway script."""
MAX_REFUSED: Final = 1_000
"""Refused messages that are kept for the user to see; the oldest go first."""


@dataclass(frozen=True, slots=True)
class Queued:
    """One message that has no place in the log yet."""

    id: int
    conversation: bytes
    peer: str
    n: int
    message_id: bytes
    header: bytes
    body: bytes
    queued_ms: int
    reason: str | None
    name_peer: bool
    """The server may not have the conversation yet."""


_SELECT: Final = (
    "SELECT o.id, c.conversation, c.peer, o.n, o.message_id, o.header, o.body, o.queued_ms, "
    "o.reason, NOT c.known FROM outbox o JOIN conversations c ON c.id = o.conversation "
)


def _read(row: Row) -> Queued:
    found = Queued(*row)
    return replace(found, name_peer=bool(found.name_peer))


def enqueue(
    store: Store, me: str, peer: str, message_id: bytes, header: bytes, body: bytes, now_ms: int
) -> bytes:
    """Append one message; it is safe once the transaction is on disk.

    Returns:
        The conversation's id.

    Raises:
        QuotaReached: ``MAX_QUEUED`` messages wait already.
    """
    if waiting(store) >= MAX_QUEUED:
        raise QuotaReached(
            f"{MAX_QUEUED} messages wait for the server: see chat status, then retry"
        )
    conversation = conversations.ensure(store, me, peer)
    store.db.execute(
        "INSERT INTO outbox (conversation, n, message_id, header, body, queued_ms) "
        "VALUES (?, ?, ?, ?, ?, ?)",
        (conversation.id, conversation.next_n, message_id, header, body, now_ms),
    )
    store.db.execute(
        "UPDATE conversations SET next_n = next_n + 1 WHERE id = ?", (conversation.id,)
    )
    return conversation.conversation


def waiting(store: Store) -> int:
    """Return how many messages wait for the server."""
    row = store.row("SELECT count(*) FROM outbox WHERE reason IS NULL")
    return int(row[0]) if row else 0


def lanes(store: Store) -> list[bytes]:
    """Return the conversations that have something to send."""
    rows = store.rows(
        "SELECT DISTINCT c.conversation FROM outbox o JOIN conversations c "
        "ON c.id = o.conversation WHERE o.reason IS NULL"
    )
    return [row[0] for row in rows]


def following(store: Store, conversation: bytes, after_n: int, limit: int) -> list[Queued]:
    """Return the next messages to send, in order."""
    rows = store.rows(
        _SELECT + "WHERE c.conversation = ? AND o.reason IS NULL AND o.n > ? ORDER BY o.n LIMIT ?",
        (conversation, after_n, limit),
    )
    return [_read(row) for row in rows]


def all_of(store: Store, conversation: bytes) -> list[Queued]:
    """Return what has no place in the log: refused ones first, then those that wait, in order."""
    rows = store.rows(
        _SELECT + "WHERE c.conversation = ? ORDER BY o.reason IS NULL, o.id", (conversation,)
    )
    return [_read(row) for row in rows]


def take(store: Store, message_id: bytes) -> Queued | None:
    """Remove a message that got its place in the log, and return it."""
    row = store.row(_SELECT + "WHERE o.message_id = ?", (message_id,))
    if row is None:
        return None
    store.db.execute("DELETE FROM outbox WHERE id = ?", (row[0],))
    return _read(row)


def refuse(store: Store, message_id: bytes, reason: str) -> Queued | None:
    """Mark a waiting message as refused, and number those behind it from its ``n``."""
    row = store.row(_SELECT + "WHERE o.message_id = ? AND o.reason IS NULL", (message_id,))
    if row is None:
        return None
    refused = _read(row)
    store.db.execute("UPDATE outbox SET n = 0, reason = ? WHERE id = ?", (reason, refused.id))
    store.db.execute(
        "UPDATE outbox SET n = n - 1 WHERE reason IS NULL AND n > ? AND conversation = "
        "(SELECT id FROM conversations WHERE conversation = ?)",
        (refused.n, refused.conversation),
    )
    store.db.execute(
        "UPDATE conversations SET next_n = next_n - 1 WHERE conversation = ?",
        (refused.conversation,),
    )
    store.db.execute(
        "DELETE FROM outbox WHERE id IN (SELECT id FROM outbox WHERE reason IS NOT NULL "
        "ORDER BY id DESC LIMIT -1 OFFSET ?)",
        (MAX_REFUSED,),
    )
    return refused
