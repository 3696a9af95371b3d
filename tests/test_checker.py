"""The judge is judged: a good history passes, and each rule finds the one lie told against it."""

from collections.abc import Callable
from hashlib import sha256
from itertools import count

import pytest

from protocol.derive import chain_next, direct_id
from tests.checker import (
    Acked,
    Acknowledged,
    Device,
    Entry,
    Head,
    Pushed,
    Record,
    Refused,
    Session,
    Started,
    Taken,
    Verdict,
    Watermark,
    check,
)

ROMEO, JULIET, TABLET = Device("romeo", 1), Device("juliet", 1), Device("juliet", 2)
BALCONY = direct_id("romeo", "juliet")
HEADER = b"\x90"
UNWRITTEN = b"\xee" * 16


class Play:
    """Writes a history as honest clients of an honest server would."""

    def __init__(self) -> None:
        self.records: list[Record] = []
        self.entries: list[Entry] = []
        self._chain = BALCONY
        self._n: dict[Device, int] = {}
        self._ids = (number.to_bytes(16, "big") for number in count(1))
        for device in (ROMEO, JULIET, TABLET):
            self.records.append(Session(device))

    def start(self, device: Device) -> Started:
        n = self._n[device] = self._n.get(device, 0) + 1
        message_id = next(self._ids)
        started = Started(device, BALCONY, n, message_id, HEADER, sha256(message_id).digest())
        self.records.append(started)
        return started

    def store(self, send: Started) -> Entry:
        seq = len(self.entries) + 1
        entry = Entry(seq, send.device, send.n, send.message_id, send.header, send.body_hash)
        self._chain = chain_next(
            self._chain, seq, *send.device, send.n, send.header, send.message_id, send.body_hash
        )
        self.entries.append(entry)
        return entry

    def say(self, device: Device) -> Entry:
        send = self.start(device)
        entry = self.store(send)
        self.records.append(Acked(device, BALCONY, send.n, send.message_id, entry.seq, self._chain))
        for reader in (ROMEO, JULIET, TABLET):
            if reader != device:
                self.records.append(Pushed(reader, BALCONY, entry.seq))
            self.records.append(Taken(reader, BALCONY, entry))
            self.records.append(Acknowledged(reader, BALCONY, entry.seq))
        self.records.append(Watermark(ROMEO, BALCONY, "juliet", entry.seq, 0, True))
        return entry


def dialogue(lines: int = 6) -> Play:
    play = Play()
    for line in range(lines):
        play.say((ROMEO, JULIET, TABLET)[line % 3])
    return play


def doctored(change: Callable[[Play], None]) -> Verdict:
    play = dialogue()
    change(play)
    return check(play.records)


def findings(verdict: Verdict) -> dict[str, int]:
    names = ("lost", "duplicated", "reordered", "gaps", "regressions", "conflicts")
    return {name: getattr(verdict, name) for name in names if getattr(verdict, name)}


def without(play: Play, *classes: type, seq: int) -> None:
    """Strike an entry out of every reader's copy."""

    def keeps(record: Record) -> bool:
        if isinstance(record, Taken) and Taken in classes:
            return record.entry.seq != seq
        return not (isinstance(record, Pushed) and Pushed in classes and record.seq == seq)

    play.records = [record for record in play.records if keeps(record)]


def test_checker_passes_a_good_history() -> None:
    verdict = check(dialogue(30).records)
    assert (verdict.acknowledged, verdict.unknown, verdict.evidence) == (30, 0, [])
    assert verdict.clean


def test_checker_accepts_unknown_sends_whether_stored_or_not() -> None:
    play = dialogue()
    stored = play.store(play.start(ROMEO))
    for reader in (ROMEO, JULIET, TABLET):
        play.records.append(Taken(reader, BALCONY, stored))
    play.start(JULIET)
    verdict = check(play.records)
    assert verdict.clean, verdict.evidence
    assert verdict.unknown == 2


