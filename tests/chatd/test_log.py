"""Canaries do not come out of the log, and nobody forges its lines."""

import ast
import io
import json
import logging
from collections.abc import Iterator
from pathlib import Path

import pytest

from chatd import log
from chatd.log import FIELDS, MAX_TEXT

CANARY = "canary-3f9a"
NOW_MS = 1_800_000_000_123
ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def stream() -> Iterator[io.StringIO]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    levels = {name: logging.getLogger(name).level for name in ("chatd", "storage", "protocol")}
    yield io.StringIO()
    root.handlers[:] = handlers
    root.setLevel(level)
    for name, before in levels.items():
        logging.getLogger(name).setLevel(before)


def configured(stream: io.StringIO, format_: str, level: str = "debug") -> log.Logger:
    log.configure(level, format_, stream, lambda: NOW_MS)
    return log.get("chatd.somewhere")


def test_log_writes_one_json_object_a_line(stream: io.StringIO) -> None:
    logger = configured(stream, "json")
    logger.info("login_refused", user="ann", wait_ms=500, retryable=True, reason=None)
    assert json.loads(stream.getvalue()) == {
        "time": "2027-01-15T08:00:00.123Z",
        "level": "info",
        "event": "login_refused",
        "user": "ann",
        "wait_ms": 500,
        "retryable": True,
        "reason": None,
    }


def test_log_writes_readable_text(stream: io.StringIO) -> None:
    configured(stream, "text").warning("mode_repaired", path=Path("/a b"), count=2, user='x="y"')
    assert stream.getvalue() == (
        '2027-01-15T08:00:00.123Z warning mode_repaired path="/a b" count=2 user="x=\\"y\\""\n'
    )


@pytest.mark.parametrize("format_", ["json", "text"])
def test_log_keeps_secrets_out(stream: io.StringIO, format_: str) -> None:
    logger = configured(stream, format_)
    secret = CANARY.encode()
    logger.info("a", reason=secret, detail=f"see chatd://host:1/#1.{CANARY} there")
    logger.info("b", password=CANARY, token=secret)
    logger.info("c", user=object())  # type: ignore[arg-type]  # what a careless caller does
    try:
        try:
            raise KeyError(CANARY)
        except KeyError as error:
            raise ValueError(f"bad {CANARY}") from error
    except ValueError as error:
        logger.error("d", error, op="SEND")
    logging.getLogger("asyncio").error("went wrong", exc_info=RuntimeError(CANARY))
    logging.getLogger("asyncio").error("handle %r", {"data": f"it's \"{CANARY}".encode()})
    text = stream.getvalue()
    assert CANARY not in text
    assert "handle {'data': <bytes>}" in text.replace("\\", "")
    assert "<11 bytes>" in text
    assert "chatd://host:1/#…" in text
    assert "ValueError < KeyError" in text
    assert "test_log.py:" in text
    assert text.count("\n") == 6


@pytest.mark.parametrize("format_", ["json", "text"])
def test_log_lines_cannot_be_forged(stream: io.StringIO, format_: str) -> None:
    logger = configured(stream, format_)
    hostile = 'x\r\n2027 error forged user=root\x1b[2J\x9b\u202e\u2028"'
    logger.info("a", user=hostile, reason=hostile)
    logging.getLogger("library").warning("said %s", hostile)
    text = stream.getvalue()
    assert text.count("\n") == 2
    assert len(text.splitlines()) == 2
    assert not {"\r", "\x1b", "\x9b", "\u202e", "\u2028"} & set(text)


def test_log_cuts_long_texts_at_n_and_one_more(stream: io.StringIO) -> None:
    logger = configured(stream, "json")
    logger.info("a", reason="x" * MAX_TEXT)
    logger.info("a", reason="x" * (MAX_TEXT + 1))
    lengths = [len(json.loads(line)["reason"]) for line in stream.getvalue().splitlines()]
    assert lengths == [MAX_TEXT, MAX_TEXT + 1]
    assert stream.getvalue().count("…") == 1


def test_log_leaves_out_what_is_below_its_level(stream: io.StringIO) -> None:
    logger = configured(stream, "text", "warning")
    logger.info("a")
    logging.getLogger("library").info("b")
    assert stream.getvalue() == ""
    assert not logger.is_enabled("info")
    assert logger.is_enabled("error")


def test_every_call_in_the_daemon_uses_allowed_fields() -> None:
    wrong = []
    for path in sorted((ROOT / "chatd").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if (
                isinstance(node, ast.Call)
                and isinstance(node.func, ast.Attribute)
                and node.func.attr in ("debug", "info", "warning", "error")
                and ast.unparse(node.func.value).split(".")[-1] in ("log", "_log", "logger")
            ):
                names = {keyword.arg for keyword in node.keywords} - {"failure"}
                wrong += [f"{path.name}:{node.lineno} {name}" for name in names - FIELDS]
    assert wrong == []
