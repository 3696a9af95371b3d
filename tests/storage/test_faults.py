"""A disk that is full, that fails, that loses its power: what was committed is there."""

from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from protocol.derive import chain_entry, direct_id
from protocol.messages.messaging import Entry
from storage import schema
from storage.commands import Acknowledge, Appended, Command, LoggedIn, Login, Refusal
from storage.errors import StorageError, StorageFailed, StorageFull
from storage.state import Device
from tests.storage.faulty_vfs import (
    FaultyVFS,
    bad_read,
    bad_sync,
    bad_write,
    faulty,
    no_space,
)
from tests.storage.helpers import DELETION, Store, append, heads_of, pending

CID = direct_id("juliet", "romeo")


@pytest.fixture
def disk() -> Iterator[FaultyVFS]:
    with faulty() as vfs:
        yield vfs


@pytest.fixture
def store(tmp_path: Path, disk: FaultyVFS) -> Iterator[Store]:
    store = Store(tmp_path)
    yield store
    disk.faults.write = disk.faults.sync = disk.faults.read = None
    store.close()


@pytest.fixture
def pair(store: Store) -> tuple[Device, Device]:
    romeo, juliet = store.register("romeo"), store.register("juliet")
    store.talk(romeo, "juliet", 5)
    return romeo, juliet


def attempt(store: Store, *commands: Command) -> StorageError:
    """A batch that fails, in applying or committing."""
    with pytest.raises(StorageError) as caught:
        store.batch(*commands)
    return caught.value


@pytest.mark.parametrize("after", range(4))
def test_full_disk_undoes_the_batch_and_acknowledgements_go_on_from_the_reserve(
    store: Store, pair: tuple[Device, Device], disk: FaultyVFS, after: int
) -> None:
    romeo, juliet = pair
    assert store.engine.hold_reserve()
    disk.faults.write, disk.faults.after = no_space, after
    batch: list[Command] = [
        append(romeo, "juliet", 6, body=bytes(30_000)),
        Acknowledge(juliet, ((CID, 5),)),
    ]
    assert isinstance(attempt(store, *batch), StorageFull)
    store.engine.writer.rollback()
    assert store.history(romeo, "juliet").head == 5
    assert heads_of(store.reader, juliet)[CID] == (5, 0, 0)

    store.engine.release_reserve()
    disk.faults.write = None  # that is room
    store.engine.writer.full = True
    refused, moved = store.batch(*batch)
    assert getattr(refused, "reason", None) is Refusal.DISK_FULL
    assert heads_of(store.reader, juliet)[CID] == (5, 5, 0)
    assert len(getattr(moved, "movements", [])) == 1

    assert store.engine.hold_reserve()
    store.engine.writer.full = False
    sent = store.do(batch[0])
    assert isinstance(sent, Appended)
    assert (sent.seq, sent.repeated) == (6, False)


def test_copy_leaves_everything_readable_when_the_disk_is_full(
    store: Store, pair: tuple[Device, Device], disk: FaultyVFS
) -> None:
    romeo, juliet = pair
    store.do(append(romeo, "juliet", 6, header=DELETION, removes=1))
    disk.faults.write, disk.faults.suffix = no_space, ".db"
    with pytest.raises(StorageFull):
        store.engine.copy()
    with pytest.raises(StorageFull):
        store.engine.finish_copy()
    assert pending(store)
    assert store.history(juliet, "romeo").head == 6
    disk.faults.write = None
    store.send(romeo, "juliet", 7)
    store.engine.copy()
    store.engine.finish_copy()
    assert not pending(store)
    assert store.reader.check() == []


