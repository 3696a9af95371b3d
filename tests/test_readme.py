"""README.md names nothing that is not there: commands, options, make targets, modules, files."""

import re
import shlex
from importlib.util import find_spec
from pathlib import Path

import click
import pytest

from chatd.commands.root import root
from clients.cli.__main__ import main

ROOT = Path(__file__).resolve().parent.parent
TEXT = (ROOT / "README.md").read_text("utf-8")
TARGETS = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE))
PROGRAMS: dict[str, click.Command] = {"chatd": root, "chat": main}


def commands() -> list[str]:
    """Everything on the page that is typed: behind ``$``, bare in a block, or within backticks."""
    blocks = re.findall(r"^```\n(.*?)^```", TEXT, re.MULTILINE | re.DOTALL)
    typed = [line[2:] for block in blocks for line in block.splitlines() if line[:2] == "$ "]
    bare = [line for block in blocks for line in block.splitlines() if line.startswith("make ")]
    prose = re.sub(r"^```\n.*?^```", "", TEXT, flags=re.MULTILINE | re.DOTALL)
    spans = re.findall(r"`([^`]+)`", prose)
    programs = ("make ", "chat ", "chatd ", ".venv/")
    return sorted({*typed, *bare, *(span for span in spans if span.startswith(programs))})


def check_click(command: click.Command, words: list[str]) -> None:
    """Follow the words into the command tree; every option must be one of its own."""
    for word in words:
        if word.startswith("-"):
            known = {option for p in command.params for option in p.opts + p.secondary_opts}
            assert word.partition("=")[0] in known | {"--help"}, word
        elif isinstance(command, click.Group):
            assert word in command.commands, word
            command = command.commands[word]


@pytest.mark.parametrize("line", commands())
def test_reader_of_readme_finds_every_command(line: str) -> None:
    program, *words = shlex.split(line, comments=True)
    program = program.removeprefix(".venv/bin/")
    match program:
        case "make":
            assert words[0] in TARGETS
        case "python":
            assert words[0] == "-m"
            assert find_spec(words[1]) is not None
        case "." | "export":
            assert words[0] == ".venv/bin/activate" or words[0].startswith("CHAT_HOME=")
        case _:
            check_click(PROGRAMS[program], words)


def test_readme_shows_the_whole_tour() -> None:
    shown = {" ".join(shlex.split(line, comments=True)[:2]) for line in commands()}
    tour = {
        "make run", "make demo", "chatd invite", "chat join", "chat send", "chat watch",
        "chat history", "chat devices",
    }  # fmt: skip
    assert tour <= shown


def test_links_of_readme_lead_somewhere() -> None:
    links = re.findall(r"\]\(([^)#]+)\)", TEXT)
    assert "docs/architecture.md" in links
    assert [link for link in links if not (ROOT / link).exists()] == []
