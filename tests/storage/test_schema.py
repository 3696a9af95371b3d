"""The schema's version: made, upgraded, refused, and never half-way."""

import re
from pathlib import Path

import apsw
import pytest

from protocol.derive import chain_next
from storage import schema
from storage.errors import SchemaTooNew, StorageCorrupt, StorageFailed
from storage.writer import Writer
from tests.storage.helpers import Clock, Store


def open_writer(path: Path) -> Writer:
    return Writer(path, now_ms=Clock(), chain=chain_next, cache_mib=4)


def raw(path: Path, *statements: str) -> list[tuple[object, ...]]:
    """Run statements on the file without any of our code; the rows of the last."""
    connection = apsw.Connection(str(path))
    rows: list[tuple[object, ...]] = []
    for statement in statements:
        rows = connection.execute(statement).fetchall()
    connection.close()
    return rows


@pytest.fixture
def database(tmp_path: Path) -> Path:
    """A database of the present version with one user in it, closed."""
    store = Store(tmp_path)
    store.register("romeo")
    store.close()
    return tmp_path / "chatd.db"


def upgrade(monkeypatch: pytest.MonkeyPatch, *scripts: str) -> None:
    """As if the next version of the program came with these migrations."""
    known = schema._migration
    first = schema.SCHEMA_VERSION + 1

    def migration(version: int) -> str:
        return scripts[version - first] if version >= first else known(version)

    monkeypatch.setattr(schema, "SCHEMA_VERSION", first + len(scripts) - 1)
    monkeypatch.setattr(schema, "_migration", migration)


def test_empty_file_becomes_a_database_of_the_present_version(tmp_path: Path) -> None:
    path = tmp_path / "chatd.db"
    open_writer(path).close()
    assert raw(path, "PRAGMA user_version") == [(schema.SCHEMA_VERSION,)]
    assert raw(path, "PRAGMA application_id") == [(int.from_bytes(b"chat"),)]
    assert raw(path, "PRAGMA journal_mode") == [("wal",)]
    assert raw(path, "PRAGMA foreign_key_check") == []
    assert list(tmp_path.glob("*before*")) == []


def test_every_version_has_one_migration_and_a_line_of_history() -> None:
    folder = Path(schema.__file__).with_name("migrations")
    numbers = sorted(int(path.name[:4]) for path in folder.glob("*.sql"))
    assert numbers == list(range(1, schema.SCHEMA_VERSION + 1))
    history = re.findall(r"^    (\d+)   ", schema.__doc__ or "", re.MULTILINE)
    assert [int(number) for number in history] == numbers


def test_newer_database_is_refused_and_left_as_it_was(database: Path) -> None:
    raw(database, "PRAGMA user_version = 99")
    before = database.read_bytes()
    with pytest.raises(SchemaTooNew, match=r"99.*update the program, or restore") as caught:
        open_writer(database)
    assert (caught.value.found, caught.value.known) == (99, schema.SCHEMA_VERSION)
    assert database.read_bytes() == before


@pytest.mark.parametrize("version", [0, 1, 99])
def test_database_of_another_program_is_refused_and_left_as_it_was(
    tmp_path: Path, version: int
) -> None:
    path = tmp_path / "chatd.db"
    raw(path, "CREATE TABLE recipes (name TEXT)", f"PRAGMA user_version = {version}")
    before = path.read_bytes()
    with pytest.raises(StorageCorrupt, match="not a database of chatd: move it away"):
        open_writer(path)
    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["chatd.db"]


@pytest.mark.parametrize("content", [b"not SQLite" * 500, b"SQLite format 3\0" + bytes(4_080)])
def test_file_that_is_no_database_is_refused_and_left_as_it_was(
    tmp_path: Path, content: bytes
) -> None:
    path = tmp_path / "chatd.db"
    path.write_bytes(content)
    with pytest.raises(StorageCorrupt):
        open_writer(path)
    assert path.read_bytes() == content


def test_upgrade_keeps_the_data_and_leaves_a_snapshot_of_before(
    database: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    version = schema.SCHEMA_VERSION
    upgrade(
        monkeypatch,
        "CREATE TABLE a (x INTEGER); INSERT INTO a VALUES (7);",
        "ALTER TABLE a ADD COLUMN y INTEGER; UPDATE a SET y = x + 1;",
    )
    store = Store(database.parent)
    assert [user.name for user in store.reader.users()] == ["romeo"]
    store.close()
    assert raw(database, "SELECT x, y FROM a") == [(7, 8)]
    assert raw(database, "PRAGMA user_version") == [(version + 2,)]
    (snapshot,) = database.parent.glob("*before*")
    assert snapshot.name == f"chatd.db.before-{version + 2}"
    assert snapshot.stat().st_mode & 0o777 == 0o600
    assert raw(snapshot, "PRAGMA user_version") == [(version,)]
    assert raw(snapshot, "SELECT name FROM users") == [("romeo",)]
    assert raw(snapshot, "PRAGMA integrity_check") == [("ok",)]


def test_old_database_stays_when_the_second_migration_fails(
    database: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    version = schema.SCHEMA_VERSION
    with monkeypatch.context() as patch:
        upgrade(patch, "CREATE TABLE a (x);", "CREATE TABLE b (x); CREATE TABLE b (x);")
        with pytest.raises(StorageFailed):
            open_writer(database)
    assert raw(database, "PRAGMA user_version") == [(version,)]
    assert raw(database, "SELECT name FROM sqlite_schema WHERE name IN ('a', 'b')") == []
    store = Store(database.parent)
    assert [user.name for user in store.reader.users()] == ["romeo"]
    store.close()


def test_old_database_stays_when_the_process_dies_in_mid_migration(
    database: Path, monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> None:
    crashed = tmp_path_factory.mktemp("crashed")
    known = schema._migration

    def migration(version: int) -> str:
        if version == schema.SCHEMA_VERSION:  # the one before it has run: keep the files as is
            for path in database.parent.iterdir():
                (crashed / path.name).write_bytes(path.read_bytes())
            return "SELECT 1"
        return "CREATE TABLE a (x);" if version > 1 else known(version)

    version = schema.SCHEMA_VERSION
    with monkeypatch.context() as patch:
        patch.setattr(schema, "SCHEMA_VERSION", version + 2)
        patch.setattr(schema, "_migration", migration)
        open_writer(database).close()
    survivor = crashed / "chatd.db"
    assert raw(survivor, "PRAGMA user_version") == [(version,)]
    assert raw(survivor, "SELECT name FROM users") == [("romeo",)]
    assert (crashed / f"chatd.db.before-{version + 2}").exists()
    store = Store(crashed)
    assert store.reader.check() == []
    store.close()


def test_nothing_is_changed_when_the_snapshot_cannot_be_written(
    database: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    version = schema.SCHEMA_VERSION
    obstacle = database.with_name(f"chatd.db.before-{version + 1}")
    obstacle.mkdir()
    (obstacle / "in the way").touch()
    with monkeypatch.context() as patch:
        upgrade(patch, "CREATE TABLE a (x);")
        with pytest.raises(StorageFailed, match=r"before-\d+ cannot be written"):
            open_writer(database)
    assert raw(database, "PRAGMA user_version") == [(version,)]
    assert not database.with_name("chatd.db.tmp").exists()


def test_missing_migration_is_named(database: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(schema, "SCHEMA_VERSION", schema.SCHEMA_VERSION + 1)
    with pytest.raises(StorageCorrupt, match="missing from this installation"):
        open_writer(database)
