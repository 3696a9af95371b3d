"""Events to whoever iterates, and the state of single messages to whoever holds their handle."""

import asyncio
from collections import deque
from typing import Final
from weakref import WeakSet, WeakValueDictionary

from clients.sdk.errors import ChatError, NotDelivered
from clients.sdk.events import Event, EventsMissed, MessageState, MessageStateChanged, ReceiptMoved

MAX_EVENTS: Final = 1_024
"""Events kept for an iterator that is not reading; then the oldest go, and it is told how many.
Nothing is lost by that: messages are in the store, see :meth:`Client.unseen`."""


class EventStream:
    """An async iterator of events; ends when the client closes, raises when it cannot go on."""

    def __init__(self) -> None:
        self._events: deque[Event] = deque()
        self._missed = 0
        self._wake = asyncio.Event()
        self._end: list[ChatError | None] = []

    def __aiter__(self) -> "EventStream":
        return self

    async def __anext__(self) -> Event:
        while True:
            if self._missed:
                missed, self._missed = self._missed, 0
                return EventsMissed(missed)
            if self._events:
                return self._events.popleft()
            if self._end:
                if self._end[0] is not None:
                    raise self._end[0]
                raise StopAsyncIteration
            self._wake.clear()
            await self._wake.wait()

    def put(self, event: Event) -> None:
        """Append an event."""
        if len(self._events) >= MAX_EVENTS:
            self._events.popleft()
            self._missed += 1
        self._events.append(event)
        self._wake.set()

    def finish(self, error: ChatError | None) -> None:
        """End the iteration once everything before has been taken."""
        self._end = [error]
        self._wake.set()


class MessageHandle:
    """One message that was handed to the outbox: it is durable, and its state can be followed."""

    def __init__(self, peer: str, message_id: str) -> None:
        self.peer, self.message_id = peer, message_id
        self.seq = 0
        """Its place in the conversation; 0 until it is sent."""
        self.state: MessageState = "queued"
        self.reason: str | None = None
        self._settled: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        # Nobody has to wait: an unread exception is no fault.
        self._settled.add_done_callback(lambda f: f.cancelled() or f.exception())

    def __repr__(self) -> str:
        return f"MessageHandle({self.peer!r}, {self.message_id}, {self.state})"

    async def wait_sent(self) -> int:
        """Wait until the server has the message on disk; return its seq.

        Raises:
            NotDelivered: The server refused it for good.
            ChatError: The client was closed or cannot go on; the message stays queued.
        """
        await asyncio.shield(self._settled)
        return self.seq

    def change(self, state: MessageState, seq: int, reason: str | None) -> None:
        """Take a new state."""
        self.state, self.seq, self.reason = state, seq, reason
        if not self._settled.done():
            if state == "refused":
                self._settled.set_exception(NotDelivered(reason or "unknown"))
            else:
                self._settled.set_result(None)

    def give_up(self, error: ChatError) -> None:
        """End the wait: there will be no news."""
        if not self._settled.done():
            self._settled.set_exception(error)


class Announcer:
    """Gives events to streams and handles."""

    def __init__(self) -> None:
        self._streams: WeakSet[EventStream] = WeakSet()
        self._handles: WeakValueDictionary[str, MessageHandle] = WeakValueDictionary()
        self._end: list[ChatError | None] = []

    def stream(self) -> EventStream:
        """Return a new stream: it sees what happens from now on."""
        stream = EventStream()
        self._streams.add(stream)
        if self._end:
            stream.finish(self._end[0])
        return stream

    def handle(self, peer: str, message_id: bytes) -> MessageHandle:
        """Return the handle of a message that is about to be queued."""
        handle = MessageHandle(peer, message_id.hex())
        self._handles[handle.message_id] = handle
        return handle

    def announce(self, events: list[Event]) -> None:
        """Tell everybody."""
        for event in events:
            match event:
                case MessageStateChanged():
                    handle = self._handles.get(event.message_id)
                    if handle is not None:
                        handle.change(event.state, event.seq, event.reason)
                case ReceiptMoved():
                    self._receipt(event)
                case _:
                    pass  # of no concern to a single message
        for stream in list(self._streams):
            for event in events:
                stream.put(event)

    def _receipt(self, event: ReceiptMoved) -> None:
        for handle in list(self._handles.values()):
            if handle.peer == event.peer and 0 < handle.seq <= event.delivered:
                state: MessageState = "read" if handle.seq <= event.read else "delivered"
                handle.change(state, handle.seq, None)

    def finish(self, error: ChatError | None, for_handles: ChatError) -> None:
        """End all streams and all waits; with ``error``, streams raise it."""
        self._end = [error]
        for stream in list(self._streams):
            stream.finish(error)
        for handle in list(self._handles.values()):
            handle.give_up(for_handles)
