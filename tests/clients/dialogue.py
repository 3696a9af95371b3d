"""What scripted dialogues with the client have in common: waiting for events, answering sends."""

from collections.abc import Callable

from clients.sdk.client import Client
from clients.sdk.events import (
    Event,
    MessageReceived,
    Typing,
)
from clients.sdk.streams import EventStream
from protocol.errors import ERRORS, ErrorCode
from protocol.messages import messaging as wire
from protocol.messages.session import Error
from tests.clients.peer import Log, Wire


async def until(events: EventStream, test: Callable[[Event], bool]) -> Event:
    """Return the first event that passes."""
    async for event in events:
        if test(event):
            return event
    raise AssertionError("the events ended")


async def texts_of(events: EventStream, count: int) -> list[str | None]:
    """Return the texts of the next messages."""
    texts: list[str | None] = []
    while len(texts) < count:
        event = await until(events, lambda e: isinstance(e, MessageReceived))
        assert isinstance(event, MessageReceived)
        texts.append(event.message.text)
    return texts


async def handled(wire_: Wire, client: Client, log: Log) -> None:
    """Wait until the client has handled all that was sent to it."""
    events = client.events()
    wire_.send(wire.TypingEvent(log.id, "juliet", True))
    await until(events, lambda e: isinstance(e, Typing))


def store(wire_: Wire, log: Log, send: wire.Send) -> None:
    """Store a message and say so."""
    entry = log.add("romeo", send.body, message_id=send.message_id)
    assert entry.n == send.n
    wire_.send(wire.Sent(send.request, entry.seq, entry.at_ms, log.chains[entry.seq]))


def refuse(wire_: Wire, send: wire.Send, code: ErrorCode, retry_after_ms: int = 0) -> None:
    """Answer a send with an error."""
    info = ERRORS[code]
    wire_.send(Error(send.request, code, info.text, info.retryable, retry_after_ms))
