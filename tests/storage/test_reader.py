"""History and sync: pages, bounds, who may read, and snapshots beside a writer."""

import threading
from collections.abc import Callable
from dataclasses import astuple

import pytest

from protocol import limits
from protocol.codec import encode
from protocol.derive import chain_entry, direct_id
from protocol.messages.messaging import Entry, Head, SyncPage, Watermark
from protocol.messages.messaging import HistoryPage as PageMessage
from storage.commands import Acknowledge
from storage.reader import Reader
from storage.state import Device
from storage.types import HistoryPage
from tests.storage.helpers import DELETION, PLAIN, START_MS, Store, append, verifier

CID = direct_id("juliet", "romeo")
BIG = 2**53 - 1


@pytest.fixture
def romeo(store: Store) -> Device:
    return store.register("romeo")


@pytest.fixture
def juliet(store: Store, romeo: Device) -> Device:
    """Ten entries, a second apart, even ones of hers."""
    juliet = store.register("juliet")
    for i in range(5):
        store.send(romeo, "juliet", i + 1)
        store.clock.ms += 1_000
        store.send(juliet, "romeo", i + 1)
        store.clock.ms += 1_000
    return juliet


def page(
    store: Store,
    device: Device,
    *,
    after: int | None = None,
    before: int | None = None,
    at_ms: int | None = None,
    entries: int = 100,
    size: int = limits.MAX_PAGE_BYTES,
    cid: bytes = CID,
) -> HistoryPage:
    found = store.reader.history(
        cid,
        device.user.id,
        after=after,
        before=before,
        at_ms=at_ms,
        max_entries=entries,
        max_bytes=size,
    )
    assert found is not None
    return found


def seqs(found: HistoryPage) -> list[int]:
    return [entry.seq for entry in found.entries]


def encoded(found: HistoryPage) -> bytes:
    """The frame as the daemon would send it."""
    entries = tuple(Entry(*astuple(entry)) for entry in found.entries)
    return encode(
        PageMessage(limits.MAX_U32, found.first_seq, found.head, found.anchor, entries, found.more)
    )


def verify(found: HistoryPage, chains: dict[int, bytes]) -> None:
    """The page continues the chain from its anchor."""
    chain = found.anchor
    for entry in found.entries:
        chain = chain_entry(chain, Entry(*astuple(entry)))
        assert chain == chains[entry.seq]


@pytest.mark.parametrize(
    ("after", "entries", "expected", "more"),
    [
        (0, 10, range(1, 11), False),
        (0, 9, range(1, 10), True),
        (3, 4, range(4, 8), True),
        (6, 4, range(7, 11), False),
        (9, 1, [10], False),
        (10, 5, [], False),
        (BIG, 5, [], False),
    ],
)
def test_member_reads_forward(
    store: Store, juliet: Device, after: int, entries: int, expected: list[int], more: bool
) -> None:
    found = page(store, juliet, after=after, entries=entries)
    assert (seqs(found), found.more) == (list(expected), more)
    assert (found.first_seq, found.head) == (1, 10)


@pytest.mark.parametrize(
    ("before", "entries", "expected", "more"),
    [
        (BIG, 10, range(1, 11), False),
        (11, 9, range(2, 11), True),
        (8, 4, range(4, 8), True),
        (5, 4, range(1, 5), False),
        (2, 1, [1], False),
        (1, 5, [], False),
        (0, 5, [], False),
    ],
)
def test_member_reads_backward(
    store: Store, juliet: Device, before: int, entries: int, expected: list[int], more: bool
) -> None:
    found = page(store, juliet, before=before, entries=entries)
    assert (seqs(found), found.more) == (list(expected), more)


@pytest.mark.parametrize(
    ("offset_ms", "expected"),
    [(-1, [1, 2]), (0, [1, 2]), (1, [2, 3]), (4_000, [5, 6]), (9_000, [10]), (9_001, [])],
)
def test_member_seeks_by_time(
    store: Store, juliet: Device, offset_ms: int, expected: list[int]
) -> None:
    assert seqs(page(store, juliet, at_ms=START_MS + offset_ms, entries=2)) == expected


def test_anchors_continue_the_chain_in_every_direction(
    store: Store, romeo: Device, juliet: Device
) -> None:
    store.do(append(romeo, "juliet", 6, header=DELETION, removes=5))
    store.reopen()
    # Every page of one is anchored in the chain value that the page before arrived at.
    chains = {0: CID}
    for seq in range(1, 12):
        (entry,) = page(store, juliet, after=seq - 1, entries=1).entries
        chains[seq] = chain_entry(chains[seq - 1], Entry(*astuple(entry)))
    for position in range(13):
        for entries in (1, 4, 100):
            for size in (1, 600, limits.MAX_PAGE_BYTES):
                ahead = page(store, juliet, after=position, entries=entries, size=size)
                back = page(store, juliet, before=position, entries=entries, size=size)
                assert ahead.anchor == chains[min(position, 11)]
                verify(ahead, chains)
                assert back.anchor == chains[seqs(back)[0] - 1 if back.entries else 0]
                verify(back, chains)
    at_head = page(store, juliet, at_ms=store.clock.ms + 1)
    assert (at_head.entries, at_head.anchor) == ((), chains[11])


