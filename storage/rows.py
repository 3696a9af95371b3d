"""Rows that a batch has decided on and not yet written: one statement a table, whatever the number.

A statement of k rows costs one call and one release of the interpreter's lock instead of k; up to
``_MOST`` rows a statement, each size prepared once.
"""

from typing import Final

import apsw

Value = int | bytes | str | None
_MOST: Final = 64


class RowBuffer:
    """Collects the rows of one table and writes them in order."""

    __slots__ = ("_after", "_before", "_columns", "_placeholders", "_texts", "_values")

    def __init__(self, before: str, columns: int, after: str = "") -> None:
        self._before, self._after = before, after
        self._columns = columns
        self._placeholders = "(" + ",".join("?" * columns) + ")"
        self._texts: dict[int, str] = {}
        self._values: list[Value] = []

    def add(self, *row: Value) -> None:
        """Append one row."""
        self._values += row

    def write(self, connection: apsw.Connection) -> None:
        """Write what was added and forget it."""
        values = self._values
        if not values:
            return
        step = _MOST * self._columns
        for start in range(0, len(values), step):
            part = values[start : start + step]
            connection.execute(self._text(len(part) // self._columns), part)
        self._values = []

    def clear(self) -> None:
        """Forget what was added: its batch was rolled back."""
        self._values = []

    def _text(self, rows: int) -> str:
        text = self._texts.get(rows)
        if text is None:
            text = self._before + ",".join([self._placeholders] * rows) + self._after
            self._texts[rows] = text
        return text
