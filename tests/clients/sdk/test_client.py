"""The client against a scripted server: sending, receiving, acknowledging, catching up."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from clients.sdk.body import encode_text
from clients.sdk.events import MessageReceived
from protocol.messages.messaging import Acks, Event, Send, Sent
from tests.clients.peer import Log, Peer
from tests.clients.world import client_of, make_folder

pytestmark = pytest.mark.asyncio


@pytest_asyncio.fixture
async def peer() -> AsyncIterator[Peer]:
    async with Peer() as listening:
        yield listening


async def test_client_sends_a_queued_message_when_connected(peer: Peer, tmp_path: Path) -> None:
    log = Log("juliet", "romeo")
    async with client_of(make_folder(tmp_path, peer)) as romeo:
        handle = await romeo.send("juliet", "But, soft!")
        wire = await peer.log_in()
        send = await wire.expect(Send)
        assert (send.n, send.peer, send.conversation) == (1, "juliet", log.id)
        entry = log.add("romeo", send.body, message_id=send.message_id)
        wire.send(Sent(send.request, 1, entry.at_ms, log.chains[1]))
        assert await handle.wait_sent() == 1
        assert [m.state for m in await romeo.history("juliet")] == ["sent"]


async def test_client_acknowledges_what_it_stored(peer: Peer, tmp_path: Path) -> None:
    log = Log("juliet", "romeo")
    async with client_of(make_folder(tmp_path, peer)) as romeo:
        events = romeo.events()
        wire = await peer.log_in()
        await romeo.wait_synced()
        wire.send(Event(log.id, log.add("juliet", encode_text("Ay me!"))))
        acks = await wire.expect(Acks)
        assert [(a.conversation, a.seq) for a in acks.acks] == [(log.id, 1)]
        async for event in events:
            if isinstance(event, MessageReceived):
                assert event.message.text == "Ay me!"
                break
