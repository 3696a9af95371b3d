"""docs/storage.md names what there is: every table, column and index, and no other."""

import re
from pathlib import Path

from storage import schema
from tests.storage.helpers import Store

TEXT = (Path(__file__).parents[2] / "docs" / "storage.md").read_text("utf-8")


def documented() -> dict[str, list[str]]:
    """Columns by table, as the page lists them."""
    part = TEXT.split("## Schema", 1)[1].split("## Invariants", 1)[0]
    tables = re.split(r"^### (\w+)$", part, flags=re.MULTILINE)[1:]
    return {
        name: re.findall(r"^\| `(\w+)` \|", text, re.MULTILINE)
        for name, text in zip(tables[::2], tables[1::2], strict=True)
    }


def test_page_lists_the_tables_and_columns_of_the_schema(store: Store) -> None:
    connection = store.engine.writer.connection
    real = {
        str(name): [str(row[1]) for row in connection.execute(f"PRAGMA table_info({name})")]
        for (name,) in connection.execute(
            "SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY rowid"
        ).fetchall()
    }
    assert documented() == real


def test_page_lists_the_indexes_of_the_schema(store: Store) -> None:
    rows = store.engine.writer.connection.execute(
        "SELECT name FROM sqlite_schema WHERE type = 'index' AND sql IS NOT NULL"
    ).fetchall()
    sentence = TEXT.split("Indexes besides the keys:", 1)[1].split("\n\n", 1)[0]
    names = re.findall(r"`(\w+)` \(", sentence)
    assert sorted(names) == sorted(str(name) for (name,) in rows)


def test_page_tells_the_present_version() -> None:
    assert f"\nVersion {schema.SCHEMA_VERSION}. " in TEXT
