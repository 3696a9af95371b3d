"""Sending, acknowledging, reading, typing, over real TLS."""

import pytest

from tests.chatd.house import House

pytestmark = pytest.mark.asyncio


async def test_romeo_and_juliet_talk(house: House) -> None:
    romeo, juliet = await house.arrives("romeo"), await house.arrives("juliet")

    sent = await romeo.says("juliet", "But soft!")
    event = await juliet.receives("But soft!", seq=1)
    assert (sent.seq, sent.at_ms) == (1, event.entry.at_ms)
    assert (event.entry.user, event.entry.device, event.entry.n) == ("romeo", 1, 1)

    juliet.acks("romeo", 1)
    await romeo.is_told("juliet", "juliet", delivered=1, read=0)
    await juliet.reads("romeo", 1)
    await romeo.is_told("juliet", "juliet", delivered=1, read=1)
    await romeo.hears_nothing()
    await juliet.hears_nothing()
