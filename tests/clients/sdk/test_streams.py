"""Streams of events: bounded, honest about what they left out; handles follow one message."""

import asyncio

import pytest

from clients.sdk.errors import ClientClosed, DeviceRevoked, NotDelivered
from clients.sdk.events import EventsMissed, MessageStateChanged, ReceiptMoved, Typing
from clients.sdk.streams import MAX_EVENTS, Announcer

pytestmark = pytest.mark.asyncio


async def test_stream_keeps_its_bound_of_events() -> None:
    announcer = Announcer()
    stream = announcer.stream()
    announcer.announce([Typing(str(number), True) for number in range(MAX_EVENTS)])
    assert await anext(stream) == Typing("0", True)


async def test_stream_says_how_many_it_left_out_over_its_bound() -> None:
    announcer = Announcer()
    stream = announcer.stream()
    announcer.announce([Typing(str(number), True) for number in range(MAX_EVENTS + 2)])
    assert await anext(stream) == EventsMissed(2)
    assert await anext(stream) == Typing("2", True)


async def test_stream_ends_with_the_client_after_its_last_event() -> None:
    announcer = Announcer()
    streams = [announcer.stream(), announcer.stream()]
    announcer.announce([Typing("juliet", True)])
    announcer.finish(None, ClientClosed("closed"))
    assert [event async for event in streams[0]] == [Typing("juliet", True)]
    assert [event async for event in announcer.stream()] == []
    broken = Announcer()
    stream = broken.stream()
    broken.finish(DeviceRevoked("gone"), DeviceRevoked("gone"))
    with pytest.raises(DeviceRevoked):
        await anext(stream)


async def test_handle_follows_its_message() -> None:
    announcer = Announcer()
    handle = announcer.handle("juliet", b"\1")
    other = announcer.handle("juliet", b"\2")
    waiting = asyncio.ensure_future(handle.wait_sent())
    announcer.announce([MessageStateChanged("juliet", "01", "sent", 5)])
    assert await waiting == 5
    announcer.announce([ReceiptMoved("nurse", 9, 9), ReceiptMoved("juliet", 4, 4)])
    states: list[str] = [handle.state]
    announcer.announce([ReceiptMoved("juliet", 5, 4)])
    states.append(handle.state)
    announcer.announce([ReceiptMoved("juliet", 5, 5)])
    assert [*states, handle.state, other.state] == ["sent", "delivered", "read", "queued"]
    announcer.announce([MessageStateChanged("juliet", "02", "refused", 0, "not_allowed")])
    with pytest.raises(NotDelivered, match="not_allowed"):
        await other.wait_sent()


async def test_handle_stops_waiting_when_the_client_closes() -> None:
    announcer = Announcer()
    handle = announcer.handle("juliet", b"\1")
    announcer.finish(None, ClientClosed("closed"))
    with pytest.raises(ClientClosed):
        await handle.wait_sent()
    assert handle.state == "queued"
