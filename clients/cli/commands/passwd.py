"""``chat passwd``."""

import click

from clients.cli.caller import perform
from clients.cli.operations import Params
from clients.cli.output import run, show_all
from clients.cli.settings import Settings, secret


@click.command()
@click.option("--password-fd", type=int, metavar="N", help="Read the old password from here.")
@click.option("--password-env", metavar="NAME", help="Take the old password from this variable.")
@click.option("--new-password-fd", type=int, metavar="N", help="Read the new password from here.")
@click.option(
    "--new-password-env", metavar="NAME", help="Take the new password from this variable."
)
@click.pass_obj
def passwd(
    settings: Settings,
    password_fd: int | None,
    password_env: str | None,
    new_password_fd: int | None,
    new_password_env: str | None,
) -> None:
    """Change the password of your account. Your devices stay logged in."""

    async def work() -> None:
        settings.home.find(settings.account)  # before asking for anything
        old = secret("Old password", password_fd, password_env)
        new = secret("New password", new_password_fd, new_password_env, twice=True)
        params: Params = {"old": old, "new": new}
        await show_all(settings, perform(settings, "change_password", params))

    run(settings, work())
