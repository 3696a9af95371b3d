"""Upkeep of the log file: copied beside the writer, started over, bounded."""

import apsw
import pytest

import storage.engine
from protocol.derive import direct_id
from storage.checkpoint import COPY_PAGES, RESTART_PAGES
from storage.state import Device
from tests.storage.helpers import Store, append

PAGE_BYTES = 4_096 + 24
"""A page in the log file, with its header."""


@pytest.fixture
def pair(store: Store) -> tuple[Device, Device]:
    return store.register("romeo"), store.register("juliet")


def log_bytes(store: Store) -> int:
    return (store.folder / "chatd.db-wal").stat().st_size


def fill(store: Store, device: Device, peer: str, n: int) -> int:
    """One batch of 60 large entries, some 900 pages of log; returns the next n."""
    store.batch(*[append(device, peer, n + i, body=bytes(61_440)) for i in range(60)])
    return n + 60


def test_copy_is_due_at_its_bound_only(
    store: Store, pair: tuple[Device, Device], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(storage.engine, "COPY_PAGES", 100)
    n = 1
    pages = log_bytes(store) // PAGE_BYTES
    while not store.engine.wants_copy():
        assert pages < 100
        store.send(pair[0], "juliet", n)
        n += 1
        pages = log_bytes(store) // PAGE_BYTES
    assert 100 <= pages < 120
    store.engine.copy()
    assert not store.engine.wants_copy()
    store.engine.finish_copy()
    assert store.history(pair[1], "romeo").head == n - 1


def test_log_file_starts_over_and_stays_bounded_when_batches_go_on_beside_the_copy(
    store: Store, pair: tuple[Device, Device], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(storage.engine, "COPY_PAGES", COPY_PAGES // 8)
    monkeypatch.setattr(storage.engine, "RESTART_PAGES", RESTART_PAGES // 8)
    n, answers, largest = 1, 0, 0
    for _ in range(14):
        n = fill(store, pair[0], "juliet", n)
        largest = max(largest, log_bytes(store))
        if store.engine.wants_copy():
            holder = apsw.Connection(str(store.folder / "chatd.db"))
            holder.execute("BEGIN; SELECT count(*) FROM meta").fetchall()
            answers += 1
            store.send(pair[1], "romeo", answers)  # as a batch beside the copy: it is left out
            store.engine.copy()
            holder.close()
            store.engine.finish_copy()
    assert answers > 3
    assert largest > (RESTART_PAGES // 8) * PAGE_BYTES
    assert largest < (RESTART_PAGES // 8 + 1_900) * PAGE_BYTES
    page = store.reader.history(
        direct_id("romeo", "juliet"), pair[0].user.id, after=0, max_entries=9_999, max_bytes=1 << 30
    )
    assert page is not None
    assert len(page.entries) == page.head == 14 * 60 + answers
    assert store.reader.check() == []


def test_log_file_is_gone_when_the_engine_was_closed(
    store: Store, pair: tuple[Device, Device]
) -> None:
    store.send(pair[0], "juliet", 1)
    store.close()
    assert not (store.folder / "chatd.db-wal").exists()
    store.open()
    assert store.reader.users() != []


def test_engine_passes_the_reserve_on(store: Store) -> None:
    assert store.engine.hold_reserve()
    assert (store.folder / "reserve").stat().st_size == 1024 * 1024
    store.engine.release_reserve()
    assert not (store.folder / "reserve").exists()
