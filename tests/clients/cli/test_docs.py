"""docs/client.md agrees with the command: help texts, exit codes, error codes, rows."""

import re
from pathlib import Path

import pytest

from clients.cli import rows
from clients.cli.exits import MEANINGS
from clients.cli.render import as_json, as_text
from tests.docs import client as page

TEXT = page.PAGE.read_text("utf-8")


def test_client_page_holds_what_the_command_says() -> None:
    assert page.render(TEXT) == TEXT, "run: python -m tests.docs.client --write"


def test_client_page_describes_every_row() -> None:
    sources = Path(rows.__file__).parent.glob("*.py")
    made = {
        kind
        for path in sources
        for kind in re.findall(r'"type": "([a-z_]+)"', path.read_text("utf-8"))
    }
    described = set(re.findall(r"^\| `([a-z_]+)` \|", TEXT, re.MULTILINE)) - {"type"}
    assert made == described


def test_exit_codes_are_unique_and_stable() -> None:
    assert list(MEANINGS) == [0, 1, 2, 3, 4, 5, 69, 75, 130, 141, 143]


@pytest.mark.parametrize("harm", ["\x1b[2J", "\x9b31m", "\u202e", "\r", "\x07", "\u2066"])
def test_terminal_is_safe_from_what_others_wrote(harm: str) -> None:
    row: rows.Row = {
        "type": "message",
        "peer": f"p{harm}",
        "seq": 1,
        "from": f"f{harm}",
        "device": 1,
        "at_ms": 10**17,
        "id": "00",
        "text": f"hello {harm} there\nand {harm} more",
        "removed": False,
        "mine": False,
        "state": "received",
        "reason": None,
    }
    others: list[rows.Row] = [
        row | {"mine": True, "state": "refused", "reason": harm},
        {"type": "device", "number": 1, "name": harm, "created_ms": 0, "last_seen_ms": None,
         "connected": True, "this": True},
        {"type": "typing", "peer": harm, "active": True},
        {"type": "note", "text": harm},
        {"type": "connection", "online": False, "reason": harm, "retry_in_ms": 1},
    ]  # fmt: skip
    for shown in [row, *others]:
        text = as_text(shown)
        assert text is not None
        assert harm not in text
        assert harm not in as_json(shown)
