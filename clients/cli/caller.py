"""Getting an operation done: by the process that holds the account, or by becoming it."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing, asynccontextmanager
from typing import Final, Protocol

from clients.cli.agent import Agent, Guest, HolderGone
from clients.cli.exits import TEMPORARY, Failed
from clients.cli.operations import ENDLESS, OPERATIONS, Params
from clients.cli.rows import Row
from clients.cli.settings import Settings
from clients.sdk.client import Client
from clients.sdk.errors import StoreLocked
from clients.sdk.home import AccountFolder

_TRIES: Final = 100
_PAUSE_S: Final = 0.1
"""A holder that is starting or ending takes well under these ten seconds."""


class Caller(Protocol):
    """Performs operations, one after the other."""

    def perform(self, name: str, params: Params) -> AsyncGenerator[Row, None]:
        """Yield the operation's rows."""


class _Local:
    def __init__(self, client: Client) -> None:
        self._client = client

    def perform(self, name: str, params: Params) -> AsyncGenerator[Row, None]:
        return OPERATIONS[name](self._client, params)


@asynccontextmanager
async def open_caller(
    settings: Settings, folder: AccountFolder, connect: bool
) -> AsyncIterator[Caller]:
    """Find the holder of the account, or become it.

    Args:
        settings: Where to get the key from.
        folder: The account.
        connect: Whether to connect to the server if this process becomes the holder.

    Raises:
        ChatError: The store cannot be opened.
        Failed: Another process holds the store and does not serve it.
    """
    key: bytes | None = None
    for _ in range(_TRIES):
        guest = await Guest.connect(folder.path)
        if guest is not None:
            try:
                yield guest
            finally:
                guest.close()
            return
        if key is None:
            key = settings.key_of(folder)
        client = Client(folder, key, settings.environment(), connect=connect)
        try:
            await client.__aenter__()
        except StoreLocked:
            await asyncio.sleep(_PAUSE_S)
            continue
        agent = Agent(client, folder.path)
        try:
            await agent.start()
            yield _Local(client)
        finally:
            await agent.close()
            await client.close()
        return
    raise Failed("store_locked", f"another program holds {folder.path}: stop it")


async def perform(
    settings: Settings, name: str, params: Params, *, connect: bool = True
) -> AsyncGenerator[Row, None]:
    """Get one operation done and yield its rows.

    An endless one goes on when its holder ends. One that was not begun is repeated.

    Raises:
        ChatError, Failed: It failed.
    """
    folder = settings.home.find(settings.account)
    while True:
        async with open_caller(settings, folder, connect) as caller:
            try:
                async with aclosing(caller.perform(name, params)) as rows:
                    async for row in rows:
                        yield row
                return
            except HolderGone as gone:
                if gone.begun and name not in ENDLESS:
                    raise lost(name) from gone


def lost(name: str) -> Failed:
    """Return the error for a holder that was killed in the middle of an operation."""
    return Failed(
        "temporary",
        f"the process that held the account ended in the middle of {name}: see chat status, "
        "chat history, and repeat it if need be",
        TEMPORARY,
    )
