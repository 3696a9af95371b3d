"""The judgement: what senders were told against what every device can read.

A message counts as acknowledged when its sender's own process printed its place. Then, on every
device: it is there once, at that place, from that sender, with that text; places are 1, 2, 3 …
without gaps; and one that was said after another was acknowledged stands behind it.
"""

from collections import Counter
from dataclasses import dataclass, field
from itertools import pairwise

from tests.e2e.chat_process import Row

MAX_SHOWN = 20
"""Differences that are written out: the first ones tell what went wrong."""


@dataclass(frozen=True, slots=True)
class Spoken:
    """One message that was acknowledged, in the order in which they were said."""

    message_id: str
    seq: int
    sender: str
    text: str


@dataclass(slots=True)
class Judgement:
    """The figures, summed over all devices, and whatever else is not as it should be."""

    acknowledged: int = 0
    lost: int = 0
    duplicated: int = 0
    reordered: int = 0
    differences: list[str] = field(default_factory=list)

    @property
    def clean(self) -> bool:
        """Whether nothing at all differs."""
        return not (self.lost or self.duplicated or self.reordered or self.differences)

    def __str__(self) -> str:
        return (
            f"acknowledged {self.acknowledged}, lost {self.lost}, "
            f"duplicated {self.duplicated}, reordered {self.reordered}"
        )


def judge(spoken: list[Spoken], histories: dict[str, list[Row]]) -> Judgement:
    """Compare every device's history with what was acknowledged.

    Args:
        spoken: In the order said; each was acknowledged before the next speech began.
        histories: For each device, its ``message`` rows.
    """
    ids = [message.message_id for message in spoken]
    judgement = Judgement(acknowledged=len(set(ids)), duplicated=len(ids) - len(set(ids)))
    for device, rows in histories.items():
        _judge_one(judgement, device, rows, spoken)
    return judgement


def _judge_one(judgement: Judgement, device: str, rows: list[Row], spoken: list[Spoken]) -> None:
    def differs(what: str) -> None:
        judgement.differences.append(f"{device}: {what}")

    order = {message.message_id: index for index, message in enumerate(spoken)}
    count = Counter(row["id"] for row in rows)
    judgement.lost += sum(message.message_id not in count for message in spoken)
    judgement.duplicated += sum(times - 1 for times in count.values())
    indices = [order[row["id"]] for row in rows if row["id"] in order]
    judgement.reordered += sum(later < earlier for earlier, later in pairwise(indices))
    for place, row in enumerate(rows, 1):
        index = order.get(row["id"])
        if row["seq"] != place:
            differs(f"row {place} has seq {row['seq']}")
        if index is None:
            differs(f"seq {row['seq']} was acknowledged to nobody: {row['text']!r}")
            continue
        said = spoken[index]
        if row["seq"] != said.seq:
            judgement.reordered += 1
            differs(f"{said.text!r} was acknowledged at {said.seq} and is at {row['seq']}")
        if (row["from"], row["text"]) != (said.sender, said.text):
            differs(f"seq {row['seq']} is {row['text']!r} from {row['from']}, not {said}")
