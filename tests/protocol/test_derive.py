"""Derived values: fixed bytes, no two inputs alike, and what the chain covers."""

from hashlib import sha256

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from protocol.derive import (
    ZERO_HASH,
    chain_entry,
    chain_next,
    direct_id,
    join,
    login_text,
    password_salt,
    welcome_text,
)
from protocol.messages.messaging import Entry

LABEL = b"label\0"
ENTRY = Entry(2, "romeo", 1, 2, 1_000, b"\x90", bytes(16), b"But soft")


def test_join_prefixes_each_part_with_its_length() -> None:
    assert join(b"l\0", b"ab", 258) == b"l\0\0\0\0\x02ab\0\0\0\x08\0\0\0\0\0\0\x01\x02"


@given(st.lists(st.binary(max_size=8), max_size=4), st.lists(st.binary(max_size=8), max_size=4))
def test_different_parts_give_different_texts(one: list[bytes], other: list[bytes]) -> None:
    assume(one != other)
    assert join(LABEL, *one) != join(LABEL, *other)


NAMES = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=20)


@given(NAMES, NAMES)
def test_direct_id_does_not_depend_on_who_asks(one: str, other: str) -> None:
    assert direct_id(one, other) == direct_id(other, one)


def test_direct_id_is_the_documented_hash() -> None:
    text = b"chatd/direct/1\0\0\0\0\x06juliet\0\0\0\x05romeo"
    assert direct_id("romeo", "juliet") == sha256(text).digest()
    assert direct_id("ab", "c") != direct_id("a", "bc")


def test_names_are_sorted_by_their_bytes() -> None:
    text = join(b"chatd/direct/1\0", b"z", "é".encode())
    assert direct_id("é", "z") == sha256(text).digest()


@pytest.mark.parametrize(
    "change",
    [
        {"seq": 3},
        {"user": "juliet"},
        {"device": 2},
        {"n": 3},
        {"header": b"\x91\x01"},
        {"message_id": bytes(15) + b"\x01"},
        {"body": b"But loud"},
    ],
    ids=str,
)
def test_chain_covers_all_that_a_sender_or_the_server_decides(change: dict[str, object]) -> None:
    names = ("seq", "user", "device", "n", "at_ms", "header", "message_id", "body")
    same = {name: getattr(ENTRY, name) for name in names}
    other = Entry(**{**same, **change})
    assert chain_entry(ZERO_HASH, other) != chain_entry(ZERO_HASH, ENTRY)
    assert chain_entry(sha256(b"").digest(), ENTRY) != chain_entry(ZERO_HASH, ENTRY)


def test_chain_does_not_cover_the_clock() -> None:
    later = Entry(2, "romeo", 1, 2, 9_999, b"\x90", bytes(16), b"But soft")
    assert chain_entry(ZERO_HASH, later) == chain_entry(ZERO_HASH, ENTRY)


def test_tombstone_continues_the_same_chain() -> None:
    body_hash = sha256(b"But soft").digest()
    tombstone = Entry(2, "romeo", 1, 2, 1_000, b"\x90", bytes(16), None, body_hash, 5)
    expected = chain_next(ZERO_HASH, 2, "romeo", 1, 2, b"\x90", bytes(16), body_hash)
    assert chain_entry(ZERO_HASH, ENTRY) == chain_entry(ZERO_HASH, tombstone) == expected


def test_entry_without_body_and_hash_has_no_place_in_a_chain() -> None:
    with pytest.raises(ValueError, match="body or the hash"):
        chain_entry(ZERO_HASH, Entry(2, "romeo", 1, 2, 1_000, b"\x90", bytes(16), None))


def test_signed_texts_begin_with_different_labels() -> None:
    texts = [
        login_text(bytes(16), bytes(32), "romeo", 1, 1),
        welcome_text(bytes(16), bytes(32), 1, 1),
    ]
    assert [text.split(b"\0")[0] for text in texts] == [b"chatd/login/1", b"chatd/hello/1"]


def test_password_salt_differs_by_server_and_user() -> None:
    salt = password_salt(bytes(16), "romeo")
    assert len(salt) == 16
    assert salt != password_salt(bytes(15) + b"\x01", "romeo")
    assert salt != password_salt(bytes(16), "juliet")
