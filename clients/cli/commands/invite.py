"""``chat invite``."""

import sys

import click
import segno

from clients.cli.caller import perform
from clients.cli.operations import Params
from clients.cli.output import run, show
from clients.cli.settings import Settings

_DAY_MS = 86_400_000


@click.command()
@click.option("--uses", type=click.IntRange(1, 100), default=1, show_default=True)
@click.option(
    "--days", type=click.IntRange(1, 30), default=7, show_default=True, help="How long it holds."
)
@click.option("--qr/--no-qr", default=None, help="Print a QR code too.  [default: at a terminal]")
@click.pass_obj
def invite(settings: Settings, uses: int, days: int, qr: bool | None) -> None:
    """Make an invite and print its link. Whoever has the link can register: send it privately."""
    if qr is None:
        qr = sys.stdout.isatty()

    async def work() -> None:
        params: Params = {"uses": uses, "expires_in_ms": days * _DAY_MS}
        async for row in perform(settings, "create_invite", params):
            show(settings, row)
            if qr and not settings.json:
                segno.make(str(row["link"])).terminal(compact=True)

    run(settings, work())
