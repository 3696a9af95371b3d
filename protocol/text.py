"""Remote text made harmless: the one cleaner that stands before every terminal and log.

Names, bodies and error texts come from others. Written raw, they could drive a terminal (ESC, OSC,
C1), forge log lines (CR, LF) or show something else than they say (bidi, invisible controls).
Source: threats.md classes 27 and 28; Unicode TR36 §2, TR9 for the bidi controls.
"""

import unicodedata

_KEPT_FORMAT = frozenset("\u200c\u200d")
"""ZWNJ and ZWJ: whole scripts and most emoji are spelt wrong without them."""

_HARMFUL = frozenset({"Cc", "Cf", "Zl", "Zp", "Cs"})
"""Controls (C0, DEL, C1), format characters (bidi, tags, invisible), line and paragraph
separators, and lone surrogates, which no encoder can write."""


def is_harmful(character: str) -> bool:
    """Whether one character must not reach a terminal or a log as it is."""
    return unicodedata.category(character) in _HARMFUL and character not in _KEPT_FORMAT


def _visible(character: str) -> str:
    point = ord(character)
    if point <= 0xFF:
        return f"\\x{point:02x}"
    return f"\\u{point:04x}" if point <= 0xFFFF else f"\\U{point:08x}"


_NAMED = {"\n": "\\n", "\r": "\\r", "\t": "\\t"}


def clean(text: str, keep_newlines: bool = False) -> str:
    r"""Replace what could drive, forge or deceive by a visible escape.

    Args:
        text: Any text from a peer, a store or a file name.
        keep_newlines: Let LF through, for bodies shown as blocks; everything else, CR and
            TAB included, is escaped (``\x1b``, ``\u202e``) all the same.

    Returns:
        Text whose every character is printable, a space, ZWJ, ZWNJ or a kept LF, and which
        always encodes as UTF-8. Clean text is returned as it is, so cleaning twice changes nothing.
    """
    if text.isascii() and text.isprintable():
        return text
    return "".join(
        (_NAMED.get(character) or _visible(character))
        if is_harmful(character) and not (keep_newlines and character == "\n")
        else character
        for character in text
    )
