"""Running a command: rows to the standard output, failures to an exit code."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncGenerator, Coroutine

import click

from clients.cli import rows
from clients.cli.exits import INTERRUPTED, OUTPUT_CLOSED, TERMINATED, Failed, failed
from clients.cli.render import as_json, as_text
from clients.cli.rows import Row
from clients.cli.settings import Settings
from clients.sdk.errors import ChatError
from protocol.text import clean


def show(settings: Settings, row: Row) -> None:
    """Print one row and flush it: a reader at the other end of a pipe sees it at once."""
    line = as_json(row) if settings.json else as_text(row)
    if line is not None:
        is_note = row["type"] in ("note", "connection") and not settings.json
        click.echo(line, err=is_note)


async def show_all(settings: Settings, found: AsyncGenerator[Row, None]) -> None:
    """Print every row."""
    async for row in found:
        show(settings, row)


def run(settings: Settings, work: Coroutine[object, object, None]) -> None:
    """Run a command to its end, and exit with its code if it failed."""
    try:
        asyncio.run(_started(work))
    except ChatError as error:
        _fail(settings, failed(error))
    except Failed as error:
        _fail(settings, error)
    except BrokenPipeError:
        # The interpreter would complain once more when it flushes at its end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(OUTPUT_CLOSED)
    except (KeyboardInterrupt, click.Abort):
        sys.exit(INTERRUPTED)
    except asyncio.CancelledError:
        sys.exit(TERMINATED)


async def _started(work: Coroutine[object, object, None]) -> None:
    task = asyncio.current_task()
    assert task is not None
    # Leave the server and let the store go, as after Ctrl-C.
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    await work


def _fail(settings: Settings, error: Failed) -> None:
    if settings.json:
        click.echo(as_json(rows.error(error.code, error.text, error.exit_code)))
    else:
        click.echo(f"chat: {clean(error.text)}", err=True)
    sys.exit(error.exit_code)
