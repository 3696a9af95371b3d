"""Links: what is printed parses back, and a damaged one says so."""

from ipaddress import IPv4Address, IPv6Address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol import limits
from protocol.links import Link, LinkError, parse_link

KEY, SERVER, TOKEN = bytes(range(32)), bytes(range(100, 116)), bytes(range(200, 216))
INVITE = (
    "chatd://chat.example.org:7222/#1.AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh9kZWZnaGlqa2xtbm9wcXJz"
    "yMnKy8zNzs_Q0dLT1NXW1w"
)

HOSTS = st.one_of(
    st.from_regex(r"[a-z0-9-]{1,20}(\.[a-z0-9-]{1,20}){0,3}", fullmatch=True),
    st.builds(str, st.builds(IPv4Address, st.integers(0, 2**32 - 1))),
    st.builds(str, st.builds(IPv6Address, st.integers(0, 2**128 - 1))),
)


def test_link_is_the_documented_text() -> None:
    link = Link("chat.example.org", 7222, KEY, SERVER, TOKEN)
    assert str(link) == INVITE
    assert parse_link(f"  {INVITE}\n") == link


@given(
    HOSTS,
    st.integers(1, 65_535),
    st.binary(min_size=32, max_size=32),
    st.binary(min_size=16, max_size=16),
    st.none() | st.binary(min_size=16, max_size=16),
)
def test_link_parses_back_to_itself(
    host: str, port: int, key: bytes, server: bytes, token: bytes | None
) -> None:
    link = Link(host, port, key, server, token)
    assert parse_link(str(link)) == link


@pytest.mark.parametrize(
    "text",
    [
        "",
        "https://chat.example.org/#1.AAAA",
        INVITE.replace("#1.", "#2."),
        INVITE.replace(":7222", ""),
        INVITE.replace("7222", "٧٢"),
        INVITE.replace("chat.example.org", "chat example"),
        INVITE.replace("chat.example.org", "a" * 254),
        INVITE + "!",
        INVITE + "\nx",
    ],
)
def test_reader_is_told_that_a_text_is_no_link(text: str) -> None:
    with pytest.raises(LinkError, match="not a chatd link"):
        parse_link(text)


@pytest.mark.parametrize("port", ["0", "65536", "99999"])
def test_reader_is_told_of_an_impossible_port(port: str) -> None:
    with pytest.raises(LinkError, match="port"):
        parse_link(INVITE.replace("7222", port))


def test_reader_is_told_of_a_link_cut_anywhere() -> None:
    # Regression: a length that base64 cannot have raised binascii.Error.
    data = INVITE.index("#1.") + 3
    without_token = len(str(Link("chat.example.org", 7222, KEY, SERVER)))
    for cut in range(data + 1, len(INVITE)):
        if cut != without_token:
            with pytest.raises(LinkError, match="damaged or cut short"):
                parse_link(INVITE[:cut])
    with pytest.raises(LinkError, match="damaged or cut short"):
        parse_link(INVITE + "A")


def test_reader_refuses_a_second_spelling_of_the_same_bytes() -> None:
    # Regression: the unused bits of the last character could be anything.
    assert INVITE.endswith("w")
    with pytest.raises(LinkError, match="damaged"):
        parse_link(INVITE[:-1] + "x")


@pytest.mark.parametrize(
    ("host", "port", "key", "server", "token"),
    [
        ("chät.example", 1, KEY, SERVER, None),
        ("a/b", 1, KEY, SERVER, None),
        ("[::1]", 1, KEY, SERVER, None),
        ("", 1, KEY, SERVER, None),
        ("h", 0, KEY, SERVER, None),
        ("h", 65_536, KEY, SERVER, None),
        ("h", 1, KEY[1:], SERVER, None),
        ("h", 1, KEY, SERVER + b"x", None),
        ("h", 1, KEY, SERVER, b""),
        ("h", 1, KEY, SERVER, bytes(limits.TOKEN_BYTES + 1)),
    ],
)
def test_link_that_could_not_be_parsed_back_is_not_made(
    host: str, port: int, key: bytes, server: bytes, token: bytes | None
) -> None:
    with pytest.raises(LinkError):
        Link(host, port, key, server, token)


def test_link_does_not_show_its_token_in_a_trace() -> None:
    assert repr(Link("h", 1, KEY, SERVER, TOKEN)) == "Link('h', 1)"
