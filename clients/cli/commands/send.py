"""``chat send``."""

import asyncio
import sys
from contextlib import aclosing

import click

from clients.cli.agent import HolderGone
from clients.cli.caller import Caller, lost, open_caller
from clients.cli.exits import TEMPORARY, Failed
from clients.cli.operations import MAX_TEXTS, Params
from clients.cli.output import run, show
from clients.cli.settings import Settings
from clients.sdk.body import MAX_TEXT_BYTES

MAX_BATCH_BYTES = 65_536
"""Texts of one request to the process that holds the account; one text always fits."""


class _Lines:
    """The standard input, a line a message; lines that wait already go together."""

    def __init__(self) -> None:
        self._lines: asyncio.Queue[str | None] = asyncio.Queue(MAX_TEXTS)
        self._next: list[str | None] = []

    async def read(self) -> None:
        """Read to the end; bounded by the queue."""
        while line := await asyncio.to_thread(sys.stdin.readline):
            await self._lines.put(line.rstrip("\r\n"))
        await self._lines.put(None)

    async def batch(self) -> list[str]:
        """Return the next lines, empty at the end; empty lines are left out."""
        texts: list[str] = []
        size = 0
        while not texts or not self._lines.empty() or self._next:
            line = self._next.pop() if self._next else await self._lines.get()
            if line is None:
                self._next.append(None)
                break
            size += len(line.encode(errors="replace"))
            if texts and (size > MAX_BATCH_BYTES or len(texts) >= MAX_TEXTS):
                self._next.append(line)
                break
            if line:
                texts.append(line)
        return texts


async def _send(settings: Settings, caller: Caller, params: Params) -> None:
    try:
        async with aclosing(caller.perform("send", params)) as rows:
            async for row in rows:
                show(settings, row)
    except HolderGone as gone:
        # Whether it was queued is not known: repeating could send it twice.
        raise lost("send") from gone


async def _send_lines(settings: Settings, caller: Caller, params: Params, source: _Lines) -> None:
    late: Failed | None = None
    while texts := await source.batch():
        try:
            await _send(settings, caller, {**params, "texts": list(texts)})
        except Failed as error:
            if error.exit_code != TEMPORARY or not params["wait"]:
                raise
            # No server now: the remaining lines are queued behind these.
            late, params = error, {**params, "wait": False}
    if late is not None:
        raise late


@click.command(context_settings={"ignore_unknown_options": True})
@click.argument("name")
@click.argument("text", required=False)
@click.option("--lines", is_flag=True, help="Send each line of the standard input as one message.")
@click.option("--no-wait", is_flag=True, help="Leave it queued; the next connection sends it.")
@click.option(
    "--timeout",
    type=click.FloatRange(0.1, 3600),
    default=30.0,
    show_default=True,
    metavar="SECONDS",
    help="How long to wait for the server before exiting with 75.",
)
@click.pass_obj
def send(
    settings: Settings, name: str, text: str | None, lines: bool, no_wait: bool, timeout: float
) -> None:
    """Send TEXT to NAME, or the standard input if TEXT is - , and wait until the server has it.

    A message is safe on this machine before anything is sent; it is never sent twice.
    """
    if (text is None) != lines:
        raise click.UsageError("give either TEXT (or -) or --lines")
    params: Params = {"peer": name, "wait": not no_wait, "timeout_ms": int(timeout * 1000)}

    async def work() -> None:
        folder = settings.home.find(settings.account)
        async with open_caller(settings, folder, not no_wait) as caller:
            if text is not None:
                await _send(settings, caller, {**params, "texts": [_whole(text)]})
                return
            source = _Lines()
            reading = asyncio.create_task(source.read())
            try:
                await _send_lines(settings, caller, params, source)
            finally:
                reading.cancel()

    run(settings, work())


def _whole(text: str) -> str:
    if text != "-":
        return text
    data = sys.stdin.buffer.read(MAX_TEXT_BYTES + 2)
    try:
        return data.decode().removesuffix("\n")
    except UnicodeDecodeError as error:
        if error.start > MAX_TEXT_BYTES - 4:
            raise Failed("invalid_input", f"a text has at most {MAX_TEXT_BYTES} bytes") from None
        raise Failed("invalid_input", "the standard input is not UTF-8") from None
