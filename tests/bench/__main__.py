"""Measure a server: ``python -m tests.bench NAME [options]``; without a name, all, briefly.

Each run starts its own server on loopback, with TLS and ``synchronous=FULL``, alone on one core;
the load runs on another. It stops by itself and leaves nothing behind.
"""

import argparse
import sys
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

from tests.bench import idle
from tests.bench.figures import Figures, show, summarise
from tests.bench.pairs import RING, Pairs
from tests.bench.pool import LoadFailed
from tests.bench.reconnect import Reconnect
from tests.bench.run import MAX_CONNECTIONS, between, profiled, raise_file_limit, started_server
from tests.server_process import ServerFailed

WARM_UP_S = 2.0


def run_pairs(arguments: argparse.Namespace) -> Figures:
    """Run the workload ``pairs``, and the bare relay in turns with it if asked."""
    with ExitStack() as stack:

        def prepare(relay: bool) -> Pairs:
            server = stack.enter_context(started_server(relay=relay))
            pairs = Pairs(server, arguments.pairs, arguments.in_flight, arguments.body)
            stack.callback(pairs.close)
            pairs.round(min(WARM_UP_S, arguments.seconds))
            return pairs

        ours, limit = prepare(False), prepare(True) if arguments.relay else None
        rounds = []
        for _ in range(arguments.rounds):
            rounds.append(ours.round(arguments.seconds))
            if limit is not None:
                bare = limit.round(arguments.seconds)
                for name in ("messages_per_second", "server_cpu_us_per_message"):
                    rounds[-1][f"relay_{name}"] = bare[name]
                share = rounds[-1]["messages_per_second"] / bare["messages_per_second"]
                rounds[-1]["share_of_limit"] = share
                # The same from processor time alone, which a busy disk or machine hardly moves.
                ours_us = rounds[-1]["server_cpu_us_per_message"]
                rounds[-1]["share_of_limit_by_cpu"] = bare["server_cpu_us_per_message"] / ours_us
        if arguments.profile:
            with profiled(ours.server, arguments.profile, arguments.seconds):
                ours.round(arguments.seconds)
    return {
        "pairs": arguments.pairs,
        "in_flight": arguments.in_flight,
        "body_bytes": arguments.body,
        "rounds": arguments.rounds,
        **summarise(rounds),
    }


def run_idle(arguments: argparse.Namespace) -> Figures:
    """Run the workload ``idle``."""
    raise_file_limit(arguments.connections + 1_000)
    with started_server() as server:
        return summarise([idle.measure(server, arguments.connections)])


def run_reconnect(arguments: argparse.Namespace) -> Figures:
    """Run the workload ``reconnect``."""
    with started_server() as server:
        workload = Reconnect(server, arguments.devices)
        rounds = [workload.round(arguments.seconds) for _ in range(arguments.rounds)]
        if arguments.profile:
            with profiled(server, arguments.profile, arguments.seconds):
                workload.round(arguments.seconds)
    return {"devices": arguments.devices, "rounds": arguments.rounds, **summarise(rounds)}


WORKLOADS: dict[str, Callable[[argparse.Namespace], Figures]] = {
    "pairs": run_pairs,
    "idle": run_idle,
    "reconnect": run_reconnect,
}


def parser() -> argparse.ArgumentParser:
    """Return the command line."""
    top = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    names = top.add_subparsers(dest="name", metavar="NAME")
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument("--json", action="store_true", help="print one JSON object")
    timed = argparse.ArgumentParser(add_help=False)
    timed.add_argument("--rounds", type=between(1, 100), default=5)
    timed.add_argument("--seconds", type=between(1, 60), default=3, help="of each round")
    timed.add_argument(
        "--profile", type=Path, help="record the server in one more round: .svg, .json or raw"
    )
    pairs = names.add_parser("pairs", parents=[common, timed], help="two talk: send to receipt")
    pairs.add_argument("--pairs", type=between(1, 1_000), default=50)
    pairs.add_argument("--in-flight", type=between(1, RING // 2), default=1, help="a sender")
    pairs.add_argument("--body", type=between(1, 60_000), default=100, help="bytes a message")
    pairs.add_argument("--relay", action="store_true", help="measure a bare relay in turns")
    idling = names.add_parser("idle", parents=[common], help="memory of a connection")
    idling.add_argument("--connections", type=between(2, MAX_CONNECTIONS), default=5_000)
    back = names.add_parser("reconnect", parents=[common, timed], help="logins by key")
    back.add_argument("--devices", type=between(1, 10_000), default=100)
    return top


ALL = (
    ("pairs", "--relay", "--rounds", "3"),
    ("pairs", "--relay", "--rounds", "3", "--in-flight", "8"),
    ("reconnect", "--rounds", "3"),
    ("idle", "--connections", "2000"),
)
"""What runs without a name."""


def main(words: list[str]) -> int:
    """Run what was asked for; 1 if a load failed."""
    runs = [words] if words else [list(line) for line in ALL]
    for line in runs:
        arguments = parser().parse_args(line)
        try:
            figures = WORKLOADS[arguments.name](arguments)
        except (LoadFailed, ServerFailed) as error:
            print(f"{arguments.name}: {error}", file=sys.stderr)
            return 1
        show(arguments.name, figures, as_json=arguments.json)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