def test_checker_accepts_a_refused_send_whose_n_is_used_again() -> None:
    play = dialogue()
    send = play.start(ROMEO)
    play.records.append(Refused(ROMEO, BALCONY, send.n, send.message_id, 37))
    play._n[ROMEO] -= 1
    play.say(ROMEO)
    assert check(play.records).clean


def test_checker_accepts_a_reader_who_began_late_and_one_who_is_behind() -> None:
    play = dialogue()
    phone = Device("romeo", 2)
    play.records += [Session(phone), *(Taken(phone, BALCONY, e) for e in play.entries[3:5])]
    assert check(play.records).clean


def test_checker_accepts_a_sync_page_older_than_a_push_of_the_same_session() -> None:
    play = dialogue()
    play.records.append(Session(JULIET))
    play.say(ROMEO)
    play.records.append(Head(JULIET, BALCONY, 6, 6, 2))
    assert check(play.records).clean


def test_checker_accepts_the_same_push_in_a_new_session() -> None:
    play = dialogue()
    play.records += [Session(JULIET), Pushed(JULIET, BALCONY, 5)]
    assert check(play.records).clean


def lose_the_last(play: Play) -> None:
    without(play, Taken, Pushed, seq=6)


def double_a_message(play: Play) -> None:
    first = play.entries[0]
    for reader in (ROMEO, JULIET, TABLET):
        play.records.append(Taken(reader, BALCONY, first._replace(seq=7)))


def answer_twice(play: Play) -> None:
    first = play.entries[0]
    play.records.append(Acked(ROMEO, BALCONY, first.n, first.message_id, 4))


def push_twice(play: Play) -> None:
    play.records.append(Pushed(JULIET, BALCONY, 5 + 1))
    play.records.append(Pushed(JULIET, BALCONY, 6))


def push_backwards(play: Play) -> None:
    play.records += [Session(TABLET), Pushed(TABLET, BALCONY, 5), Pushed(TABLET, BALCONY, 4)]


def order_against_the_clients(play: Play) -> None:
    # Two sends, one behind the other's acknowledgement, stand the other way round.
    one, two = play.start(ROMEO), play.start(JULIET)
    later, earlier = play.store(two), play.store(one)
    play.records.append(Acked(ROMEO, BALCONY, one.n, one.message_id, earlier.seq))
    play.records.remove(two)
    play.records.append(two)
    play.records.append(Acked(JULIET, BALCONY, two.n, two.message_id, later.seq))
    for entry in (later, earlier):
        play.records += [Taken(reader, BALCONY, entry) for reader in (ROMEO, JULIET, TABLET)]


def swap_one_device(play: Play) -> None:
    one, two = play.start(ROMEO), play.start(ROMEO)
    for entry in (play.store(two), play.store(one)):
        play.records += [Taken(reader, BALCONY, entry) for reader in (ROMEO, JULIET, TABLET)]


def skip_an_n(play: Play) -> None:
    play.start(ROMEO)
    entry = play.store(play.start(ROMEO))
    play.records += [Taken(reader, BALCONY, entry) for reader in (ROMEO, JULIET, TABLET)]


def skip_a_place_for_one_reader(play: Play) -> None:
    play.records = [
        r
        for r in play.records
        if not (isinstance(r, Taken) and r.device == TABLET and r.entry.seq == 3)
    ]


def skip_a_place_for_all(play: Play) -> None:
    send = play.start(ROMEO)
    entry = play.store(send)._replace(seq=8)
    for reader in (Device("romeo", 2), Device("juliet", 3)):
        play.records.append(Taken(reader, BALCONY, entry))


def show_two_lists(play: Play) -> None:
    for record in play.records:
        if isinstance(record, Taken) and record.device == TABLET and record.entry.seq == 4:
            record.entry = record.entry._replace(body_hash=bytes(32))


def invent_an_entry(play: Play) -> None:
    entry = Entry(7, Device("mercutio", 1), 1, UNWRITTEN, HEADER, bytes(32))
    play.records += [Taken(reader, BALCONY, entry) for reader in (ROMEO, JULIET, TABLET)]


