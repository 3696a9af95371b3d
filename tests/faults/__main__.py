"""Prove the promises: ``python -m tests.faults NAME [options]``; without a name, every scenario.

Prints what was found, and exits 1 if anything that was promised did not hold.
"""

import argparse
import json
import secrets
import sys

from tests.faults import kill, power
from tests.faults.scenario import Options, Outcome, Scenario, ScenarioFailed
from tests.server_process import ServerFailed

SCENARIOS: dict[str, Scenario] = {"kill": kill.run, "power": power.run}
MAX_ROUNDS = 10_000


def parser() -> argparse.ArgumentParser:
    """Return the command line."""
    top = argparse.ArgumentParser(prog="python -m tests.faults", description=__doc__)
    top.add_argument("name", nargs="?", choices=SCENARIOS, help="default: all of them")
    top.add_argument("--rounds", type=int, default=100)
    top.add_argument("--seed", type=int, help="of every random choice; default: a new one")
    top.add_argument(
        "--minimum-acknowledged", type=int, help="fewer prove nothing; default: 200 a round"
    )
    top.add_argument("--json", action="store_true", help="one JSON object a scenario")
    return top


def _show(name: str, outcome: Outcome, options: Options, *, passed: bool, as_json: bool) -> None:
    figures = {
        "scenario": name,
        "passed": passed,
        "rounds": options.rounds,
        "seed": options.seed,
        **outcome.figures(),
    }
    if as_json:
        print(json.dumps(figures))
    else:
        print(", ".join(f"{key} {value}" for key, value in figures.items()))
    for line in outcome.verdict.evidence:
        print(f"  {line}", file=sys.stderr)


def main(words: list[str]) -> int:
    """Run the scenarios; 0 if every promise held."""
    arguments = parser().parse_args(words)
    if not 1 <= arguments.rounds <= MAX_ROUNDS:
        parser().error(f"--rounds: from 1 to {MAX_ROUNDS}")
    seed = secrets.randbits(32) if arguments.seed is None else arguments.seed
    minimum = arguments.minimum_acknowledged
    minimum = 200 * arguments.rounds if minimum is None else minimum
    options = Options(arguments.rounds, seed, minimum)
    all_passed = True
    for name in [arguments.name] if arguments.name else SCENARIOS:
        try:
            outcome = SCENARIOS[name](options)
        except (ScenarioFailed, ServerFailed) as error:
            print(f"{name}, seed {seed}: {error}", file=sys.stderr)
            return 1
        passed = outcome.verdict.clean and outcome.verdict.acknowledged >= minimum
        _show(name, outcome, options, passed=passed, as_json=arguments.json)
        all_passed = all_passed and passed
    return 0 if all_passed else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
