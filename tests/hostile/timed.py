"""chatd as it is, with a stopwatch at the doors by which bytes and batches enter its loop.

Started by ``python -m tests.hostile`` in a process of its own, never by the suite. What is counted
is the processor time of the loop's thread, so that other processes on the machine change little.
"""

import json
import sys
from collections.abc import Callable
from time import thread_time_ns
from typing import ParamSpec, TypeVar

from chatd.__main__ import main
from chatd.committer import Committer
from chatd.hub import Hub
from chatd.transport import Peer

P = ParamSpec("P")
R = TypeVar("R")

DOORS: tuple[tuple[type, str], ...] = (
    (Peer, "buffer_updated"),
    (Peer, "release"),
    (Peer, "go_on"),
    (Committer, "_begin"),
    (Committer, "_publish"),
    (Hub, "_flush"),
    (Hub, "_sweep_slice"),
)
worst_us: dict[str, int] = {}
"""The longest single call of each door."""


def timed(name: str, function: Callable[P, R]) -> Callable[P, R]:
    """Measure every call."""

    def measured(*args: P.args, **kwargs: P.kwargs) -> R:
        begin_ns = thread_time_ns()
        try:
            return function(*args, **kwargs)
        finally:
            spent_us = (thread_time_ns() - begin_ns) // 1_000
            if spent_us > worst_us.get(name, 0):
                worst_us[name] = spent_us

    return measured


if __name__ == "__main__":
    for owner, name in DOORS:
        if hasattr(owner, name):
            setattr(owner, name, timed(name, getattr(owner, name)))
    try:
        main()
    finally:
        print("WORST " + json.dumps(worst_us), file=sys.stderr, flush=True)
