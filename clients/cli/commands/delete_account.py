"""``chat delete-account``."""

import click

from clients.cli.caller import perform
from clients.cli.exits import Failed
from clients.cli.output import run, show_all
from clients.cli.settings import Settings, interactive, secret


@click.command("delete-account")
@click.option("--password-fd", type=int, metavar="N", help="Read the password from descriptor N.")
@click.option("--password-env", metavar="NAME", help="Take the password from this variable.")
@click.option("--yes", is_flag=True, help="Do not ask whether you mean it.")
@click.pass_obj
def delete_account(
    settings: Settings, password_fd: int | None, password_env: str | None, yes: bool
) -> None:
    """Delete your account on the server and everything of it on this machine, for good.

    The name stays taken for ever. Others keep the messages that they have.
    """

    async def work() -> None:
        folder = settings.home.find(settings.account)
        if not yes:
            if not interactive():
                raise Failed("invalid_input", "nobody can be asked here: add --yes")
            click.confirm(f"Delete {folder.name} for good?", abort=True, err=True)
        password = secret("Password", password_fd, password_env)
        await show_all(settings, perform(settings, "delete_account", {"password": password}))

    run(settings, work())