def test_nobody_else_learns_whether_a_conversation_exists(store: Store, juliet: Device) -> None:
    tybalt = store.register("tybalt")
    for cid in (CID, bytes(32)):
        for user_id in (tybalt.user.id, 999):
            found = store.reader.history(cid, user_id, after=0, max_entries=9, max_bytes=999)
            assert found is None


def test_former_member_reads_up_to_the_end_of_its_interval(
    store: Store, romeo: Device, juliet: Device
) -> None:
    store.engine.writer.connection.execute(
        "UPDATE intervals SET from_seq = 3, to_seq = 6 WHERE user_id = ?", (juliet.user.id,)
    )
    assert seqs(page(store, juliet, after=0)) == [3, 4, 5, 6]
    assert seqs(page(store, juliet, before=BIG)) == [3, 4, 5, 6]
    assert seqs(page(store, juliet, at_ms=START_MS)) == [3, 4, 5, 6]
    assert page(store, juliet, after=0).head == 6
    last = page(store, romeo, after=6, entries=1).anchor
    for position in (6, 8, BIG):  # nor the chain value of anything later
        assert page(store, juliet, after=position).anchor == last


def test_page_is_bounded_by_bytes_but_one_entry_always_fits(
    store: Store, romeo: Device, juliet: Device
) -> None:
    for n, size in enumerate((1_000, 5_000, 1_000), 6):
        store.do(append(romeo, "juliet", n, body=bytes(size)))
    one = 1_000 + len(b"\x90") + len(b"romeo") + 112
    two = one + 4_000 + one
    assert seqs(page(store, juliet, after=10, size=1)) == [11]
    assert seqs(page(store, juliet, after=11, size=1)) == [12]
    assert seqs(page(store, juliet, after=10, size=two - 1)) == [11]
    assert seqs(page(store, juliet, after=10, size=two)) == [11, 12]
    assert seqs(page(store, juliet, after=10, size=two + one - 1)) == [11, 12]
    assert seqs(page(store, juliet, after=10, size=two + one)) == [11, 12, 13]
    assert seqs(page(store, juliet, before=14, size=two - 1)) == [13]
    assert seqs(page(store, juliet, before=14, size=two)) == [12, 13]
    found = page(store, juliet, before=14, size=two)
    assert (found.more, found.first_seq) == (True, 1)


def test_every_page_fits_in_a_frame_when_entries_are_as_large_as_can_be(store: Store) -> None:
    name = "r" * limits.MAX_USER_BYTES
    sender, reader = store.register(name), store.register("juliet")
    cid = direct_id(name, "juliet")
    store.clock.ms = BIG
    header = bytes(limits.MAX_HEADER_BYTES)
    sizes = [limits.MAX_BODY_BYTES] * 2 + [0] * 600 + [29_000] * 3
    store.batch(
        *[
            append(sender, "juliet", n, header=header if size else PLAIN, body=bytes(size))
            for n, size in enumerate(sizes, 1)
        ]
    )
    first, n = len(sizes) + 1, len(sizes) + 600
    store.batch(
        *[
            append(sender, "juliet", i, header=DELETION, body=b"", removes=3 + i - first)
            for i in range(first, n + 1)
        ]
    )
    largest = 0
    for position in range(0, n, 29):
        for found in (
            page(store, reader, cid=cid, after=position, entries=limits.MAX_PAGE_ENTRIES),
            page(store, reader, cid=cid, before=position + 2, entries=limits.MAX_PAGE_ENTRIES),
        ):
            assert found.entries
            largest = max(largest, len(encoded(found)))
    assert 63_000 < largest <= limits.MAX_FRAME_BYTES


def test_sync_tells_what_moved_after_a_commit(store: Store, romeo: Device, juliet: Device) -> None:
    nurse = store.register("nurse")
    store.send(nurse, "romeo", 1)
    all_of_it = store.reader.sync(romeo.user.id, romeo.id, 0, 0, most=10)
    assert [(h.peer, h.head, h.last_n) for h in all_of_it.heads] == [
        ("juliet", 10, 5),
        ("nurse", 1, 0),
    ]
    assert all_of_it.next_page == 0
    since = all_of_it.commit_no
    nothing = store.reader.sync(romeo.user.id, romeo.id, since, 0, most=10)
    assert (nothing.heads, nothing.watermarks) == ((), ())
    store.ack(nurse, "romeo", 1)
    moved = store.reader.sync(romeo.user.id, romeo.id, since, 0, most=10)
    assert [h.peer for h in moved.heads] == ["nurse"]
    assert [(w.cid, w.user, w.delivered, w.read) for w in moved.watermarks] == [
        (direct_id("nurse", "romeo"), "nurse", 1, 0)
    ]
    store.read(romeo, "juliet", 10)  # on another device: this one is to know
    store.send(juliet, "romeo", 6)
    moved = store.reader.sync(romeo.user.id, romeo.id, moved.commit_no, 0, most=10)
    assert [(h.peer, h.head, h.acked, h.read) for h in moved.heads] == [("juliet", 11, 10, 10)]
    assert moved.watermarks == ()
    assert moved.heads[0].chain == page(store, romeo, after=11).anchor


