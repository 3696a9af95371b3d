"""The play: says the speeches, carries out the directions, shows what it does."""

import re
import time
from collections.abc import Callable
from itertools import chain
from pathlib import Path

from tests.demo.cast import Device, command
from tests.demo.compare import Spoken
from tests.demo.script import Direction, Scene, Speech
from tests.demo.terminal import DemoFailed
from tests.server_process import ServerProcess

SHOWN_SPEECHES = 3
"""Written out after a heading or a direction; the others are counted."""
SHOWN_LINES = 2
"""Of each speech."""
BEFORE = 6
"""Lines of a speech that are acknowledged before the other ones, in which the server is killed."""


class Stage:
    """The server, the devices, and what was said until now."""

    def __init__(self, server: ServerProcess, folder: Path, links: Callable[[], str]) -> None:
        self.server, self._folder, self._links = server, folder, links
        self._link: dict[str, str] = {}
        self.devices: dict[str, list[Device]] = {"romeo": [], "juliet": []}
        self.spoken: list[Spoken] = []
        self._said: list[tuple[str, str, str]] = []  # message id, sender, text
        self._fatal_speech = False
        self._shown = 0
        self._omitted: list[int] = []
        self._directions: dict[str, Callable[[str], None]] = {
            r"(\w+) goes offline": self._leave,
            r"(\w+) comes back": self._come_back,
            r"(\w+) looks at his ticks": self._look_at_ticks,
            r"(\w+) reads what she missed": self._read,
            r"(\w+) joins with a second device": self._join_again,
            r"(the server) is killed in the middle of the next speech": self._plan_murder,
        }

    @property
    def everybody(self) -> list[Device]:
        """All devices."""
        return list(chain(*self.devices.values()))

    def enter(self, user: str, peer: str) -> None:
        """Let somebody join by invite, and open a watch and a terminal to talk in."""
        self._link[user] = self._links()
        device = Device(self._folder / user, user, user, peer)
        self.devices[user].append(device)
        device.join(self._link[user])

    def play(self, scene: Scene) -> None:
        """Play one scene."""
        print(f"\n{scene.title}\n{'-' * len(scene.title)}")
        self._shown = 0
        for part in scene.parts:
            match part:
                case Direction():
                    self._direct(part.text)
                case Speech():
                    self._speak(part)
        self._tell_omitted()

    def _direct(self, text: str) -> None:
        self._tell_omitted()
        self._shown = 0
        print(f"\n  [{text[0].upper()}{text[1:]}.]")
        for pattern, act in self._directions.items():
            if (found := re.fullmatch(pattern, text)) is not None:
                act(found[1])
                return
        raise DemoFailed(f"nobody knows how to do this: {text}")

    # Speeches.

    def _speak(self, speech: Speech) -> None:
        # A user's newest device that is open talks: after the second has joined, that one.
        device = [d for d in self.devices[speech.speaker] if d.watch is not None][-1]
        first = len(self._said) + 1
        fatal, self._fatal_speech = self._fatal_speech, False
        since = device.begin()
        if fatal:
            self._murder(device, speech.lines)
        else:
            device.type(speech.lines)
        ids = device.finish(len(speech.lines), since)
        if fatal:
            device.new_voice()
        self._said += [
            (message_id, speech.speaker, line)
            for message_id, line in zip(ids, speech.lines, strict=True)
        ]
        self._show(speech, first)

    def _show(self, speech: Speech, first: int) -> None:
        if self._shown >= SHOWN_SPEECHES:
            self._omitted.append(len(speech.lines))
            return
        self._shown += 1
        print()
        for place, line in enumerate(speech.lines[:SHOWN_LINES], first):
            name = speech.speaker.upper() if place == first else ""
            print(f"  {place:>4}  {name:<7} {line}")
        if (more := len(speech.lines) - SHOWN_LINES) > 0:
            print(f"                … and {more} more line{'s' if more > 1 else ''}")

    def _tell_omitted(self) -> None:
        if self._omitted:
            print(f"\n        … {len(self._omitted)} more speeches, {sum(self._omitted)} lines …")
        self._omitted = []

    # Directions.

    def _leave(self, user: str) -> None:
        for device in self.devices[user]:
            command(device.name, "chat", "watch")
            print("    ^C")
            device.close()

    def _come_back(self, user: str) -> None:
        for device in self.devices[user]:
            device.open()
        self._await_receipts(user, "delivered")

    def _read(self, user: str) -> None:
        for device in self.devices[user]:
            device.run("history", device.peer, "--limit", "1", "--read")
        self._await_receipts(user, "read")

    def _await_receipts(self, user: str, kind: str) -> None:
        # Until the other was told that ``user`` has, or has read, all that the other said.
        for device in self.everybody:
            own = [i for i, said in enumerate(self._said, 1) if said[1] == device.person.user]
            if device.person.user != user and device.watch is not None and own:
                device.watch.until(
                    f"{user}'s receipt",
                    lambda row, last=own[-1]: row["type"] == "receipt" and row[kind] >= last,  # type: ignore[misc]  # mypy cannot infer a default
                )

    def _look_at_ticks(self, user: str) -> None:
        device = self.devices[user][0]
        print(_indent(device.run("history", device.peer, "--limit", "2")))

    def _join_again(self, user: str) -> None:
        first = self.devices[user][0]
        device = Device(self._folder / f"{user}-phone", user, f"{user}@phone", first.peer)
        self.devices[user].append(device)
        device.join(self._link[user], "--existing", "--device-name", "phone")
        print(_indent(device.run("history", device.peer, "--before", "4")))
        rows = device.messages()
        if [row["id"] for row in rows] != [said[0] for said in self._said]:
            raise DemoFailed(f"the new device reads {len(rows)} of {len(self._said)} messages")
        print(f"    The new device reads all {len(rows)} messages, from the first to the last.")
        device.open()

    def _plan_murder(self, _: str) -> None:
        self._fatal_speech = True

    def _murder(self, speaker: Device, lines: list[str]) -> None:
        watch = speaker.watch
        assert watch is not None
        speaker.type(lines[:BEFORE])
        watch.wait("the first lines' ticks", lambda: speaker.begun() == BEFORE)
        speaker.type(lines[BEFORE:])
        watch.wait("one more tick", lambda: speaker.begun() > BEFORE)
        # Now the other lines are on their way: to the disk here, to the server, or back.
        watching = [device.watch for device in self.everybody if device.watch is not None]
        marks = [len(other.rows) for other in watching]
        command("host", "kill", "-9", str(self.server.pid))
        begun = time.monotonic()
        self.server.kill()
        for other, mark in zip(watching, marks, strict=True):
            other.offline(mark)
        print(f"    {speaker.begun()} of {len(lines)} lines were acknowledged by then.")
        marks = [len(other.rows) for other in watching]
        command("host", "chatd", "run")
        self.server.start()
        for other, mark in zip(watching, marks, strict=True):
            other.online(mark)
        print(f"    Everybody is back {time.monotonic() - begun:.1f} s after the kill.")

    # The end.

    def end(self) -> None:
        """Let everybody read everything, leave, and say what was acknowledged at which place."""
        print()
        for user in self.devices:
            self._read(user)
        for device in self.everybody:
            device.close()
        places: dict[str, set[int]] = {}
        for device in self.everybody:
            for message_id, told in device.acknowledged.items():
                places.setdefault(message_id, set()).update(told)
        self.spoken = [
            Spoken(message_id, seq, sender, text)
            for message_id, sender, text in self._said
            for seq in sorted(places.get(message_id, ()))
        ]


def _indent(text: str) -> str:
    return "\n".join(f"    {line}" for line in text.splitlines())
