"""Who is on the stage: a person's device, with what is open in its terminals."""

import asyncio
import json
import shlex
from pathlib import Path

from clients.cli.exits import OK, TEMPORARY, TERMINATED
from clients.sdk import Client
from clients.sdk.conversations import Conversation
from tests.demo.terminal import DemoFailed, Terminal
from tests.e2e.chat_process import Person, Row


def command(prompt: str, *words: str) -> None:
    """Show what somebody types."""
    print(f"  {prompt}$ {shlex.join(words)}")


class Device:
    """One device: a watch, and a terminal to talk in, while it is online."""

    def __init__(self, home: Path, user: str, name: str, peer: str) -> None:
        self.name, self.peer = name, peer
        self.person = Person(home, user)
        self.watch: Terminal | None = None
        self._voice: Terminal | None = None
        self._known: set[str] = set()  # message ids that had a place before the last speech
        self.acknowledged: dict[str, set[int]] = {}
        """The places that any of this device's processes was told, by message id."""

    def run(self, *arguments: str, show: bool = True) -> str:
        """Run a command to its end and return what it printed.

        Raises:
            DemoFailed: It failed.
        """
        if show:
            command(self.name, "chat", *(word for word in arguments if word != "--json"))
        done = self.person.run(*arguments)
        if done.returncode != 0:
            raise DemoFailed(f"chat {arguments[0]} of {self.name}: {done.stderr or done.stdout}")
        return done.stdout

    def join(self, link: str, *more: str) -> None:
        """Join with an invite; the password comes from the environment."""
        begin, _, _ = link.partition("#")
        words = ("--user", self.person.user, *more, "--password-env", "PASSWORD")
        command(self.name, "chat", "join", f"{begin}#…", *words)
        print(f"    {self.run('join', link, *words, show=False).strip()}")

    def open(self) -> None:
        """Start to watch and to talk; returns once the server is reached."""
        command(self.name, "chat", "watch")
        self.watch = Terminal(self.person, "watch")
        self.watch.online()
        self._voice = Terminal(self.person, "send", self.peer, "--lines")

    def close(self) -> None:
        """End both, as the user does.

        Raises:
            DemoFailed: One of them ended otherwise than documented.
        """
        assert self.watch is not None
        self._end_voice((OK,))
        code = self.watch.stop()
        self._collect(self.watch)
        self.watch.kill()
        self.watch = None
        if code != TERMINATED:
            raise DemoFailed(f"{self.name}'s watch ended with {code}")

    def _end_voice(self, expected: tuple[int, ...]) -> None:
        assert self._voice is not None
        code = self._voice.finish()
        self._collect(self._voice)
        self._voice.kill()
        self._voice = None
        if code not in expected:
            raise DemoFailed(f"{self.name}'s chat send ended with {code}")

    def kill(self) -> None:
        """End what runs, whatever it does."""
        for terminal in (self._voice, self.watch):
            if terminal is not None:
                terminal.kill()

    def begin(self) -> int:
        """Begin a speech; return which row of the terminal will answer its first line."""
        assert self._voice is not None
        assert self.watch is not None
        self._known = set(self._collect(self.watch))
        return len(self._voice.rows)

    def type(self, lines: list[str]) -> None:
        """Type lines, all at once."""
        assert self._voice is not None
        self._voice.feed(lines)

    def begun(self) -> int:
        """Return how many lines of the present speech were acknowledged until now."""
        assert self.watch is not None
        return len(set(self._collect(self.watch)) - self._known)

    def finish(self, count: int, since: int) -> list[str]:
        """Wait until all of so many lines are acknowledged; return their message ids, in order.

        ``chat send`` that saw the server go leaves what is queued to the next connection, and says
        so; then the watch tells when it has left.
        """
        voice, watch = self._voice, self.watch
        assert voice is not None
        assert watch is not None
        voice.wait(f"{count} answers", lambda: len(voice.rows) >= since + count)
        ids = [str(row["id"]) for row in voice.rows[since : since + count]]
        watch.wait("the places of all lines", lambda: self._collect(watch).keys() >= set(ids))
        return ids

    def new_voice(self) -> None:
        """Begin a new ``chat send``: the last one has seen the server go, and exits with 75."""
        self._end_voice((OK, TEMPORARY))
        self._voice = Terminal(self.person, "send", self.peer, "--lines")

    def _collect(self, terminal: Terminal) -> dict[str, set[int]]:
        for row in list(terminal.rows):
            if row["type"] == "state" and row["seq"]:
                self.acknowledged.setdefault(row["id"], set()).add(row["seq"])
        return self.acknowledged

    def messages(self) -> list[Row]:
        """Return all that this device can read of the conversation."""
        text = self.run("--json", "history", self.peer, "--limit", "1000", show=False)
        rows = [json.loads(line) for line in text.splitlines()]
        return [row for row in rows if row["type"] == "message"]

    def conversation(self) -> Conversation:
        """Return where the conversation stands in this device's own store, which it has checked."""

        async def read() -> Conversation:
            passphrase = self.person.environment["CHAT_PASSPHRASE"]
            client = Client.open(self.person.home, passphrase=passphrase, connect=False)
            async with client:
                (found,) = await client.conversations()
                return found

        return asyncio.run(read())
