"""Row 28 of threats.md: no text of others, in any field of any row, drives a terminal."""

import random
import unicodedata

from clients.cli import rows
from clients.cli.render import as_json, as_text

HARM = ["\x1b]0;t\x07", "\x1b[2J", "\x1bP", "\x9b31m", "\x9d", "\r", "\n", "\t", "\x00",
        "\x7f", "\u202e", "\u2066", "\u200e", "\u061c", "\u2028", "\ufeff",
        "\U000e0041", "\ud800"]  # fmt: skip


def hostile(chance: random.Random) -> str:
    """A text of controls, ordinary letters and whatever else Unicode has."""
    return "".join(
        chance.choice(HARM) if chance.random() < 0.5 else chr(chance.randrange(0x110000))
        for _ in range(chance.randrange(1, 24))
    )


def rows_of(text: str) -> list[rows.Row]:
    """Every row, with the text wherever others may have written it."""
    message: rows.Row = {
        "type": "message", "peer": text, "seq": 1, "from": text, "device": 1, "at_ms": 0,
        "id": "00", "text": text, "removed": False, "mine": False, "state": "received",
        "reason": None,
    }  # fmt: skip
    conversation: rows.Row = {
        "type": "conversation", "peer": text, "head": 1, "stored": 1, "read": 1,
        "peer_delivered": 1, "peer_read": 1, "chain_broken_at": 1,
    }  # fmt: skip
    status: rows.Row = {
        "type": "status", "user": text, "device": 1, "device_name": text, "server": text,
        "online": False, "reason": text, "waiting": 0,
    }  # fmt: skip
    device: rows.Row = {
        "type": "device", "number": 1, "name": text, "created_ms": 0, "last_seen_ms": None,
        "connected": True, "this": True,
    }  # fmt: skip
    return [
        message,
        message | {"mine": True, "state": "refused", "reason": text},
        conversation,
        status,
        device,
        {"type": "state", "peer": text, "id": "00", "state": "refused", "seq": 0, "reason": text},
        {"type": "receipt", "peer": text, "delivered": 1, "read": 1},
        {"type": "typing", "peer": text, "active": True},
        {"type": "connection", "online": False, "reason": text, "retry_in_ms": 1},
        {"type": "chain_broken", "peer": text, "seq": 1},
        {"type": "note", "text": text},
        {"type": "invite", "link": text, "uses": 1, "expires_ms": 1},
        rows.done("join", user=text, device=1),
        rows.done("rename_device", number=1, name=text),
        rows.done("delete_account", user=text),
    ]


def harmful_in(shown: str) -> set[str]:
    return {
        c
        for c in shown
        if unicodedata.category(c) in {"Cc", "Cf", "Zl", "Zp", "Cs"} and c not in "\u200c\u200d"
    }


def test_terminal_gets_no_control_from_ten_thousand_hostile_texts() -> None:
    chance = random.Random(28)
    for number in range(10_000):
        for row in rows_of(hostile(chance))[number % 5 :: 5]:
            shown = as_text(row)
            assert shown is not None
            assert harmful_in(shown) <= ({"\n"} if row["type"] == "message" else set())
            assert all(line.startswith("    ") for line in shown.split("\n")[1:])
            assert as_json(row).isascii()
            assert harmful_in(as_json(row)) <= {"\x7f"}
