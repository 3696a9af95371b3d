"""Where entries lie in the log: an index that follows behind, and the short end that it lacks.

Indexing every entry as it is stored would touch one index page for each conversation of a batch:
two thirds of all the pages that a commit writes. So entries are indexed ``INDEX_ROWS`` at a time,
sorted, in the transaction of a batch; those above the mark ``meta.indexed`` are found by looking
through the end of the log, which is never much longer than that. Readers see mark, index and log
in one snapshot. Source: docs/decisions/0005.
"""

from typing import Final

import apsw

INDEX_ROWS: Final = 1_024
"""About a millisecond to index, and less than a tenth of one to look through."""

_MARK = "(SELECT value FROM meta WHERE key = 'indexed')"

IDS: Final = (
    "(SELECT log_id FROM log_index WHERE conv_id = ?1 AND seq BETWEEN ?2 AND ?3"
    f" UNION ALL SELECT id FROM log WHERE id > {_MARK} AND conv_id = ?1 AND seq BETWEEN ?2 AND ?3)"
)
"""For ``WHERE id IN``: the entries of conversation ?1 from seq ?2 to seq ?3, a bounded range.
Within a conversation the order of ids is the order of seqs."""

TAIL: Final = f"SELECT conv_id, max(id) AS id FROM log WHERE id > {_MARK} GROUP BY conv_id"
"""The newest entry of each conversation that has any above the mark."""

_NEWEST_INDEXED = "SELECT log_id FROM log_index WHERE conv_id = ? ORDER BY seq DESC LIMIT 1"


def newest(connection: apsw.Connection, conv_id: int) -> int | None:
    """Return the log id of a conversation's newest entry, for a reader in its snapshot."""
    found: int | None = connection.execute(
        f"SELECT max(id) FROM log WHERE id > {_MARK} AND conv_id = ?",
        (conv_id,),
    ).get
    return found or connection.execute(_NEWEST_INDEXED, (conv_id,)).get


class Places:
    """The writer's view: gives ids, remembers the end, moves the mark."""

    def __init__(self, connection: apsw.Connection) -> None:
        self._connection = connection
        self._indexed = 0
        self._last_id = 0
        self._tail: dict[int, int] = {}
        """Conversation -> log id of its newest entry above the mark."""
        self.reload()

    def reload(self) -> None:
        """Read again what is on disk: at the start, and after a rollback."""
        execute = self._connection.execute
        self._indexed = execute("SELECT value FROM meta WHERE key = 'indexed'").get
        self._last_id = execute("SELECT coalesce(max(id), 0) FROM log").get
        self._tail = dict(execute(TAIL))

    def give(self, conv_id: int) -> int:
        """Return the id for the next entry of the log, one of this conversation."""
        self._last_id += 1
        self._tail[conv_id] = self._last_id
        return self._last_id

    def newest(self, conv_id: int) -> int | None:
        """Return the log id of a conversation's newest entry."""
        return self._tail.get(conv_id) or self._connection.execute(_NEWEST_INDEXED, (conv_id,)).get

    def index_if_due(self) -> None:
        """Move the mark if enough has gathered above it; everything given must be written."""
        if self._last_id - self._indexed >= INDEX_ROWS:
            self.index()

    def index(self) -> None:
        """Index everything above the mark; everything given must be written."""
        if self._last_id == self._indexed:
            return
        execute = self._connection.execute
        execute(
            "INSERT INTO log_index SELECT conv_id, seq, id FROM log WHERE id > ?"
            " ORDER BY conv_id, seq",
            (self._indexed,),
        )
        execute("UPDATE meta SET value = ? WHERE key = 'indexed'", (self._last_id,))
        self._indexed = self._last_id
        self._tail = {}
