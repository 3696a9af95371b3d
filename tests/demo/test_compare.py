"""The judgement finds what it is there to find: here it is shown histories that are wrong."""

from collections.abc import Callable

import pytest

from tests.demo.compare import Judgement, Spoken, judge
from tests.e2e.chat_process import Row

SPOKEN = [
    Spoken(f"{seq:032x}", seq, ("romeo", "juliet")[seq % 2], f"line {seq}") for seq in range(1, 6)
]


def history() -> list[Row]:
    return [{"id": s.message_id, "seq": s.seq, "from": s.sender, "text": s.text} for s in SPOKEN]


def judged(change: Callable[[list[Row]], object]) -> Judgement:
    rows = history()
    change(rows)
    return judge(SPOKEN, {"laptop": history(), "phone": rows})


def test_judge_finds_nothing_in_equal_histories() -> None:
    judgement = judge(SPOKEN, {"laptop": history(), "phone": history()})
    assert judgement.clean
    assert str(judgement) == "acknowledged 5, lost 0, duplicated 0, reordered 0"


def test_judge_counts_a_message_that_is_missing() -> None:
    judgement = judged(lambda rows: rows.pop())
    assert (judgement.lost, judgement.clean) == (1, False)


def test_judge_counts_a_message_that_is_there_twice() -> None:
    judgement = judged(lambda rows: rows.append(rows[-1] | {"seq": 6}))
    assert (judgement.duplicated, judgement.clean) == (1, False)


def test_judge_counts_a_message_that_was_acknowledged_at_two_places() -> None:
    twice = [*SPOKEN, Spoken(SPOKEN[-1].message_id, 6, "juliet", "line 5")]
    judgement = judge(twice, {"laptop": history()})
    assert (judgement.acknowledged, judgement.duplicated, judgement.clean) == (5, 1, False)


def test_judge_counts_messages_that_changed_places() -> None:
    def swap(rows: list[Row]) -> None:
        rows[1]["id"], rows[2]["id"] = rows[2]["id"], rows[1]["id"]

    judgement = judged(swap)
    assert judgement.reordered >= 1
    assert not judgement.clean


@pytest.mark.parametrize(
    "change",
    [
        {"seq": 9},
        {"from": "mercutio"},
        {"text": "line 0"},
        {"id": "ff" * 16},
    ],
    ids=lambda change: next(iter(change)),
)
def test_judge_tells_any_other_difference(change: Row) -> None:
    judgement = judged(lambda rows: rows[2].update(change))
    assert not judgement.clean
    assert judgement.differences[0].startswith("phone: ")
