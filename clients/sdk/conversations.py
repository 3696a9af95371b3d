"""The rows of conversations: how far this device is in each log, and what others have confirmed.

A :class:`Conversation` is read once in a transaction, changed in memory and saved before it ends.
"""

from dataclasses import dataclass

from clients.sdk.store import Row, Store
from protocol import derive


@dataclass(slots=True)
class Conversation:
    """One row; see ``schema.py`` for the meaning of each column."""

    id: int
    conversation: bytes
    peer: str
    known: bool
    head: int
    position: int
    chain: bytes | None
    lowest: int
    lowest_chain: bytes | None
    first_seq: int
    broken: int
    acked: int
    read: int
    read_public: bool
    seen: int
    peer_delivered: int
    peer_read: int
    next_n: int

    @property
    def behind(self) -> bool:
        """Whether entries are known to exist that are not stored here."""
        return self.position < self.head


_COLUMNS = (
    "id, conversation, peer, known, head, position, chain, lowest, lowest_chain, first_seq, "
    "broken, acked, read, read_public, seen, peer_delivered, peer_read, next_n"
)


def _read(row: Row) -> Conversation:
    found = Conversation(*row)
    found.known, found.read_public = bool(found.known), bool(found.read_public)
    return found


def by_id(store: Store, conversation: bytes) -> Conversation | None:
    """Return the conversation, or None."""
    row = store.row(
        f"SELECT {_COLUMNS} FROM conversations WHERE conversation = ?",  # noqa: S608  a constant
        (conversation,),
    )
    return _read(row) if row else None


def ensure(store: Store, me: str, peer: str) -> Conversation:
    """Return the direct conversation with ``peer``; a new one begins at the log's beginning."""
    conversation = derive.direct_id(me, peer)
    return by_id(store, conversation) or create(store, conversation, peer, 0, conversation)


def create(
    store: Store, conversation: bytes, peer: str, position: int, chain: bytes | None
) -> Conversation:
    """Insert a conversation whose entries up to ``position`` are left to the history."""
    store.db.execute(
        "INSERT INTO conversations (conversation, peer, known, next_n, head, position, chain, "
        "lowest, lowest_chain, first_seq, broken, acked, read, read_public, seen, "
        "peer_delivered, peer_read, read_told) VALUES (?1, ?2, 0, 1, ?3, ?3, ?4, ?3 + 1, ?4, 1, 0, "
        "?3, 0, 0, ?3, 0, 0, 1)",
        (conversation, peer, position, chain),
    )
    made = by_id(store, conversation)
    assert made is not None
    return made


def save(store: Store, c: Conversation) -> None:
    """Write back everything that sync may have changed."""
    store.db.execute(
        "UPDATE conversations SET known = ?, head = ?, position = ?, chain = ?, lowest = ?, "
        "lowest_chain = ?, first_seq = ?, broken = ?, acked = ?, read = ?, read_public = ?, "
        "peer_delivered = ?, peer_read = ? WHERE id = ?",
        (
            c.known,
            c.head,
            c.position,
            c.chain,
            c.lowest,
            c.lowest_chain,
            c.first_seq,
            c.broken,
            c.acked,
            c.read,
            c.read_public,
            c.peer_delivered,
            c.peer_read,
            c.id,
        ),
    )


def everyone(store: Store) -> list[Conversation]:
    """Return all conversations, the one with the newest entry first: one small row each."""
    rows = store.rows(
        f"SELECT {_COLUMNS} FROM conversations c ORDER BY "  # noqa: S608  a constant
        "(SELECT at_ms FROM entries e WHERE e.conversation = c.id ORDER BY seq DESC LIMIT 1) DESC"
    )
    return [_read(row) for row in rows]


def behind(store: Store) -> list[tuple[bytes, int]]:
    """Return (id, position) of conversations with entries that are not stored here."""
    rows = store.rows("SELECT conversation, position FROM conversations WHERE position < head")
    return [(row[0], row[1]) for row in rows]


def unconfirmed(store: Store) -> list[tuple[bytes, int]]:
    """Return (id, position) of those whose position the server has not confirmed to know."""
    rows = store.rows("SELECT conversation, position FROM conversations WHERE acked < position")
    return [(row[0], row[1]) for row in rows]


def unseen(store: Store) -> list[Conversation]:
    """Return the conversations with entries that were not handed out."""
    rows = store.rows(
        f"SELECT {_COLUMNS} FROM conversations WHERE seen < position ORDER BY id"  # noqa: S608  a constant
    )
    return [_read(row) for row in rows]


def mark_seen(store: Store, conversation: bytes, seq: int) -> None:
    """Move the mark of what was handed to the user; never back, never past the position."""
    store.db.execute(
        "UPDATE conversations SET seen = max(seen, min(?, position)) WHERE conversation = ?",
        (seq, conversation),
    )


def mark_read(store: Store, conversation: bytes, seq: int | None, public: bool) -> int:
    """Move the own read mark, never back, never past the position; return where it stands."""
    c = by_id(store, conversation)
    if c is None:
        return 0
    read = max(c.read, min(c.position if seq is None else seq, c.position))
    if read > c.read or public > c.read_public:
        store.db.execute(
            "UPDATE conversations SET read = ?, read_public = ?, read_told = 0 WHERE id = ?",
            (read, public, c.id),
        )
    return read


def untold_reads(store: Store) -> list[tuple[bytes, int, bool]]:
    """Return (id, read, public) of the marks that the server has not confirmed."""
    rows = store.rows(
        "SELECT conversation, read, read_public FROM conversations WHERE NOT read_told AND read > 0"
    )
    return [(row[0], row[1], bool(row[2])) for row in rows]


def read_told(store: Store, conversation: bytes, seq: int) -> None:
    """Record that the server has confirmed the mark."""
    store.db.execute(
        "UPDATE conversations SET read_told = 1 WHERE conversation = ? AND read = ?",
        (conversation, seq),
    )
