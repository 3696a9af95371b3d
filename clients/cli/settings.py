"""What the global options say: where the accounts are, which one, how to print, where keys are."""

import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import click

from clients.cli.exits import Failed
from clients.sdk.environment import Environment
from clients.sdk.home import AccountFolder, Home
from clients.sdk.keystore import Keyring, load_key, system_keyring

PASSPHRASE_VARIABLE: Final = "CHAT_PASSPHRASE"  # noqa: S105  the name of a variable
MAX_SECRET_BYTES: Final = 4_096
"""Of a secret that is read from a descriptor; longer is not a password."""


@dataclass(slots=True)
class Settings:
    """The global options of one call."""

    root: Path
    account: str | None
    json: bool
    passphrase_fd: int | None
    environment: Callable[[], Environment] = Environment

    @property
    def home(self) -> Home:
        """The folder of accounts."""
        return Home(self.root)

    def ring(self) -> Keyring | None:
        """Return the system keyring, if it can be trusted with a key."""
        return system_keyring()

    def passphrase(self) -> str | None:
        """Return the passphrase from descriptor or environment; None if neither gives one."""
        if self.passphrase_fd is not None:
            return read_descriptor(self.passphrase_fd)
        return os.environ.get(PASSPHRASE_VARIABLE)

    def key_of(self, folder: AccountFolder) -> bytes:
        """Return the key of an account's store, asking for the passphrase at a terminal.

        Raises:
            ChatError: It cannot be had.
        """
        header = folder.header
        if header.key_kind == "keyring":
            return load_key("keyring", header.key_hint, None, self.ring())
        return load_key(header.key_kind, header.key_hint, self.known_passphrase(folder), None)

    def known_passphrase(self, folder: AccountFolder) -> str | None:
        """Return the passphrase of a store that is locked with one, asking at a terminal."""
        passphrase = self.passphrase()
        if passphrase is None and interactive():
            passphrase = ask(f"Passphrase of {folder.name}")
        return passphrase

    def new_passphrase(self) -> str | None:
        """Return the passphrase for a new store; None when the keyring will keep its key."""
        passphrase = self.passphrase()
        if passphrase is None and self.ring() is None and interactive():
            click.echo(
                "This machine has no keyring: a passphrase will lock your messages here.", err=True
            )
            passphrase = ask("New passphrase", twice=True)
        return passphrase


def with_global_options(command: click.Command) -> click.Command:
    """Let ``--json`` and ``--account`` stand behind a command too, where people write them."""

    def take_json(context: click.Context, _: click.Parameter, given: bool) -> None:
        if given:
            context.obj.json = True

    def take_account(context: click.Context, _: click.Parameter, name: str | None) -> None:
        if name is not None:
            context.obj.account = name

    command.params += [
        click.Option(
            ["--account"],
            metavar="NAME",
            expose_value=False,
            callback=take_account,
            help="Which account, if this home has several.",
        ),
        click.Option(
            ["--json"],
            is_flag=True,
            expose_value=False,
            callback=take_json,
            help="Print one JSON object a line.",
        ),
    ]
    if isinstance(command, click.Group):
        for inner in command.commands.values():
            with_global_options(inner)
    return command


def interactive() -> bool:
    """Whether somebody can be asked."""
    return sys.stdin.isatty() and sys.stderr.isatty()


def ask(what: str, *, twice: bool = False) -> str:
    """Ask for a secret at the terminal, without showing it."""
    answer: str = click.prompt(what, hide_input=True, confirmation_prompt=twice, err=True)
    return answer


def read_descriptor(fd: int) -> str:
    """Return the first line that an open file descriptor gives.

    Raises:
        Failed: It is not open, not UTF-8, or too long.
    """
    data = b""
    try:
        while b"\n" not in data and len(data) <= MAX_SECRET_BYTES:
            more = os.read(fd, MAX_SECRET_BYTES)
            if not more:
                break
            data += more
    except OSError as error:
        raise Failed(
            "invalid_input", f"descriptor {fd} cannot be read: {error.strerror}"
        ) from error
    line = data.split(b"\n", 1)[0]
    if len(line) > MAX_SECRET_BYTES:
        raise Failed("invalid_input", f"descriptor {fd} gives more than {MAX_SECRET_BYTES} bytes")
    try:
        return line.decode().removesuffix("\r")
    except UnicodeDecodeError:
        raise Failed("invalid_input", f"what descriptor {fd} gives is not UTF-8") from None


def secret(what: str, fd: int | None, variable: str | None, *, twice: bool = False) -> str:
    """Return a password from a descriptor, an environment variable, or the terminal.

    Raises:
        Failed: None of them gives one; says how to.
    """
    if fd is not None:
        return read_descriptor(fd)
    if variable is not None:
        found = os.environ.get(variable)
        if found is None:
            raise Failed("invalid_input", f"the environment variable {variable} is not set")
        return found
    if interactive():
        return ask(what, twice=twice)
    raise Failed(
        "invalid_input",
        f"{what}: nobody can be asked here; give it with --password-fd N or --password-env NAME",
    )
