"""The endless operation: what arrives, as it arrives, each message at least once.

Messages are read from the store, from the last one that any watch has handed out: what came while
nobody watched, or while another command was connected, is not missed. Events are only the bell.
"""

from collections.abc import AsyncGenerator, Mapping
from typing import Final

from clients.cli import rows
from clients.cli.rows import Json, Row
from clients.sdk.client import Client
from clients.sdk.events import Event, EventsMissed, Message, MessageReceived

PAGE: Final = 100
"""Messages read from the store at a time."""


class _Cursors:
    """How far this watch is in each conversation."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._at: dict[str, int] = {}
        self._waiting: set[str] = set()

    async def look(self) -> None:
        """Find conversations with messages that were not handed out."""
        for c in await self._client.conversations():
            self._at.setdefault(c.peer, c.seen)
            if self._at[c.peer] < c.position:
                self._waiting.add(c.peer)

    def ring(self, message: Message) -> None:
        """A message came."""
        self._at.setdefault(message.peer, message.seq - 1)
        self._waiting.add(message.peer)

    async def take(self) -> list[Message]:
        """Return the next page of some conversation; empty when there is nothing."""
        while self._waiting:
            peer = min(self._waiting)
            found = await self._client.history(peer, after=self._at[peer], limit=PAGE)
            if found:
                self._at[peer] = found[-1].seq
                return found
            self._waiting.discard(peer)
        return []


async def watch(client: Client, params: Mapping[str, Json]) -> AsyncGenerator[Row, None]:
    """Yield messages and events; with ``once``, until everything that the server had is out.

    Raises:
        ChatError: The client cannot go on; or, with ``once``, there is no connection.
    """
    stream = client.events()
    cursors = _Cursors(client)
    await cursors.look()
    read, once = bool(params.get("read")), bool(params.get("once"))
    if once:
        async for row in _hand_out(client, cursors, read):
            yield row
        await client.wait_synced()
        await cursors.look()
    async for row in _hand_out(client, cursors, read):
        yield row
    if once:
        return
    async for event in stream:
        await _ring(cursors, event)
        async for row in _hand_out(client, cursors, read):
            yield row
        shown = rows.event(event)
        if shown is not None:
            yield shown


async def _ring(cursors: _Cursors, event: Event) -> None:
    match event:
        case MessageReceived():
            cursors.ring(event.message)
        case EventsMissed():
            await cursors.look()
        case _:
            pass


async def _hand_out(client: Client, cursors: _Cursors, read: bool) -> AsyncGenerator[Row, None]:
    while page := await cursors.take():
        for message in page:
            yield rows.message(message)
        # Marked when the page is out: a crash in between shows it again, never not at all.
        await client.mark_seen(page[-1])
        if read:
            await client.mark_read(page[-1].peer, page[-1].seq)
