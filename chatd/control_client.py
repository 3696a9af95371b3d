"""The commands' side of the control socket: a plain blocking call, for a process with no loop."""

import json
import socket
from collections.abc import Mapping
from pathlib import Path
from typing import BinaryIO, get_args

from chatd.admin_api import AdminCode, AdminError, Json
from chatd.control import ANSWER_MS, MAX_LINE_BYTES, REQUEST_MS, check_path

MAX_ITEMS = 10_000_000
"""The most accounts a server can have; see accounts.max_users."""


class NotRunning(Exception):
    """No daemon listens there."""


def call(path: Path, command: str, params: Mapping[str, Json]) -> Json:
    """Ask the running daemon.

    Args:
        path: The control socket.
        command: A name from `admin_api.handlers`.
        params: Its parameters.

    Returns:
        The result; a list is whole.

    Raises:
        NotRunning: Nobody listens on that socket.
        AdminError: The daemon refused, or no whole answer came (`timeout`: unknown outcome).
        FolderError: The path is too long for a socket.
    """
    check_path(path)
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        # The daemon's own deadline answers first; this one is for a daemon that hangs.
        connection.settimeout((REQUEST_MS + ANSWER_MS) / 1000)
        try:
            connection.connect(str(path))
        except (FileNotFoundError, ConnectionRefusedError) as error:
            raise NotRunning(f"no daemon listens on {path}") from error
        except OSError as error:
            raise AdminError("refused", f"{path}: {error.strerror}") from error
        try:
            connection.sendall(
                json.dumps({"command": command, "params": dict(params)}).encode() + b"\n"
            )
        except OSError:
            # It closed early, as when it is busy: what it said is still to be read.
            pass
        try:
            with connection.makefile("rb") as lines:
                return _read(lines)
        except OSError as error:
            raise _unknown() from error


def _read(lines: BinaryIO) -> Json:
    items: list[Json] = []
    while True:
        answer = _parse(lines.readline(MAX_LINE_BYTES + 1))
        if "item" in answer:
            if len(items) >= MAX_ITEMS:
                raise AdminError("internal", "the daemon's answer does not end")
            items.append(answer["item"])
        elif answer.get("ok") is True:
            if "items" not in answer:
                return answer.get("result")
            if answer["items"] != len(items):
                raise _unknown()
            return items
        else:
            code, message = answer.get("code"), answer.get("message")
            for known in get_args(AdminCode):
                if code == known:
                    raise AdminError(known, str(message))
            raise _unknown()


def _parse(line: bytes) -> dict[str, Json]:
    if not line.endswith(b"\n"):
        raise _unknown()
    try:
        answer = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise _unknown() from error
    if not isinstance(answer, dict):
        raise _unknown()
    return answer


def _unknown() -> AdminError:
    return AdminError(
        "timeout", "the daemon gave no whole answer; whether it was done is unknown: look"
    )
