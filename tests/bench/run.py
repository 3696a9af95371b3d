"""Where a workload runs: the server on one core, the load on another, a profile if asked."""

import argparse
import os
import resource
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.server_process import OPEN_LIMITS, ServerProcess, Value

MAX_CONNECTIONS = 15_000
RELAY = ("tests.bench.relay",)
SETTINGS: dict[str, Value] = {
    **OPEN_LIMITS,
    "limits.keepalive_ms": 3_600_000,  # connections wait silently while others are set up
    "log.level": "warning",
}


def cores() -> tuple[int, int]:
    """Return the server's core and the load's: two different ones if there are two."""
    allowed = sorted(os.sched_getaffinity(0))
    return allowed[0], allowed[-1]


@contextmanager
def started_server(*, relay: bool = False) -> Iterator[ServerProcess]:
    """Run a server, alone on its core, in a folder of its own; this process leaves that core."""
    server_core, load_core = cores()
    with TemporaryDirectory(prefix="chatd-bench-") as name:
        server = ServerProcess(
            Path(name), settings=SETTINGS, core=server_core, module=RELAY if relay else ()
        )
        allowed = os.sched_getaffinity(0)
        with server:
            os.sched_setaffinity(0, {load_core})
            try:
                yield server
            finally:
                os.sched_setaffinity(0, allowed)


def raise_file_limit(files: int) -> None:
    """Allow so many open files here and in the processes started from here.

    Raises:
        SystemExit: The system does not allow it.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft >= files:
        return
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (files, max(files, hard)))
    except (ValueError, OSError):
        sys.exit(f"{files} open files are needed; raise the limit (ulimit -n) from {soft}")


@contextmanager
def profiled(server: ServerProcess, path: Path | None, seconds: float) -> Iterator[None]:
    """Record the server with py-spy meanwhile.

    The file's ending chooses the format: .svg a flame graph, .json speedscope, else raw stacks.
    """
    if path is None:
        yield
        return
    if shutil.which("py-spy") is None:
        sys.exit("--profile needs py-spy: pip install -e '.[bench]'")
    kind = {".svg": "flamegraph", ".json": "speedscope"}.get(path.suffix, "raw")
    recorder = subprocess.Popen(
        ["py-spy", "record", "--pid", str(server.pid), "--duration", str(max(1, round(seconds))),
         "--rate", "500", "--format", kind, "--output", str(path)],
        stdout=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        yield
        recorder.wait(30)
    finally:
        recorder.kill()
        recorder.wait()


def between(low: int, high: int) -> Callable[[str], int]:
    """Return an argparse type: an integer from ``low`` to ``high``."""

    def integer(text: str) -> int:
        value = int(text)
        if not low <= value <= high:
            raise argparse.ArgumentTypeError(f"{value} is not from {low} to {high}")
        return value

    return integer
