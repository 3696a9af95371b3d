"""What every scenario takes and gives."""

from collections.abc import Callable
from dataclasses import asdict, dataclass, field

from tests.checker import Verdict


class ScenarioFailed(Exception):
    """The scenario could not be carried through; what it proved until then does not count."""


@dataclass(frozen=True, slots=True)
class Options:
    """What the caller chooses."""

    rounds: int
    seed: int
    minimum_acknowledged: int


@dataclass(slots=True)
class Outcome:
    """What is printed."""

    verdict: Verdict
    details: dict[str, float | int] = field(default_factory=dict)

    def figures(self) -> dict[str, object]:
        """Return everything but the evidence."""
        figures = asdict(self.verdict)
        del figures["evidence"]
        return {**figures, **self.details}


Scenario = Callable[[Options], Outcome]
