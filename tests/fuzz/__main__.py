"""Run the fuzzer and print what it saw; exit 1 if anything but a documented error came up."""

import argparse
import json
import sys
from time import perf_counter

from tests.fuzz.run import run


def main() -> int:
    """Parse the arguments, run, print."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--frames", type=int, default=100_000, help="inputs to feed")
    parser.add_argument("--seed", type=int, default=1, help="the same seed gives the same inputs")
    parser.add_argument("--json", action="store_true", help="one JSON object on one line")
    arguments = parser.parse_args()
    begin_s = perf_counter()
    report = run(arguments.frames, arguments.seed)
    elapsed_s = perf_counter() - begin_s
    figures = {
        "frames": report.frames,
        "seed": arguments.seed,
        "frames_per_second": round(report.frames / elapsed_s),
        "unhandled": report.unhandled,
        "outcomes": dict(sorted(report.outcomes.items())),
    }
    if arguments.json:
        print(json.dumps(figures))
    else:
        for name, value in figures.items():
            print(f"{name}: {value}")
    for finding in report.findings:
        print(finding, file=sys.stderr)
    return 1 if report.unhandled else 0


if __name__ == "__main__":
    sys.exit(main())
