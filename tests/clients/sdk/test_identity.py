"""Names, device keys, and every way in which a WELCOME can be wrong."""

from dataclasses import replace

import pytest

from clients.sdk.errors import InvalidInput, ServerNotTrusted
from clients.sdk.identity import (
    PLAINTEXT,
    DeviceKeys,
    Peer,
    peer_of,
    prepare_device_name,
    prepare_user,
    verify_welcome,
)
from protocol.messages.session import Welcome
from tests.clients.peer import FAR_FUTURE_S, SERVER_ID
from tests.clients.peer import Peer as Listening


@pytest.mark.parametrize(
    ("given", "prepared"), [("Romeo", "romeo"), ("ＲＯＭＥＯ", "romeo"), ("é", "é")]
)
def test_user_name_is_prepared(given: str, prepared: str) -> None:
    assert prepare_user(given) == prepared


@pytest.mark.parametrize("given", ["", "a b", "\x1b", "x" * 65, "\u202eabc", "\ud800"])
def test_user_name_is_refused(given: str) -> None:
    with pytest.raises(InvalidInput):
        prepare_user(given)


@pytest.mark.parametrize("given", ["", " ", "\x1b[2J", "x" * 65, "a\nb", "\ud800"])
def test_device_name_is_refused(given: str) -> None:
    with pytest.raises(InvalidInput):
        prepare_device_name(given)
    assert prepare_device_name(" " + "x" * 64) == "x" * 64


def test_device_keys_are_not_printed() -> None:
    assert "l" * 8 not in repr(DeviceKeys(b"l" * 32, b"s" * 32))


def check(welcome: Welcome, peer: Peer = PLAINTEXT, now_s: int = 1) -> None:
    verify_welcome(welcome, SERVER_ID, Listening().public_key, peer, now_s)


def test_welcome_of_the_pinned_server_is_trusted() -> None:
    check(Listening().welcome())


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"server_id": b"x" * 16}, "another server"),
        ({"server_key": b"x" * 32}, "another server"),
        ({"signature": b"x" * 64}, "cannot prove"),
        ({"not_after_s": FAR_FUTURE_S + 1}, "cannot prove"),
        ({"tls_key_hash": b"x" * 32}, "cannot prove"),
    ],
)
def test_welcome_is_refused_when_a_field_is_wrong(change: dict[str, bytes], message: str) -> None:
    with pytest.raises(ServerNotTrusted, match=message):
        check(replace(Listening().welcome(), **change))  # type: ignore[arg-type]  # by name


def test_welcome_is_refused_for_another_tls_key_and_another_time() -> None:
    with pytest.raises(ServerNotTrusted, match="intercepted"):
        check(Listening().welcome(), Peer(b"x" * 32, b"x" * 32))
    with pytest.raises(ServerNotTrusted, match="clock"):
        check(Listening().welcome(), now_s=FAR_FUTURE_S + 301)


def test_certificate_that_cannot_be_read_is_not_trusted() -> None:
    with pytest.raises(ServerNotTrusted):
        peer_of(b"no certificate")
