"""The text that is sent, as data: scenes of speeches and directions."""

from dataclasses import dataclass, field
from pathlib import Path

SCRIPT = Path(__file__).with_name("romeo_and_juliet.txt")


@dataclass(slots=True)
class Speech:
    """What one says before the other answers; each line is a message."""

    speaker: str
    lines: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Direction:
    """Something that happens between two speeches."""

    text: str


@dataclass(slots=True)
class Scene:
    """A part of the play under one heading."""

    title: str
    parts: list[Speech | Direction] = field(default_factory=list)


class BadScript(Exception):
    """A line of the file is not where it may be; says which."""


def parse(text: str) -> list[Scene]:
    """Return the scenes of a script; its form is described at the top of the file.

    Raises:
        BadScript: A line stands outside of a scene, or is spoken by nobody.
    """
    scenes: list[Scene] = []
    speech: Speech | None = None
    for number, raw in enumerate(text.splitlines(), 1):
        line = raw.strip()
        if not line or line.startswith("#"):
            continue
        if line.startswith("== "):
            scenes.append(Scene(line[3:]))
            speech = None
        elif not scenes:
            raise BadScript(f"line {number} stands before the first scene")
        elif line.startswith("[") and line.endswith("]"):
            scenes[-1].parts.append(Direction(line[1:-1]))
            speech = None
        elif line.isalpha() and line.isupper():
            speech = Speech(line.lower())
            scenes[-1].parts.append(speech)
        elif speech is None:
            raise BadScript(f"line {number} is spoken by nobody")
        else:
            speech.lines.append(line)
    return scenes


def load() -> list[Scene]:
    """Return the play."""
    return parse(SCRIPT.read_text("utf-8"))
