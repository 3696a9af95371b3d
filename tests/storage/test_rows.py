"""Rows of a batch: written in order, in statements of at most 64."""

import apsw
import pytest

from storage.rows import RowBuffer


@pytest.mark.parametrize("count", [0, 1, 63, 64, 65, 128, 200])
def test_buffer_writes_every_row_once_in_order(count: int) -> None:
    connection = apsw.Connection(":memory:")
    connection.execute("CREATE TABLE t (id INTEGER PRIMARY KEY, x, y)")
    statements: list[int] = []

    def trace(cursor: apsw.Cursor, sql: str, bindings: object) -> bool:
        statements.append(sql.count("(?,?)"))
        return True

    buffer = RowBuffer("INSERT INTO t (x, y) VALUES ", 2)
    for i in range(count):
        buffer.add(i, b"%d" % i)
    connection.exec_trace = trace
    buffer.write(connection)
    buffer.write(connection)  # nothing is left
    connection.exec_trace = None
    rows = connection.execute("SELECT x, y FROM t ORDER BY id").fetchall()
    assert rows == [(i, b"%d" % i) for i in range(count)]
    assert statements == [64] * (count // 64) + ([count % 64] if count % 64 else [])


def test_buffer_forgets_its_rows_when_the_batch_was_rolled_back() -> None:
    connection = apsw.Connection(":memory:")
    buffer = RowBuffer("INSERT INTO absent VALUES ", 1)
    buffer.add(1)
    with pytest.raises(apsw.SQLError):
        buffer.write(connection)
    buffer.clear()
    buffer.write(connection)
