"""`chatd invite`, `chatd users` and `chatd devices`: who may come in."""

import re

import click

from chatd.admin_api import MAX_EXPIRES_MS, MAX_USES, DeviceInfo, Json, UserInfo, decode
from chatd.commands import render
from chatd.commands.access import Access, with_access
from protocol.text import clean

_UNITS_MS = {"s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000, "w": 604_800_000}


def _duration_ms(context: click.Context, parameter: click.Parameter, text: str) -> int | None:
    """`90s`, `30m`, `12h`, `7d`, `2w` as milliseconds; `never` as None."""
    if text == "never":
        return None
    match = re.fullmatch(r"([0-9]{1,9})([smhdw])", text)
    length_ms = int(match[1]) * _UNITS_MS[match[2]] if match else 0
    if not 0 < length_ms <= MAX_EXPIRES_MS:
        raise click.BadParameter(f"{text!r}: write 30m, 12h, 7d, 2w (up to 366d) or never")
    return length_ms


def _show_qr(function: click.decorators.FC) -> click.decorators.FC:
    return click.option(
        "--qr/--no-qr", "show_qr", default=None, help="Draw the QR code; by default on a terminal."
    )(function)


@click.command()
@click.option("--uses", type=click.IntRange(1, MAX_USES), default=1, show_default=True)
@click.option("--expires", callback=_duration_ms, default="7d", show_default=True)
@_show_qr
@with_access
def invite(access: Access, uses: int, expires: int | None, show_qr: bool | None) -> None:
    """Print a link that lets somebody register here."""
    link = str(access.ask("create_invite", {"uses": uses, "expires_ms": expires}))
    render.link(link, show_qr)
    times = "once" if uses == 1 else f"{uses} times"
    # The daemon's own settings made the link; those of this command may be others.
    address = link.removeprefix("chatd://").partition("/")[0]
    click.echo(
        f"Good {times}: chat join 'LINK', in quotes. It leads to {clean(address)}: "
        "set server.public_address if others must use another.",
        err=True,
    )


@click.group()
def users() -> None:
    """List users and decide about them."""


@users.command("list")
@click.option("--json", "json_", is_flag=True, help="One JSON list, flat.")
@with_access
def list_users(access: Access, json_: bool) -> None:
    """Show all users, each under the one who invited it."""
    infos = decode(UserInfo, access.ask("list_users"))
    click.echo(render.as_json(infos) if json_ else render.users(infos))


@users.command()
@click.argument("user")
@with_access
def disable(access: Access, user: str) -> None:
    """Cut a user off and let it log in no more."""
    access.ask("disable_user", {"name": user})
    click.echo("disabled")


@users.command()
@click.argument("user")
@with_access
def enable(access: Access, user: str) -> None:
    """Let a disabled user log in again."""
    access.ask("enable_user", {"name": user})
    click.echo("enabled")


@users.command()
@click.argument("user")
@_show_qr
@with_access
def reset(access: Access, user: str, show_qr: bool | None) -> None:
    """Print a link with which a user sets a new password, once."""
    render.link(str(access.ask("reset_user", {"name": user})), show_qr)


@users.command()
@click.argument("user")
@click.option("--yes", is_flag=True, help="Do not ask.")
@with_access
def delete(access: Access, user: str, yes: bool) -> None:
    """Delete a user for good. The name stays taken."""
    if not yes:
        click.confirm("Delete this account for good? The name stays taken", abort=True)
    access.ask("delete_user", {"name": user})
    click.echo("deleted")


@click.group()
def devices() -> None:
    """List a user's devices and revoke them."""


@devices.command("list")
@click.argument("user")
@click.option("--json", "json_", is_flag=True, help="One JSON list.")
@with_access
def list_devices(access: Access, user: str, json_: bool) -> None:
    """Show a user's devices."""
    infos = decode(DeviceInfo, access.ask("list_devices", {"name": user}))
    click.echo(render.as_json(infos) if json_ else render.devices(infos))


@devices.command()
@click.argument("user")
@click.argument("number", type=click.IntRange(0, 2**32 - 1))
@with_access
def revoke(access: Access, user: str, number: int) -> None:
    """Cut one device off for good."""
    params: dict[str, Json] = {"name": user, "number": number}
    access.ask("revoke_device", params)
    click.echo("revoked")
