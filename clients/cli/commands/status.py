"""``chat status``."""

import click

from clients.cli.caller import perform
from clients.cli.output import run, show_all
from clients.cli.settings import Settings


@click.command()
@click.pass_obj
def status(settings: Settings) -> None:
    """Show who you are, whether the server is reached, and every conversation.

    With several accounts in this home and none named, shows each of them.
    """

    async def work() -> None:
        accounts = settings.home.accounts()
        if settings.account is None and len(accounts) > 1:
            for folder in accounts:
                settings.account = folder.name
                await show_all(settings, perform(settings, "status", {}))
        else:
            await show_all(settings, perform(settings, "status", {}))

    run(settings, work())
