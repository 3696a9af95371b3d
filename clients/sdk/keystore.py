"""The 32-byte key of a store: from a passphrase, or kept by a keyring that keeps secrets secret.

There is no third way: a store is never opened or made without one of the two. Keyrings are taken
from a list of known good ones, since some (``keyrings.alt``, the null keyring) write plain text.
Blocking: call it in a thread, or before a loop runs.
"""

from typing import Final, Protocol

import keyring
import keyring.backend
import keyring.backends.chainer
import keyring.errors

from clients.sdk.errors import InvalidInput, NoKey, WrongKey
from clients.sdk.password import argon2id

SERVICE: Final = "chatd"
MIN_PASSPHRASE_CHARACTERS: Final = 8
MAX_PASSPHRASE_CHARACTERS: Final = 1024
SALT_BYTES: Final = 16

_TRUSTED: Final = frozenset(
    {
        "keyring.backends.SecretService",
        "keyring.backends.libsecret",
        "keyring.backends.kwallet",
        "keyring.backends.macOS",
        "keyring.backends.Windows",
    }
)

_ADVICE: Final = (
    "this account's store needs a key, and this machine has no keyring that keeps one safely: "
    "give a passphrase (when asked, in the environment variable CHAT_PASSPHRASE, or with "
    "--passphrase-fd N)"
)


class Keyring(Protocol):
    """The part of a system keyring that is used."""

    def get_password(self, service: str, username: str, /) -> str | None: ...

    def set_password(self, service: str, username: str, password: str, /) -> None: ...

    def delete_password(self, service: str, username: str, /) -> None: ...


def system_keyring() -> Keyring | None:
    """Return this machine's keyring if it is one of the known good ones."""
    found = keyring.get_keyring()
    if isinstance(found, keyring.backends.chainer.ChainerBackend):
        candidates = list(found.backends)
    else:
        candidates = [found]
    return next((k for k in candidates if type(k).__module__ in _TRUSTED), None)


def passphrase_key(passphrase: str, salt: bytes) -> bytes:
    """Stretch a passphrase into a key; about a tenth of a second and 64 MiB.

    Raises:
        InvalidInput: It is too short, too long, or not UTF-8.
    """
    if not MIN_PASSPHRASE_CHARACTERS <= len(passphrase) <= MAX_PASSPHRASE_CHARACTERS:
        raise InvalidInput(
            f"a passphrase has {MIN_PASSPHRASE_CHARACTERS} to {MAX_PASSPHRASE_CHARACTERS} "
            "characters"
        )
    try:
        return argon2id(passphrase.encode(), salt)
    except UnicodeEncodeError as error:
        # The codec's error holds the text: keep it out of the chain.
        del error
        raise InvalidInput("the passphrase is not UTF-8") from None


def make_key(
    passphrase: str | None, ring: Keyring | None, random_bytes: bytes
) -> tuple[bytes, str, str]:
    """Make the key of a new store.

    Args:
        passphrase: Wins over the keyring when given.
        ring: What :func:`system_keyring` returned, or None.
        random_bytes: 48 bytes: the key for the keyring, and the salt or entry name.

    Returns:
        The key, and the header's ``key_kind`` and ``key_hint``.

    Raises:
        NoKey: Neither is there, or the keyring refuses.
        InvalidInput: The passphrase is out of its bounds.
    """
    fresh, hint = random_bytes[:32], random_bytes[32 : 32 + SALT_BYTES]
    if passphrase is not None:
        return passphrase_key(passphrase, hint), "passphrase", hint.hex()
    if ring is None:
        raise NoKey(_ADVICE)
    try:
        ring.set_password(SERVICE, hint.hex(), fresh.hex())
    except keyring.errors.KeyringError as error:
        raise NoKey(f"the keyring refused ({type(error).__name__}); {_ADVICE}") from error
    return fresh, "keyring", hint.hex()


def load_key(kind: str, hint: str, passphrase: str | None, ring: Keyring | None) -> bytes:
    """Return the key of an existing store; whether it is the right one shows when it is opened.

    Raises:
        NoKey: The passphrase was not given, or the keyring is not there or has no such entry.
        WrongKey: The keyring's entry is damaged.
        InvalidInput: The passphrase is out of its bounds.
    """
    if kind == "passphrase":
        if passphrase is None:
            raise NoKey(
                "this account's store is locked with a passphrase: give it when asked, in the "
                "environment variable CHAT_PASSPHRASE, or with --passphrase-fd N"
            )
        return passphrase_key(passphrase, bytes.fromhex(hint))
    if ring is None:
        raise NoKey(
            "this account's key is in the system keyring, which cannot be reached from here: "
            "log in to the desktop session that holds it"
        )
    try:
        found = ring.get_password(SERVICE, hint)
    except keyring.errors.KeyringError as error:
        raise NoKey(f"the keyring refused ({type(error).__name__}): unlock it") from error
    if found is None:
        raise NoKey("the keyring has no entry for this account: its key is gone")
    try:
        key = bytes.fromhex(found)
    except ValueError:
        key = b""
    if len(key) != 32:
        raise WrongKey("the keyring's entry for this account is damaged")
    return key


def forget_key(kind: str, hint: str, ring: Keyring | None) -> None:
    """Remove the keyring's entry of a deleted account; what is not there is no error."""
    if kind == "keyring" and ring is not None:
        try:
            ring.delete_password(SERVICE, hint)
        except keyring.errors.KeyringError:
            pass  # the store it opened is gone: the entry is worthless
