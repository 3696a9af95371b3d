"""Structured logs that secrets cannot enter: an event, and fields whose names are allowed.

One line a record, as JSON or readable text. Field names are declared here, values are numbers,
truth values or short texts; bytes show as their length only, links lose what makes them work, an
exception shows its type and its place, never its message, and controls are escaped.
Source: threats.md class 27.
"""

import json
import logging
import re
import traceback
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import TextIO

from protocol.text import clean

Field = str | int | float | bool | bytes | Path | None

FIELDS = frozenset({
    # who and where
    "user", "device", "invited_by", "address", "listen", "public_address", "port", "connection",
    "path", "pid", "signal", "command", "state",
    # what
    "op", "code", "reason", "detail", "error", "errno", "name", "section", "retryable", "table",
    "conversation", "seq", "n", "version", "schema", "loop", "server_id", "not_after", "level",
    # how much
    "count", "size_bytes", "limit", "duration_ms", "wait_ms", "delay_ms", "queue", "connections",
    "sessions", "users", "devices", "commands", "batches", "pages", "free_bytes", "lag_ms",
})  # fmt: skip
"""Names a call may give. Add one only for what anybody who reads the log may see."""

MAX_TEXT = 512
"""Characters of one value: a remote text must not fill the disk, and a path fits."""

LEVELS = {
    "debug": logging.DEBUG,
    "info": logging.INFO,
    "warning": logging.WARNING,
    "error": logging.ERROR,
}
_MAX_FRAMES = 32
_MAX_CAUSES = 8
_LINK = re.compile(r"(chatd://[^\s#]*#)\S+")
# Libraries, asyncio above all, print arguments of callbacks: received bytes among them.
_BYTES = re.compile(r"\bb(\"(?:[^\"\\]|\\.)*\"|'(?:[^'\\]|\\.)*')")
_PLAIN = re.compile(r"[^\s\"=\\]+")


class Logger:
    """Writes events of one part of the daemon; `get` makes it."""

    __slots__ = ("_logger",)

    def __init__(self, logger: logging.Logger) -> None:
        self._logger = logger

    def is_enabled(self, level: str) -> bool:
        """Whether a level is written; cache it per connection on hot paths."""
        return self._logger.isEnabledFor(LEVELS[level])

    def debug(self, event: str, **fields: Field) -> None:
        """For a developer who follows one case."""
        self._write(logging.DEBUG, event, fields)

    def info(self, event: str, **fields: Field) -> None:
        """What an operator wants to find later."""
        self._write(logging.INFO, event, fields)

    def warning(self, event: str, **fields: Field) -> None:
        """What should be looked at soon."""
        self._write(logging.WARNING, event, fields)

    def error(self, event: str, failure: BaseException | None = None, **fields: Field) -> None:
        """What failed and needs somebody.

        Args:
            event: What happened, as `snake_case`.
            failure: The exception, of which type, cause and place are written.
            fields: Named in FIELDS.
        """
        self._write(logging.ERROR, event, fields, failure)

    def _write(
        self,
        level: int,
        event: str,
        fields: dict[str, Field],
        failure: BaseException | None = None,
    ) -> None:
        if self._logger.isEnabledFor(level):
            self._logger.log(level, event, exc_info=failure, extra={"fields": fields})


def get(name: str) -> Logger:
    """The logger of one module, as `log = get(__name__)`."""
    return Logger(logging.getLogger(name))


def configure(
    level: str, format_: str, stream: TextIO, now_ms: Callable[[], int]
) -> logging.Handler:
    """Send every log of the process, libraries' included, to one stream.

    Args:
        level: One of LEVELS; libraries below warning are left out in any case.
        format_: "json" or "text".
        stream: Usually standard error.
        now_ms: The clock, in milliseconds since the Unix epoch.

    Returns:
        The handler, which replaces those that were there.
    """
    handler = logging.StreamHandler(stream)
    handler.setFormatter(LineFormatter(format_ == "json", now_ms))
    root = logging.getLogger()
    for old in root.handlers[:]:
        root.removeHandler(old)
    root.addHandler(handler)
    root.setLevel(logging.WARNING)
    for ours in ("chatd", "storage", "protocol"):
        logging.getLogger(ours).setLevel(LEVELS[level])
    return handler


class LineFormatter(logging.Formatter):
    """One record, one line, whatever it holds."""

    def __init__(self, as_json: bool, now_ms: Callable[[], int]) -> None:
        super().__init__()
        self._as_json = as_json
        self._now_ms = now_ms

    def format(self, record: logging.LogRecord) -> str:
        """The line, without its end."""
        entry: dict[str, str | int | float | bool | None] = {
            "time": _time(self._now_ms()),
            "level": record.levelname.lower(),
            "event": _text(_BYTES.sub("<bytes>", record.getMessage())),
        }
        for name, value in getattr(record, "fields", {}).items():
            entry[name] = _value(value) if name in FIELDS else "<not an allowed field>"
        if record.exc_info and record.exc_info[1] is not None:
            entry["failure"], entry["at"] = _failure(record.exc_info[1])
        if self._as_json:
            return json.dumps(entry, ensure_ascii=False)
        head = f"{entry.pop('time')} {entry.pop('level'):<7} {entry.pop('event')}"
        return " ".join([head, *(f"{name}={_word(value)}" for name, value in entry.items())])


def _time(now_ms: int) -> str:
    moment = datetime.fromtimestamp(now_ms // 1000, UTC)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{now_ms % 1000:03d}Z"


def _value(value: object) -> str | int | float | bool | None:
    if value is None or isinstance(value, bool | int | float):
        return value
    if isinstance(value, str | Path):
        return _text(str(value))
    if isinstance(value, bytes | bytearray | memoryview):
        return f"<{len(value)} bytes>"
    return f"<{type(value).__name__}>"


def _text(text: str) -> str:
    short = text if len(text) <= MAX_TEXT else text[:MAX_TEXT] + "…"
    return clean(_LINK.sub(r"\1…", short))


def _word(value: object) -> str:
    text = str(value)
    return text if _PLAIN.fullmatch(text) else json.dumps(text, ensure_ascii=False)


def _failure(error: BaseException) -> tuple[str, str]:
    """Types along the chain of causes, and the places of the call. Messages may quote secrets."""
    names: list[str] = []
    link: BaseException | None = error
    while link is not None and len(names) < _MAX_CAUSES:
        names.append(type(link).__qualname__)
        link = link.__cause__ or (None if link.__suppress_context__ else link.__context__)
    frames = traceback.extract_tb(error.__traceback__)[-_MAX_FRAMES:]
    places = [f"{Path(frame.filename).name}:{frame.lineno}:{frame.name}" for frame in frames]
    return " < ".join(names), clean(" > ".join(places))