def store_a_refused_send(play: Play) -> None:
    send = play.start(ROMEO)
    entry = play.store(send)
    play.records.append(Refused(ROMEO, BALCONY, send.n, send.message_id, 37))
    play.records += [Taken(reader, BALCONY, entry) for reader in (ROMEO, JULIET, TABLET)]


def answer_what_was_not_asked(play: Play) -> None:
    play.records.append(Acked(ROMEO, BALCONY, 9, UNWRITTEN, 6))


def forge_a_chain_value(play: Play) -> None:
    for record in play.records:
        if isinstance(record, Acked) and record.seq == 2:
            record.chain = bytes(32)


def shorten_the_list(play: Play) -> None:
    play.records += [Session(JULIET), Head(JULIET, BALCONY, 5, 5, 2)]


def take_a_cursor_back(play: Play) -> None:
    play.records += [Head(JULIET, BALCONY, 6, 6, 2), Session(JULIET)]
    play.records.append(Head(JULIET, BALCONY, 6, 5, 2))


def forget_the_last_n(play: Play) -> None:
    play.records += [Session(JULIET), Head(JULIET, BALCONY, 6, 6, 1)]


def take_a_watermark_back(play: Play) -> None:
    play.records.append(Watermark(ROMEO, BALCONY, "juliet", 5, 0, True))


def take_a_watermark_back_in_a_crash(play: Play) -> None:
    play.records += [Session(ROMEO), Watermark(ROMEO, BALCONY, "juliet", 5, 0, False)]


def read_what_was_not_delivered(play: Play) -> None:
    play.records.append(Watermark(ROMEO, BALCONY, "juliet", 6, 7, False))


def confirm_what_nobody_has(play: Play) -> None:
    send = play.start(ROMEO)
    entry = play.store(send)
    play.records.append(Watermark(ROMEO, BALCONY, "juliet", entry.seq, 0, True))
    play.records += [Taken(reader, BALCONY, entry) for reader in (ROMEO, JULIET, TABLET)]


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (lose_the_last, {"lost": 1}),
        (double_a_message, {"duplicated": 1}),
        (answer_twice, {"duplicated": 1}),
        (push_twice, {"duplicated": 2}),
        (push_backwards, {"reordered": 1}),
        (order_against_the_clients, {"reordered": 1}),
        (swap_one_device, {"gaps": 1, "reordered": 1}),
        (skip_an_n, {"gaps": 1}),
        (skip_a_place_for_one_reader, {"gaps": 1}),
        (skip_a_place_for_all, {"gaps": 1}),
        (show_two_lists, {"conflicts": 1}),
        (invent_an_entry, {"conflicts": 1}),
        (store_a_refused_send, {"conflicts": 1}),
        (answer_what_was_not_asked, {"conflicts": 1}),
        (forge_a_chain_value, {"conflicts": 1}),
        (shorten_the_list, {"lost": 1}),
        (take_a_cursor_back, {"regressions": 1}),
        (forget_the_last_n, {"lost": 1}),
        (take_a_watermark_back, {"regressions": 1}),
        (take_a_watermark_back_in_a_crash, {"regressions": 1}),
        (read_what_was_not_delivered, {"regressions": 1}),
        (confirm_what_nobody_has, {"regressions": 1}),
    ],
    ids=lambda value: value.__name__ if callable(value) else "",
)
def test_checker_finds_the_lie(change: Callable[[Play], None], expected: dict[str, int]) -> None:
    verdict = doctored(change)
    assert findings(verdict) == expected, verdict.evidence
    assert not verdict.clean
    assert len(verdict.evidence) == sum(expected.values())


def test_checker_bounds_its_evidence() -> None:
    play = dialogue()
    for _ in range(100):
        push_twice(play)
    verdict = check(play.records)
    assert verdict.duplicated == 200
    assert len(verdict.evidence) == 40
