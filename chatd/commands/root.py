"""The command tree of `chatd`, built over whatever serves and opens the store."""

import os
import sys

import click

from chatd import __version__
from chatd.commands.access import Access, Program, fail, with_access
from chatd.commands.check import check
from chatd.commands.exits import EXIT_FAILED
from chatd.commands.users import devices, invite, users
from chatd.config import default_toml

EPILOG = """Exit codes: 0 done; 1 refused or failed; 2 usage or configuration; 3 no such user or
device; 75 try again."""


@click.group(epilog=EPILOG, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, message="chatd %(version)s")
def root() -> None:
    """A chat server for one box.

    Commands beside `run` and `config` speak to the running daemon; when none runs, they
    open its data themselves.
    """


@root.command()
@with_access
def run(access: Access) -> None:
    """Serve until SIGTERM or SIGINT; SIGHUP reads the certificate again."""
    raise SystemExit(access.program.run(access.config))


@root.command()
def config() -> None:
    """Print a configuration file with every setting, its default and its meaning."""
    click.echo(default_toml(), nl=False)


for command in (invite, users, devices, check):
    root.add_command(command)


def start(program: Program, arguments: list[str] | None = None) -> None:
    """Run the command line; leaves by SystemExit with a documented code."""
    try:
        root.main(arguments, prog_name="chatd", obj=program)
    except OSError as error:
        # Of what foreign calls leave, this is ordinary: standard output on a full disk. What is
        # still buffered goes nowhere, or the interpreter would fail on it at its end (exit 120).
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        fail(error, EXIT_FAILED)
