"""``chat watch``."""

import sys

import click

from clients.cli.caller import perform
from clients.cli.output import run, show_all
from clients.cli.settings import Settings


@click.command()
@click.option("--once", is_flag=True, help="Print what is there by now, then end.")
@click.option(
    "--read/--no-read",
    default=None,
    help="Tell the others that what is printed has been read.  [default: at a terminal only]",
)
@click.pass_obj
def watch(settings: Settings, once: bool, read: bool | None) -> None:
    """Print messages as they arrive, each at least once, until interrupted.

    Starts with what came since the last watch. Other chat commands work meanwhile.
    """
    if read is None:
        read = sys.stdout.isatty() and not settings.json

    async def work() -> None:
        await show_all(settings, perform(settings, "watch", {"once": once, "read": read}))

    run(settings, work())
