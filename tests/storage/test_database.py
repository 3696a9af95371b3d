"""How the files are opened: modes, settings, and what is refused."""

import os
from pathlib import Path

import apsw
import pytest

from storage.database import log_ahead, open_reader, open_writer
from storage.errors import StorageBusy, StorageError, StorageFailed
from tests.storage.helpers import Store, append


def test_every_file_is_private_whatever_the_umask(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        store = Store(tmp_path)
        store.engine.hold_reserve()
        romeo = store.register("romeo")
        store.register("juliet")
        store.do(append(romeo, "juliet", 1))
    finally:
        os.umask(before)
    modes = {path.name: path.stat().st_mode & 0o777 for path in tmp_path.iterdir()}
    names = ("chatd.db", "chatd.db-shm", "chatd.db-wal", "reserve")
    assert modes == dict.fromkeys(names, 0o600)
    store.close()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["chatd.db", "reserve"]


def test_commits_wait_for_the_disk_and_nothing_checkpoints_unasked(tmp_path: Path) -> None:
    writer = open_writer(tmp_path / "chatd.db", 4)
    log_ahead(writer)
    reader = open_reader(tmp_path / "chatd.db", 4)
    for connection in (writer, reader):
        assert connection.pragma("journal_mode") == "wal"
        assert connection.pragma("synchronous") == 2  # FULL
        assert connection.pragma("wal_autocheckpoint") == 0
        assert connection.pragma("mmap_size") in (0, None)
    assert writer.pragma("secure_delete") == 1
    assert writer.pragma("foreign_keys") == 1
    with pytest.raises(apsw.ReadOnlyError):
        reader.execute("CREATE TABLE a (x)")
    reader.close()
    writer.close()


def test_reader_makes_no_database(tmp_path: Path) -> None:
    with pytest.raises(StorageFailed, match="CANTOPEN"):
        open_reader(tmp_path / "chatd.db", 4)
    assert list(tmp_path.iterdir()) == []


def test_writer_says_so_when_the_folder_is_missing(tmp_path: Path) -> None:
    with pytest.raises(StorageFailed, match=r"chatd\.db cannot be created: No such file"):
        open_writer(tmp_path / "absent" / "chatd.db", 4)


def test_writer_says_so_when_a_folder_is_in_its_place(tmp_path: Path) -> None:
    (tmp_path / "chatd.db").mkdir()
    with pytest.raises(StorageError):
        open_writer(tmp_path / "chatd.db", 4)


def test_database_needs_a_file_system_with_shared_memory() -> None:
    connection = apsw.Connection(":memory:")  # cannot be switched to a log either
    with pytest.raises(StorageFailed, match="keep the data folder on a local disk"):
        log_ahead(connection)
    connection.close()


def test_writer_says_so_when_another_process_writes(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = apsw.Connection(str(store.folder / "chatd.db"))
    other.execute("BEGIN IMMEDIATE")
    store.engine.writer.connection.set_busy_timeout(0)
    with pytest.raises(StorageBusy, match="held by another process"):
        store.register("romeo")
    other.close()
    store.engine.writer.rollback()
    store.register("romeo")
