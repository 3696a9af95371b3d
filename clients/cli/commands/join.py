"""``chat join``."""

import platform

import click

from clients.cli import rows
from clients.cli.exits import Failed
from clients.cli.output import run, show
from clients.cli.settings import Settings, interactive, secret
from clients.sdk import join as joining
from clients.sdk.account import Tls
from clients.sdk.errors import Refused
from clients.sdk.home import Home
from clients.sdk.identity import prepare_device_name, prepare_user

_TAKEN = "name_unavailable"


def _default_device_name() -> str:
    name = "".join(c for c in platform.node() if c.isprintable()).strip()
    return name.encode()[:64].decode(errors="ignore") or "terminal"


@click.command()
@click.argument("link")
@click.option("--user", metavar="NAME", help="The user name you want; asked for if left out.")
@click.option(
    "--existing", is_flag=True, help="You have the account: make this machine a further device."
)
@click.option(
    "--device-name",
    default=_default_device_name,
    show_default="this machine's name",
    help="What this device is called in chat devices.",
)
@click.option("--password-fd", type=int, metavar="N", help="Read the password from descriptor N.")
@click.option("--password-env", metavar="NAME", help="Take the password from this variable.")
@click.option(
    "--tls",
    type=click.Choice(["pinned", "ca", "off"]),
    default="pinned",
    show_default=True,
    help="pinned: the server of the link, whatever its certificate; ca: and an authority vouches "
    "for its name; off: without TLS, on this machine only.",
)
@click.pass_obj
def join(
    settings: Settings,
    link: str,
    user: str | None,
    existing: bool,
    device_name: str,
    password_fd: int | None,
    password_env: str | None,
    tls: Tls,
) -> None:
    """Join a server with the invite LINK: makes your account, or adds this machine to it.

    Write LINK in quotes: the shell takes # for a comment otherwise.
    """

    async def work() -> None:
        parsed = joining.read_link(link)
        prepare_device_name(device_name)
        name = user
        if name is None:
            if not interactive():
                raise Failed("invalid_input", "name yourself with --user NAME")
            name = str(click.prompt("User name", err=True))
        name = prepare_user(name)
        password = secret("Password", password_fd, password_env, twice=not existing)
        known = settings.home.get(name, parsed.server_id)
        if known is None:
            passphrase = settings.new_passphrase()
        elif known.header.key_kind == "passphrase":
            passphrase = settings.known_passphrase(known)
        else:
            passphrase = None
        wish = joining.Wish(
            link, name, password, device_name, existing, tls, passphrase, settings.ring()
        )
        show(settings, await _join(settings, wish))

    run(settings, work())


async def _join(settings: Settings, wish: joining.Wish) -> rows.Row:
    environment = settings.environment()
    home = Home(settings.root)
    try:
        try:
            joined = await joining.join(environment, home, wish)
        except Refused as error:
            if error.reason != _TAKEN or wish.existing:
                raise
            if not interactive():
                raise Failed(
                    "refused",
                    f"the name {wish.user} is taken; if it is yours, repeat this with --existing",
                ) from error
            click.confirm(
                f"{wish.user} is taken. Is it yours, and shall this machine be a further device?",
                abort=True,
                err=True,
            )
            joined = await joining.join(environment, home, joining.as_existing(wish))
    finally:
        environment.close()
    return rows.done("join", user=joined.user, device=joined.device, account=joined.folder.name)
