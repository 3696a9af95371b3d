"""``chat devices``: list, rename, revoke."""

import click

from clients.cli.caller import perform
from clients.cli.operations import Params
from clients.cli.output import run, show_all
from clients.cli.settings import Settings


@click.group(invoke_without_command=True)
@click.pass_context
def devices(context: click.Context) -> None:
    """List your devices; rename or revoke one."""
    if context.invoked_subcommand is None:
        context.invoke(list_devices)


@devices.command("list")
@click.pass_obj
def list_devices(settings: Settings) -> None:
    """List your devices (the default)."""
    run(settings, show_all(settings, perform(settings, "devices", {})))


@devices.command()
@click.argument("number", type=click.IntRange(1))
@click.argument("name")
@click.pass_obj
def rename(settings: Settings, number: int, name: str) -> None:
    """Give device NUMBER another NAME."""
    params: Params = {"number": number, "name": name}
    run(settings, show_all(settings, perform(settings, "rename_device", params)))


@devices.command()
@click.argument("number", type=click.IntRange(1))
@click.pass_obj
def revoke(settings: Settings, number: int) -> None:
    """Cut device NUMBER off for good; it keeps what it has, and gets nothing more."""
    run(settings, show_all(settings, perform(settings, "revoke_device", {"number": number})))
