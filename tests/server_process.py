"""A server in a process of its own: started, watched, killed. Never left behind, for it dies with
the thread that started it, however that ends.

The folder holds its configuration, its data and what it wrote to standard error.
"""

import ctypes
import os
import random
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

ROOT = Path(__file__).resolve().parent.parent
READY_S = 20.0
"""A server that accepts no connection within that has failed."""

Value = int | bool | str
OPEN_LIMITS: dict[str, Value] = {
    "accounts.registration": "open",
    "limits.sends_per_second": 1_000_000,
    "limits.sends_burst": 1_000_000,
    "limits.requests_per_second": 1_000_000,
    "limits.requests_burst": 1_000_000,
    "limits.acks_per_second": 1_000_000,
    "limits.acks_burst": 1_000_000,
    "limits.max_unauthenticated": 20_000,
    "limits.max_unauthenticated_per_address": 20_000,
}
"""Settings for load: what is measured is the server, not its rate limits."""


class ServerFailed(Exception):
    """It ended, or did not start; holds the end of what it wrote."""


def free_port() -> int:
    """Return a loopback port that nobody listens on now.

    It lies below the ports that outgoing connections get (32768 and up on Linux): a client that
    retries while the server is down could otherwise be given the server's own port.
    """
    while True:
        port = random.SystemRandom().randrange(20_000, 32_000)
        try:
            socket.create_server(("127.0.0.1", port)).close()
        except OSError:
            continue
        return port


def write_config(folder: Path, port: int, settings: Mapping[str, Value]) -> Path:
    """Write ``chatd.toml`` with ``settings``, each ``section.key``, and return its path."""
    sections: dict[str, dict[str, str]] = {
        "server": {
            "data_dir": _toml(str(folder / "data")),
            "listen": f'["127.0.0.1:{port}"]',
            "public_address": _toml(f"127.0.0.1:{port}"),
        },
        "log": {"format": '"json"'},
    }
    for name, value in settings.items():
        section, key = name.split(".")
        sections.setdefault(section, {})[key] = _toml(value)
    path = folder / "chatd.toml"
    lines = [
        line
        for section, keys in sections.items()
        for line in (f"[{section}]", *(f"{key} = {value}" for key, value in keys.items()), "")
    ]
    path.write_text("\n".join(lines), "utf-8")
    return path


def _toml(value: Value) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value) if isinstance(value, int) else f'"{value}"'


_libc = ctypes.CDLL(None)
_PR_SET_PDEATHSIG = 1  # prctl(2), Linux


def _die_with_parent() -> None:
    _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


class ServerProcess:
    """One server, restarted on the same port and folder as often as needed."""

    def __init__(
        self,
        folder: Path,
        *,
        settings: Mapping[str, Value] | None = None,
        core: int | None = None,
        program: str = "chatd",
        module: tuple[str, ...] = (),
    ) -> None:
        """Prepare; nothing is started.

        Args:
            folder: An existing folder, the server's alone.
            settings: ``section.key`` and value, beside the port and the data folder.
            core: The only core that the process may use.
            program: A module that takes the arguments of ``chatd``.
            module: Instead of chatd: a module and its arguments, ``--port N --folder DIR`` behind.
        """
        self.port = free_port()
        self.folder = folder
        self._core = core
        self._log = folder / "server.log"
        self._process: subprocess.Popen[bytes] | None = None
        if module:
            self._arguments = ["-m", *module, "--port", str(self.port), "--folder", str(folder)]
        else:
            config = write_config(folder, self.port, settings or {})
            self._arguments = ["-m", program, "run", "--config", str(config)]

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.kill()

    @property
    def pid(self) -> int:
        """The process that runs now."""
        assert self._process is not None
        return self._process.pid

    @property
    def running(self) -> bool:
        """Whether it has neither ended nor been killed."""
        return self._process is not None and self._process.poll() is None

    def launch(self) -> None:
        """Start the process and return at once."""
        assert not self.running
        allowed = os.sched_getaffinity(0)
        if self._core is not None:
            os.sched_setaffinity(0, {self._core})  # a child inherits it from its first instruction
        try:
            with self._log.open("ab") as log:
                self._process = subprocess.Popen(
                    [sys.executable, *self._arguments], cwd=ROOT, stdin=subprocess.DEVNULL,
                    stdout=log, stderr=log, start_new_session=True, preexec_fn=_die_with_parent,
                )  # fmt: skip
        finally:
            os.sched_setaffinity(0, allowed)

    def start(self) -> None:
        """Start it and wait until it takes connections.

        Raises:
            ServerFailed: It ended, or did not come up in time.
        """
        self.launch()
        self.wait_ready()

    def wait_ready(self) -> None:
        """Wait until it takes connections."""
        deadline = time.monotonic() + READY_S
        while time.monotonic() < deadline:
            if not self.running:
                raise ServerFailed(f"ended while starting:\n{self.log_tail()}")
            try:
                socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
            except OSError:
                time.sleep(0.01)
                continue
            return
        raise ServerFailed(f"not up within {READY_S} s:\n{self.log_tail()}")

    def kill(self) -> None:
        """SIGKILL, and wait for the end. Harmless if it has ended."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def stop(self, timeout_s: float = 10.0) -> int:
        """SIGTERM, and return the exit code.

        Raises:
            ServerFailed: It was still there after the time.
        """
        assert self._process is not None
        self._process.send_signal(signal.SIGTERM)
        try:
            return self._process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            raise ServerFailed(f"still there {timeout_s} s after SIGTERM") from None

    def log_text(self) -> str:
        """Return all that it wrote."""
        return self._log.read_text("utf-8", "replace")

    def log_tail(self) -> str:
        """Return the end of what it wrote."""
        return self.log_text()[-4_000:]

    def cpu_s(self) -> float:
        """Return the processor time of all its threads, user and system, in seconds."""
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def memory_kib(self) -> dict[str, int]:
        """Return ``Rss`` and ``Pss`` from /proc, in KiB."""
        text = Path(f"/proc/{self.pid}/smaps_rollup").read_text()
        rows = (line.split() for line in text.splitlines()[1:])
        return {row[0][:-1]: int(row[1]) for row in rows if row[0] in ("Rss:", "Pss:")}
