"""The generated parts of docs/client.md: `python -m tests.docs.client --write` renews them."""

import re
import sys
from collections.abc import Iterator
from pathlib import Path

import click

from clients.cli.__main__ import main
from clients.cli.exits import MEANINGS
from clients.sdk import errors

PAGE = Path(__file__).resolve().parents[2] / "docs" / "client.md"


def exits() -> str:
    rows = [f"| {code} | {meaning} |" for code, meaning in MEANINGS.items()]
    return "\n".join(["| code | meaning |", "|---|---|", *rows])


def codes() -> str:
    found = {error.code for error in _leaves(errors.ChatError)}
    return ", ".join(f"`{code}`" for code in sorted(found)) + "."


def _leaves(kind: type[errors.ChatError]) -> Iterator[type[errors.ChatError]]:
    for below in kind.__subclasses__():
        yield below
        yield from _leaves(below)


def helps() -> str:
    blocks = [f"```\n{text}\n```" for text in _helps(main, "chat", None)]
    return "\n\n".join(blocks)


def _helps(command: click.Command, name: str, parent: click.Context | None) -> Iterator[str]:
    context = click.Context(
        command, info_name=name, parent=parent, terminal_width=100, max_content_width=100
    )
    yield f"$ {context.command_path} --help\n{command.get_help(context)}"
    if isinstance(command, click.Group):
        for below in command.list_commands(context):
            found = command.get_command(context, below)
            assert found is not None
            yield from _helps(found, below, context)


def render(text: str) -> str:
    """Return the page with its generated parts renewed."""
    for name, made in (("exits", exits()), ("codes", codes()), ("help", helps())):
        pattern = re.compile(f"(<!-- begin: {name} -->\n).*?(<!-- end: {name} -->)", re.DOTALL)
        text, count = pattern.subn(lambda m, made=made: f"{m[1]}{made}\n{m[2]}", text)  # type: ignore[misc]  # mypy cannot infer a default
        if count != 1:
            raise ValueError(f"the page has {count} parts called {name}")
    return text


if __name__ == "__main__":
    if sys.argv[1:] == ["--write"]:
        PAGE.write_text(render(PAGE.read_text("utf-8")), "utf-8")
    elif render(PAGE.read_text("utf-8")) != PAGE.read_text("utf-8"):
        sys.exit("docs/client.md is stale; run: python -m tests.docs.client --write")
