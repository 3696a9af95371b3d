"""The `chat` command in processes of its own, one home a person."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any, Self

ROOT = Path(__file__).resolve().parents[2]
TIMEOUT_S = 60
PASSWORD = "correct horse battery"

Row = dict[str, Any]  # JSON as chat prints it


class Person:
    """Somebody with a home, a name and a terminal."""

    def __init__(self, home: Path, user: str) -> None:
        self.home, self.user = home, user

    @property
    def environment(self) -> dict[str, str]:
        return os.environ | {
            "CHAT_HOME": str(self.home),
            "CHAT_PASSPHRASE": "staple " * 3,
            "PASSWORD": PASSWORD,
            "PYTHONPATH": str(ROOT),
            "PYTHON_KEYRING_BACKEND": "keyring.backends.fail.Keyring",
        }

    def _command(self, arguments: tuple[str, ...]) -> list[str]:
        return [sys.executable, "-m", "clients.cli", *arguments]

    def run(
        self, *arguments: str, stdin: str = "", **environment: str
    ) -> subprocess.CompletedProcess[str]:
        """Run one command to its end."""
        return subprocess.run(
            self._command(arguments),
            env=self.environment | environment,
            input=stdin,
            capture_output=True,
            text=True,
            timeout=TIMEOUT_S,
            check=False,
        )

    def rows(self, *arguments: str, stdin: str = "", code: int = 0) -> list[Row]:
        """Run one command with ``--json`` and return its rows."""
        done = self.run("--json", *arguments, stdin=stdin)
        assert done.returncode == code, done
        return [json.loads(line) for line in done.stdout.splitlines()]

    def join(self, link: str, *more: str) -> None:
        """Join with an invite."""
        self.rows("join", link, "--user", self.user, "--password-env", "PASSWORD", *more)

    def history(self, peer: "Person", limit: int = 1000) -> list[Row]:
        """Return the messages with somebody."""
        return self.rows("history", peer.user, "--limit", str(limit))

    def start(self, *arguments: str) -> "subprocess.Popen[str]":
        """Start a command that is fed and read while it runs."""
        return subprocess.Popen(
            self._command(("--json", *arguments)),
            env=self.environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def watch(self, *options: str) -> "Watch":
        """Start a watch."""
        return Watch(
            subprocess.Popen(
                self._command(("--json", "watch", *options)),
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                text=True,
            )
        )


class Watch:
    """A running `chat watch`; ended with the test."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.process.kill()
        self.process.wait()
        assert self.process.stdout is not None
        self.process.stdout.close()

    def until(self, test: Callable[[Row], bool]) -> list[Row]:
        """Return the rows up to the first that passes, it included."""
        assert self.process.stdout is not None
        rows: list[Row] = []
        for line in self.process.stdout:
            rows.append(json.loads(line))
            if test(rows[-1]):
                return rows
        raise AssertionError(f"chat watch ended: {rows}")

    def stop(self) -> int:
        """SIGTERM; return the exit code."""
        self.process.terminate()
        return self.process.wait(TIMEOUT_S)
