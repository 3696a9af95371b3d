"""A ``chat`` command that runs for a while: it is fed line by line, and its rows are awaited."""

import json
import subprocess
import sys
import threading
from collections.abc import Callable
from typing import IO

from tests.e2e.chat_process import ROOT, Person, Row

PATIENCE_S = 40.0
"""Longer than ``chat send`` waits for a server that is away."""


class DemoFailed(Exception):
    """The demonstration could not be carried through."""


class Terminal:
    """One running command with ``--json``; a thread collects its rows, so it never blocks."""

    def __init__(self, person: Person, *arguments: str) -> None:
        self._what = f"{person.user}'s chat {arguments[0]}"
        # A session of its own: Ctrl-C is for the demonstration, which then ends its commands.
        self._process = subprocess.Popen(
            [sys.executable, "-m", "clients.cli", "--json", *arguments],
            env=person.environment,
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._stdin, self._stdout = self._process.stdin, self._process.stdout
        self._changed = threading.Condition()
        self._ended = False
        self.rows: list[Row] = []
        """Everything that it printed until now."""
        self._thread = threading.Thread(target=self._collect, args=(self._stdout,), daemon=True)
        self._thread.start()

    def _collect(self, stdout: IO[str]) -> None:
        for line in stdout:
            with self._changed:
                self.rows.append(json.loads(line))
                self._changed.notify_all()
        with self._changed:
            self._ended = True
            self._changed.notify_all()

    def feed(self, lines: list[str]) -> None:
        """Write lines to its standard input, all at once."""
        self._stdin.write("".join(f"{line}\n" for line in lines))
        self._stdin.flush()

    def wait(self, what: str, look: Callable[[], bool]) -> None:
        """Wait until ``look``, called whenever a row has come, says that it is there.

        Raises:
            DemoFailed: The command ended, or it did not come in time.
        """
        with self._changed:
            self._changed.wait_for(lambda: look() or self._ended, PATIENCE_S)
            if not look():
                raise DemoFailed(f"{self._what}: waited in vain for {what}: {self.rows[-3:]}")

    def until(self, what: str, test: Callable[[Row], bool], since: int = 0) -> None:
        """Wait until a row passes, of those behind the first ``since``; raises as :meth:`wait`."""
        self.wait(what, lambda: any(test(row) for row in self.rows[since:]))

    def online(self, since: int = 0) -> None:
        """Wait until it is connected."""
        self.until("the server", lambda row: row["type"] == "connection" and row["online"], since)

    def offline(self, since: int) -> None:
        """Wait until it has noticed that the server is gone."""
        self.until(
            "the end of the connection",
            lambda row: row["type"] == "connection" and not row["online"],
            since,
        )

    def finish(self) -> int:
        """End its input, and return its exit code."""
        self._stdin.close()
        return self._process.wait(PATIENCE_S)

    def stop(self) -> int:
        """SIGTERM, and return its exit code."""
        self._process.terminate()
        return self._process.wait(PATIENCE_S)

    def kill(self) -> None:
        """SIGKILL. Harmless if it has ended."""
        self._process.kill()
        self._process.wait()
        self._thread.join(PATIENCE_S)
        for pipe in (self._stdin, self._stdout):
            try:
                pipe.close()
            except BrokenPipeError:
                pass  # what was not read went with the process
