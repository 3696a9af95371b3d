"""The store's key: from a passphrase, or from a keyring that keeps secrets; never without."""

import keyring
import keyring.backend
import keyring.backends.fail
import keyring.backends.null
import pytest

from clients.sdk.errors import InvalidInput, NoKey, WrongKey
from clients.sdk.keystore import forget_key, load_key, make_key, passphrase_key, system_keyring

FRESH = bytes(range(48))


class Ring:
    """A keyring in memory."""

    def __init__(self) -> None:
        self.kept: dict[tuple[str, str], str] = {}

    def get_password(self, service: str, username: str, /) -> str | None:
        return self.kept.get((service, username))

    def set_password(self, service: str, username: str, password: str, /) -> None:
        self.kept[service, username] = password

    def delete_password(self, service: str, username: str, /) -> None:
        del self.kept[service, username]


def test_keystore_makes_the_same_key_from_the_same_passphrase() -> None:
    key, kind, hint = make_key("correct horse", None, FRESH)
    assert kind == "passphrase"
    assert len(key) == 32
    assert load_key(kind, hint, "correct horse", None) == key
    assert load_key(kind, hint, "correct horsf", None) != key


def test_keystore_keeps_a_random_key_in_the_keyring() -> None:
    ring = Ring()
    key, kind, hint = make_key(None, ring, FRESH)
    assert (kind, key) == ("keyring", FRESH[:32])
    assert load_key(kind, hint, None, ring) == key
    forget_key(kind, hint, ring)
    with pytest.raises(NoKey, match="gone"):
        load_key(kind, hint, None, ring)


def test_keystore_refuses_a_damaged_entry() -> None:
    ring = Ring()
    ring.set_password("chatd", "00", "not hex")
    with pytest.raises(WrongKey):
        load_key("keyring", "00", None, ring)


def test_keystore_says_what_to_do_when_there_is_no_key() -> None:
    with pytest.raises(NoKey, match="CHAT_PASSPHRASE"):
        make_key(None, None, FRESH)
    with pytest.raises(NoKey, match="CHAT_PASSPHRASE"):
        load_key("passphrase", "00" * 16, None, None)
    with pytest.raises(NoKey, match="keyring"):
        load_key("keyring", "00" * 16, None, None)


@pytest.mark.parametrize("length", [7, 1025])
def test_keystore_refuses_a_passphrase_out_of_bounds(length: int) -> None:
    with pytest.raises(InvalidInput):
        passphrase_key("x" * length, b"s" * 16)


@pytest.mark.parametrize("backend", [keyring.backends.null, keyring.backends.fail])
def test_keystore_takes_no_keyring_it_does_not_know(
    backend: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = backend.Keyring()  # type: ignore[attr-defined]  # both modules have one
    monkeypatch.setattr(keyring, "get_keyring", lambda: found)
    assert system_keyring() is None
