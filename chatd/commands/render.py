"""What the commands print: every text of others is cleaned before it reaches the terminal."""

import io
import json
import sys
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from datetime import UTC, datetime

import click
import segno

from chatd.admin_api import CheckResult, DeviceInfo, UserInfo
from protocol.text import clean


def when(at_ms: int | None) -> str:
    """A time as UTC to the minute; a dash for never."""
    if at_ms is None:
        return "-"
    return f"{datetime.fromtimestamp(at_ms / 1000, UTC):%Y-%m-%d %H:%M}"


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Columns under their headings, cleaned and aligned."""
    cells = [list(head), *([clean(cell) for cell in row] for row in rows)]
    widths = [max(len(row[column]) for row in cells) for column in range(len(head))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in cells
    )


def users(infos: Sequence[UserInfo]) -> str:
    """All users, each under the one who invited it."""
    names = {info.name for info in infos}
    invited: dict[str | None, list[UserInfo]] = {}
    for info in infos:
        # One whose inviter is gone from the list stands at the root rather than nowhere.
        inviter = info.invited_by if info.invited_by in names else None
        invited.setdefault(inviter, []).append(info)
    rows: list[tuple[str, ...]] = []
    shown: set[str] = set()

    def add(roots: list[UserInfo]) -> None:
        # A stack of its own: a chain of invitations may be deeper than Python's.
        stack = [(info, 0) for info in reversed(roots)]
        while stack:
            info, depth = stack.pop()
            if info.name in shown:
                continue
            shown.add(info.name)
            rows.append(
                (
                    "  " * min(depth, 20) + info.name,
                    info.display_name,
                    info.state,
                    str(info.devices),
                    when(info.created_ms),
                    when(info.last_seen_ms),
                )
            )
            stack += [(below, depth + 1) for below in reversed(invited.get(info.name, []))]

    add(invited.get(None, []))
    # A ring of inviters has no root; nobody may be missing from the list.
    add([info for info in infos if info.name not in shown])
    return table(("USER", "NAME", "STATE", "DEVICES", "SINCE", "LAST SEEN"), rows)


def devices(infos: Sequence[DeviceInfo]) -> str:
    """The devices of one user."""
    return table(
        ("DEVICE", "NAME", "STATE", "SINCE", "LAST SEEN"),
        (
            (
                str(info.number),
                info.name,
                "revoked" if info.revoked else "connected" if info.connected else "away",
                when(info.created_ms),
                when(info.last_seen_ms),
            )
            for info in infos
        ),
    )


def checks(results: Sequence[CheckResult]) -> str:
    """What was checked, one line each."""
    return "\n".join(
        f"{'ok  ' if result.ok else 'FAIL'}  {clean(result.name)}: {clean(result.detail)}"
        for result in results
    )


def as_json(rows: Sequence[UserInfo] | Sequence[DeviceInfo] | Sequence[CheckResult]) -> str:
    """One JSON list, ASCII only: nothing in it can drive a terminal."""
    return json.dumps([asdict(row) for row in rows])


def qr(text: str) -> str | None:
    """A code for a phone's camera; None if standard output cannot show its blocks."""
    drawn = io.StringIO()
    segno.make(text, micro=False, error="m").terminal(drawn, compact=True)
    try:
        drawn.getvalue().encode(sys.stdout.encoding or "ascii")
    except UnicodeEncodeError:
        return None
    return drawn.getvalue()


def link(text: str, show_qr: bool | None) -> None:
    """Print a link alone on its line, and its QR code: by default on a terminal only."""
    click.echo(text)
    if show_qr or (show_qr is None and sys.stdout.isatty()):
        code = qr(text)
        if code is None:
            click.echo("(this terminal cannot show the QR code)", err=True)
        else:
            click.echo(f"\n{code}")
