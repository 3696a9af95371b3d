"""No text, however hostile, reaches a terminal with a control in it."""

import random
import unicodedata

import pytest

from protocol.text import clean

HOSTILE = [
    "\x1b]0;title\x07", "\x1b[2J", "\x9b31m", "\x9d0;x\x9c", "\r\n", "\x00", "\x7f", "\x08",
    "\u202e", "\u2066", "\u2069", "\u200e", "\u061c", "\u2028", "\u2029", "\ufeff", "\u00ad",
    "\U000e0041", "\ud800", "\udfff", "\ufff9", "\u180e", "\u200b", "\u2060",
]  # fmt: skip
HARMLESS = ["a", "ü", "日本", "👩\u200d👩\u200d👧", "नम\u200cस्ते", " ", "é", "\\", "e\u0301", "שלום"]


def harmful_in(text: str) -> set[str]:
    return {
        c
        for c in text
        if unicodedata.category(c) in {"Cc", "Cf", "Zl", "Zp", "Cs"} and c not in "\u200c\u200d"
    }


@pytest.mark.parametrize("text", HARMLESS)
def test_clean_leaves_ordinary_text_alone(text: str) -> None:
    assert clean(text) == text


@pytest.mark.parametrize("text", HOSTILE)
def test_clean_escapes_each_kind_of_control(text: str) -> None:
    cleaned = clean(f"a{text}b")
    assert harmful_in(cleaned) == set()
    assert cleaned.startswith("a\\")
    assert cleaned.endswith("b")


def test_clean_shows_what_was_there() -> None:
    assert clean("a\x1b[31m\r\n\t\u202e\U000e0041") == "a\\x1b[31m\\r\\n\\t\\u202e\\U000e0041"


def test_clean_keeps_only_line_feeds_when_asked() -> None:
    assert clean("a\nb\r\x1b", keep_newlines=True) == "a\nb\\r\\x1b"


def test_clean_holds_for_ten_thousand_hostile_strings() -> None:
    chance = random.Random(28)
    parts = HOSTILE + HARMLESS
    for _ in range(10_000):
        text = "".join(
            chance.choice(parts) if chance.random() < 0.5 else chr(chance.randrange(0x110000))
            for _ in range(chance.randrange(1, 40))
        )
        cleaned = clean(text)
        assert harmful_in(cleaned) == set()
        cleaned.encode("utf-8")
        assert clean(cleaned) == cleaned
        kept = clean(text, keep_newlines=True)
        assert harmful_in(kept) <= {"\n"}
