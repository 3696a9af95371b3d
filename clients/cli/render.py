"""Rows as text for people, and as JSON lines for programs.

Everything that came from others passes :func:`protocol.text.clean` before it reaches the terminal;
JSON is ASCII with everything else escaped, so that it cannot drive a terminal either.
"""

import json
from datetime import UTC, datetime
from typing import Final

from clients.cli.rows import Json, Row
from protocol.text import clean

TICKS: Final[dict[str, str]] = {
    "queued": "…",
    "sent": "✓",
    "delivered": "✓✓",
    "read": "✓✓ read",
    "refused": "✗",
    "received": "",
}
"""What stands behind one's own messages."""


def as_json(row: Row) -> str:
    """Return the row as one line of ASCII."""
    return json.dumps(row, separators=(",", ":"))


def when(at_ms: Json) -> str:
    """Return a time of this machine's zone, to the second."""
    if not isinstance(at_ms, int):
        return "never"
    try:
        at = datetime.fromtimestamp(at_ms / 1000, UTC).astimezone()
    except (OverflowError, OSError, ValueError):
        return "some day"  # the server's clock is decoration: a wild one does no harm
    return at.strftime("%Y-%m-%d %H:%M:%S")


def _message(row: Row) -> str:
    text = row["text"]
    if row["removed"]:
        shown = "(removed)"
    elif text is None:
        shown = "(this version cannot show this message: update chat)"
    else:
        shown = clean(str(text), keep_newlines=True).replace("\n", "\n    ")
    who = f"you → {row['peer']}" if row["mine"] else str(row["from"])
    ticks = TICKS.get(str(row["state"]), "")
    reason = f" ({row['reason']})" if row["reason"] else ""
    return f"{when(row['at_ms'])} {clean(who)}: {shown} {ticks}{clean(reason)}".rstrip()


def _status(row: Row) -> str:
    where = "online" if row["online"] else f"offline: {row['reason'] or 'not connected'}"
    return clean(
        f"{row['user']} (device {row['device']}, {row['device_name']}) at {row['server']}: "
        f"{where}; {row['waiting']} waiting to be sent"
    )


def _conversation(row: Row) -> str:
    head, stored, read = row["head"], row["stored"], row["read"]
    broken = row["chain_broken_at"]
    note = f"; THE SERVER'S LOG DOES NOT FIT at {broken}" if broken else ""
    noun = "message" if head == 1 else "messages"
    return clean(
        f"  {row['peer']}: {head} {noun}, {stored} here, read to {read}; "
        f"they have {row['peer_delivered']}, read {row['peer_read']}{note}"
    )


def _device(row: Row) -> str:
    marks = [m for m, on in (("this one", row["this"]), ("connected", row["connected"])) if on]
    note = f" [{', '.join(marks)}]" if marks else ""
    seen = when(row["last_seen_ms"] or row["created_ms"])
    return clean(f"{row['number']:>3}  {row['name']}  last seen {seen}{note}")


def _connection(row: Row) -> str:
    if row["online"]:
        return "-- connected"
    retry = row["retry_in_ms"]
    again = f"; next try in {int(retry) // 1000} s" if isinstance(retry, int) else ""
    return clean(f"-- not connected: {row['reason']}{again}")


def as_text(row: Row) -> str | None:
    """Return what a person sees of a row; None for nothing."""
    match row["type"]:
        case "message":
            return _message(row)
        case "state" if row["state"] == "refused":
            return clean(f"-- refused by the server: {row['reason']} (to {row['peer']})")
        case "state":
            return None  # the message itself is shown, with its ticks
        case "receipt":
            return clean(f"-- {row['peer']} has {row['delivered']}, read {row['read']}")
        case "typing":
            return clean(f"-- {row['peer']} is typing") if row["active"] else None
        case "connection":
            return _connection(row)
        case "chain_broken":
            return clean(
                f"-- WARNING: the server's log with {row['peer']} does not fit at {row['seq']}: "
                "something was altered or left out"
            )
        case "status":
            return _status(row)
        case "conversation":
            return _conversation(row)
        case "device":
            return _device(row)
        case "note":
            return clean(f"-- {row['text']}")
        case "invite":
            return clean(str(row["link"]))
        case "done":
            return _done(row)
        case _:
            return None


def _done(row: Row) -> str | None:
    match row["what"]:
        case "join":
            return clean(
                f"Welcome, {row['user']}: device {row['device']}. "
                "Say something: chat send NAME TEXT. Listen: chat watch"
            )
        case "rename_device":
            return clean(f"device {row['number']} is now called {row['name']}")
        case "revoke_device":
            return f"device {row['number']} is cut off"
        case "change_password":
            return "the password is changed; your devices stay logged in"
        case "delete_account":
            return clean(f"the account {row['user']} is deleted; its name stays taken")
        case _:
            return None