def test_sync_pages_lose_nothing_when_conversations_move_between_them(store: Store) -> None:
    romeo = store.register("romeo")
    names = [f"user{i}" for i in range(7)]
    for name in names:
        store.send(store.register(name), "romeo", 1)
    first = store.reader.sync(romeo.user.id, romeo.id, 0, 0, most=3)
    store.send(romeo, names[0], 1)  # behind the page
    store.send(romeo, names[6], 1)  # ahead of it
    second = store.reader.sync(romeo.user.id, romeo.id, 0, first.next_page, most=3)
    third = store.reader.sync(romeo.user.id, romeo.id, 0, second.next_page, most=3)
    pages = [first, second, third]
    assert [[h.peer for h in p.heads] for p in pages] == [names[:3], names[3:6], names[6:]]
    assert third.next_page == 0
    assert third.heads[0].head == 2
    later = store.reader.sync(romeo.user.id, romeo.id, first.commit_no, 0, most=7)
    assert [h.peer for h in later.heads] == [names[0], names[6]]
    exactly = store.reader.sync(romeo.user.id, romeo.id, 0, 0, most=7)
    assert (len(exactly.heads), exactly.next_page) == (7, 0)
    assert len(store.reader.sync(romeo.user.id, romeo.id, 0, 0, most=6).heads) == 6


def test_largest_sync_page_fits_in_a_frame(store: Store) -> None:
    romeo = store.register("romeo")
    for i in range(limits.MAX_PAGE_HEADS + 1):
        name = f"{i:03}" + "x" * (limits.MAX_USER_BYTES - 3)
        store.send(store.register(name), "romeo", 1)
    found = store.reader.sync(romeo.user.id, romeo.id, 0, 0, most=limits.MAX_PAGE_HEADS)
    assert len(found.heads) == len(found.watermarks) == limits.MAX_PAGE_HEADS
    heads = tuple(
        Head(h.cid, h.kind, h.peer, BIG, BIG, h.chain, BIG, BIG, BIG) for h in found.heads
    )
    marks = tuple(Watermark(w.cid, w.user, BIG, BIG) for w in found.watermarks)
    frame = encode(SyncPage(limits.MAX_U32, BIG, heads, marks, BIG))
    assert len(frame) <= limits.MAX_FRAME_BYTES


def test_new_device_has_nothing_unsent_and_its_own_numbering(store: Store, juliet: Device) -> None:
    laptop = store.enrol("juliet")
    (head,) = store.reader.sync(laptop.user.id, laptop.id, 0, 0, most=9).heads
    assert (head.head, head.acked, head.last_n) == (10, 10, 0)


def test_pages_are_whole_snapshots_beside_a_writer(
    store: Store, romeo: Device, juliet: Device
) -> None:
    reader = store.engine.reader()
    started, stop = threading.Event(), threading.Event()
    faults: list[str] = []

    def read(reader: Reader) -> None:
        commit_no, watermark, head = 0, 0, 0
        while not stop.is_set():
            found = reader.history(CID, juliet.user.id, after=10, max_entries=512, max_bytes=10**9)
            sync = reader.sync(romeo.user.id, romeo.id, 0, 0, most=9)
            assert found is not None
            got = [entry.seq for entry in found.entries]
            if got != list(range(11, found.head + 1)) or found.head % 2 or found.head < head:
                faults.append(f"history: {got} of {found.head} after {head}")
            head = found.head
            mark = sync.watermarks[0]
            now = (sync.commit_no, mark.delivered)
            if now < (commit_no, watermark) or mark.delivered not in (0, sync.heads[0].head):
                faults.append(f"sync: {now} after {(commit_no, watermark)}, head {sync.heads[0]}")
            commit_no, watermark = now
            started.set()

    thread = run(lambda: read(reader), faults)
    assert started.wait(30)
    for n in range(6, 130):  # two entries and the acknowledgement of both, always together
        store.batch(
            append(romeo, "juliet", n),
            append(juliet, "romeo", n),
            Acknowledge(juliet, ((CID, 2 * n),)),
        )
    stop.set()
    thread.join()
    reader.close()
    assert faults == []


def run(work: Callable[[], None], faults: list[str]) -> threading.Thread:
    """Work in a thread; what it raises is a fault."""

    def guarded() -> None:
        try:
            work()
        except Exception as error:  # noqa: BLE001  a thread's failure must fail the test
            faults.append(repr(error))

    thread = threading.Thread(target=guarded)
    thread.start()
    return thread


def test_check_finds_nothing_wrong_with_a_sound_file(store: Store, juliet: Device) -> None:
    assert store.reader.check() == []
    assert store.reader.verifier("juliet") == verifier("secret")
