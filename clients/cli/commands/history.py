"""``chat history``."""

from datetime import datetime

import click

from clients.cli.caller import perform
from clients.cli.operations import Params
from clients.cli.output import run, show_all
from clients.cli.settings import Settings


def _moment(context: click.Context, parameter: click.Parameter, value: str | None) -> int | None:
    if value is None:
        return None
    try:
        return int(datetime.fromisoformat(value).astimezone().timestamp() * 1000)
    except (ValueError, OverflowError):
        raise click.BadParameter("use a date or time as in 2026-01-31T18:30") from None


@click.command()
@click.argument("name")
@click.option("--limit", type=click.IntRange(1, 1000), default=20, show_default=True)
@click.option("--before", type=click.IntRange(1), metavar="SEQ", help="Only older than number SEQ.")
@click.option("--after", type=click.IntRange(0), metavar="SEQ", help="Only newer than number SEQ.")
@click.option("--at", "at_ms", callback=_moment, metavar="TIME", help="From this time on.")
@click.option("--offline", is_flag=True, help="Only what is stored here; do not connect.")
@click.option("--read", is_flag=True, help="Tell the other that you have read it.")
@click.pass_obj
def history(
    settings: Settings,
    name: str,
    limit: int,
    before: int | None,
    after: int | None,
    at_ms: int | None,
    offline: bool,
    read: bool,
) -> None:
    """Print the conversation with NAME, oldest first.

    Behind your own messages: … queued, ✓ sent, ✓✓ delivered, "✓✓ read", ✗ refused.
    """
    if sum(place is not None for place in (before, after, at_ms)) > 1:
        raise click.UsageError("give one of --before, --after and --at")
    params: Params = {
        "peer": name,
        "limit": limit,
        "before": before,
        "after": after,
        "at_ms": at_ms,
        "offline": offline,
        "read": read,
    }

    async def work() -> None:
        rows = perform(settings, "history", params, connect=not offline)
        await show_all(settings, rows)

    run(settings, work())