def test_engine_starts_when_the_old_log_cannot_be_copied_for_want_of_room(
    store: Store,
    pair: tuple[Device, Device],
    disk: FaultyVFS,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    store.do(append(pair[0], "juliet", 6, header=DELETION, removes=1))
    folder = tmp_path_factory.mktemp("restart")
    for name in ("chatd.db", "chatd.db-wal"):
        (folder / name).write_bytes((store.folder / name).read_bytes())
    disk.faults.write, disk.faults.suffix = no_space, ".db"
    restarted = Store(folder)
    disk.faults.write = None
    assert pending(restarted)
    assert restarted.engine.wants_copy()
    assert restarted.history(pair[0], "juliet").head == 6
    restarted.close()


@pytest.mark.parametrize(
    ("write", "sync"), [(bad_write, None), (None, bad_sync)], ids=["write", "fsync"]
)
def test_failed_disk_ends_the_batch_and_is_never_tried_again(
    store: Store,
    pair: tuple[Device, Device],
    disk: FaultyVFS,
    write: None,
    sync: None,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    romeo, _ = pair
    disk.faults.write, disk.faults.sync, disk.faults.suffix = write, sync, "-wal"
    error = attempt(store, append(romeo, "juliet", 6))
    assert type(error) is StorageFailed
    assert "SQLITE_IOERR_" in str(error)
    assert disk.faults.raised == 1
    assert disk.faults.calls == []
    # The next process finds what was committed, and the batch in doubt whole or not at all.
    folder = tmp_path_factory.mktemp("restart")
    disk.faults.write = disk.faults.sync = None
    disk.after_power_cut(folder, len(disk.unsynced), garbled=False)
    expect_log(folder, committed=5, at_most=6)


def test_reader_reports_a_disk_that_cannot_be_read(
    store: Store, pair: tuple[Device, Device], disk: FaultyVFS
) -> None:
    reader = store.engine.reader()
    disk.faults.read = bad_read
    with pytest.raises(StorageFailed, match="SQLITE_IOERR_READ"):
        reader.check()
    disk.faults.read = None
    assert reader.check() == []  # its snapshot was not left open
    reader.close()


def test_writer_reports_a_disk_that_cannot_be_read(
    store: Store, pair: tuple[Device, Device], disk: FaultyVFS
) -> None:
    store.reopen()  # nothing is in memory
    disk.faults.read = bad_read
    error = attempt(store, Login("romeo", 1, 1))
    assert type(error) is StorageFailed
    assert "SQLITE_IOERR" in str(error)
    disk.faults.read = None
    store.engine.writer.rollback()
    assert isinstance(store.do(Login("romeo", 1, 1)), LoggedIn)


def test_database_is_not_made_when_the_disk_is_full(tmp_path: Path, disk: FaultyVFS) -> None:
    disk.faults.write = no_space
    with pytest.raises(StorageFull, match="make room"):
        Store(tmp_path)
    disk.faults.write = None
    store = Store(tmp_path)
    store.register("romeo")
    store.close()


def test_old_database_stays_when_there_is_no_room_for_its_snapshot(
    tmp_path: Path, disk: FaultyVFS, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = Store(tmp_path)
    store.register("romeo")
    store.close()
    disk.faults.write, disk.faults.suffix = no_space, ".tmp"
    with monkeypatch.context() as patch:
        patch.setattr(schema, "SCHEMA_VERSION", schema.SCHEMA_VERSION + 1)
        with pytest.raises(StorageFull):
            Store(tmp_path)
    assert disk.faults.raised
    assert [path.name for path in tmp_path.iterdir()] == ["chatd.db"]
    disk.faults.write = None
    store = Store(tmp_path)
    assert [user.name for user in store.reader.users()] == ["romeo"]
    store.close()


def test_everything_committed_is_there_after_a_power_cut_at_any_moment(
    store: Store, disk: FaultyVFS, tmp_path_factory: pytest.TempPathFactory
) -> None:
    romeo, juliet = store.register("romeo"), store.register("juliet")
    committed = 0
    pictures: list[tuple[int, int, Path]] = []

    def picture(at_most: int) -> None:
        for kept in {0, 1, len(disk.unsynced) // 2, len(disk.unsynced)}:
            for garbled in (False, True):
                folder = tmp_path_factory.mktemp("cut")
                disk.after_power_cut(folder, kept, garbled)
                pictures.append((committed, at_most, folder))

    for i in range(1, 7):
        command = append(romeo, "juliet", i, body=bytes([i]) * 6_000)
        acknowledge = Acknowledge(juliet, ((CID, i),))
        store.engine.writer.apply([command, acknowledge])
        picture(at_most=i - 1)
        # Just before the sync of the commit all of its writes are unsynced.
        disk.before_sync = partial(picture, i)
        store.engine.writer.commit()
        disk.before_sync = None
        committed = i
        picture(at_most=i)
        if i % 3 == 0:
            disk.before_sync = partial(picture, i)
            store.engine.copy()
            store.engine.writer.bodies_removed = i == 6
            store.engine.finish_copy()
            disk.before_sync = None
            picture(at_most=i)
    store.close()
    picture(at_most=6)
    store.open()
    assert len(pictures) > 100
    for least, at_most, folder in pictures:
        expect_log(folder, committed=least, at_most=at_most)


def expect_log(folder: Path, *, committed: int, at_most: int) -> None:
    """A restart on these files finds a sound log of a plausible length, and goes on with it."""
    store = Store(folder)
    try:
        assert store.reader.check() == []
        page = store.reader.history(CID, 1, after=0, max_entries=99, max_bytes=1 << 24)
        entries = () if page is None else page.entries
        assert committed <= len(entries) <= at_most
        chain = CID
        for seq, e in enumerate(entries, 1):
            assert e.seq == e.n == seq
            chain = chain_entry(
                chain,
                Entry(e.seq, e.user, e.device, e.n, e.at_ms, e.header, e.message_id, e.body),
            )
        romeo = store.enrol("romeo")
        sent = store.send(romeo, "juliet", 1)
        assert sent.seq == len(entries) + 1
    finally:
        store.close()
