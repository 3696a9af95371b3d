"""Rows 4 and 9: readers who stall, and entries that are odd but stored, harm nobody."""

from contextlib import ExitStack

import pytest

from protocol import limits
from protocol.derive import direct_id
from protocol.header import PLAIN, ClearHeader, Kind, encode_header
from protocol.messages.messaging import Event, History, HistoryPage, Resync, Send, Sent
from tests.hostile.attacker import Scene
from tests.server_process import ServerProcess
from tests.wire.caller import Caller
from tests.wire.identity import Credential

STALLED = 12
LINES, LINE_BYTES = 250, 40_000
MAX_STALLED_KIB = 512
"""For each: the outbox, TLS buffers and the allocator's slack; 10 MB were sent to each."""
DATABASE_KIB = 24 * 1_024
"""The page cache of the 10 MB that the database grew by, and the log's index."""


def stalled_device(server: ServerProcess, user: str) -> Caller:
    """Enrol a device that subscribes and then reads no more."""
    caller = Caller(server.port)
    caller.enrol(Credential(user))
    caller.sync()
    return caller


def test_stalled_readers_cost_little_and_catch_up_from_the_log(scene: Scene) -> None:
    user = scene.juliet_credential.user
    with ExitStack() as stack:
        stalled = [stack.enter_context(stalled_device(scene.server, user)) for _ in range(STALLED)]
        before = scene.server.memory_kib()["Rss"]
        body = bytes(LINE_BYTES)
        for _ in range(LINES):
            scene.say(body)  # and the reader who keeps up hears each one, live
        grown = scene.server.memory_kib()["Rss"] - before
        assert grown <= DATABASE_KIB + STALLED * MAX_STALLED_KIB
        slow, head = stalled[0], LINES + 1
        slow.expect(Resync)
        pushed = [push.entry.seq for push in slow.pushes if isinstance(push, Event)]
        assert pushed == list(range(2, 2 + len(pushed)))
        assert len(pushed) < LINES
        position = pushed[-1]
        while position < head:
            asked = History(
                slow.next_request(), scene.conversation, 0, position, 512, limits.MAX_PAGE_BYTES
            )
            page = slow.call(asked, HistoryPage)
            seqs = [entry.seq for entry in page.entries]
            assert seqs == list(range(position + 1, position + 1 + len(seqs)))
            position = seqs[-1]
        scene.say(b"in step again")
        assert slow.expect(Event).entry.seq == head + 1


ODD_BODIES = [b"", b"\x00", b"\xff" * 100, b"\x1b]0;title\x07", bytes(limits.MAX_BODY_BYTES)]
LONGEST_HEADER = encode_header(
    ClearHeader(notify=2, notify_users=tuple(f"{n:064}" for n in range(limits.MAX_HEADER_USERS)))
)


def test_odd_entries_leave_sync_and_paging_alive(scene: Scene) -> None:
    for body in ODD_BODIES:
        scene.say(body)
    scene.say(b"long header", LONGEST_HEADER)
    target = scene.say(b"never mind").seq
    scene.say(b"", encode_header(ClearHeader(Kind.DELETION, target)))
    scene.say(b"", encode_header(ClearHeader(Kind.DELETION, target)))  # what is gone already
    head = target + 2
    with Caller(scene.server.port) as fresh:
        fresh.enrol(Credential(scene.juliet_credential.user))
        (shown,) = fresh.sync().heads
        assert shown.head == head
        for most in ((1, 1), (3, 60_000), (512, limits.MAX_PAGE_BYTES)):
            for direction, position in ((0, 0), (1, head + 1)):
                seqs = read_all(fresh, scene.conversation, direction, position, *most)
                assert seqs == list(range(1, head + 1))


def read_all(
    caller: Caller, cid: bytes, direction: int, position: int, max_entries: int, max_bytes: int
) -> list[int]:
    """Page through a whole conversation and return every seq, in order."""
    seqs: list[int] = []
    while True:
        asked = History(caller.next_request(), cid, direction, position, max_entries, max_bytes)
        page = caller.call(asked, HistoryPage)
        found = [entry.seq for entry in page.entries]
        seqs = seqs + found if direction == 0 else found + seqs
        if not page.more:
            return seqs
        position = found[-1] if direction == 0 else found[0]


@pytest.mark.parametrize("peer_first", [False, True])
def test_conversation_begun_by_both_at_once_is_one(server: ServerProcess, peer_first: bool) -> None:
    names = f"lear{peer_first:d}", f"fool{peer_first:d}"
    with Caller(server.port) as lear, Caller(server.port) as fool:
        callers = [lear, fool]
        for caller, name in zip(callers, names, strict=True):
            caller.register(Credential(name))
            caller.sync()
        cid = direct_id(*names)
        order = [1, 0] if peer_first else [0, 1]
        for at in order:
            message_id = bytes(15) + bytes((at,))
            callers[at].send(Send(5, cid, 1, message_id, PLAIN, b"x", names[1 - at]))
        assert sorted(callers[at].expect(Sent).seq for at in order) == [1, 2]
