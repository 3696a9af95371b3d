"""Row 9 of threats.md: what is odd but stored keeps its place, and sync and paging go on."""

import asyncio
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import msgpack
import pytest

from clients.sdk.body import encode_text
from protocol import derive, limits
from protocol.header import ClearHeader, Kind, encode_header
from protocol.messages import messaging as wire
from tests.clients.dialogue import texts_of
from tests.clients.peer import Log, Peer
from tests.clients.world import client_of, make_folder

pytestmark = pytest.mark.asyncio

BODIES = [
    b"",
    b"\xc1",
    b"\xff" * 100,
    b"\x91" * 2_000,
    b"\xdd\xff\xff\xff\xff",
    msgpack.packb([2, 0, "a later version"]),
    msgpack.packb([1, 9, "another kind"]),
    msgpack.packb([1, 0, b"bytes for a text"]),
    msgpack.packb({"a": 1}),
    b"\x93\x01\x00\xa1\xff",
    bytes(50_000),  # all of them fit one page
]
HEADERS = [
    b"\xc1",
    b"\xff" * limits.MAX_HEADER_BYTES,
    encode_header(ClearHeader(Kind.DELETION, limits.MAX_INT)),
    encode_header(ClearHeader(Kind.DELETION, 1)),  # another's: the client removes nothing
    encode_header(ClearHeader(Kind.DELETION, 0)),
]


def odd_log(log: Log) -> None:
    """Begin with a good one, add every oddity, end with a good one."""
    log.add("romeo", encode_text("first"), device=2)
    for body in BODIES:
        log.add("juliet", body)
    for header in HEADERS:
        alter(log, replace(log.add("juliet", encode_text("odd header")), header=header))
    gone = log.add("juliet", b"gone")
    alter(log, replace(gone, body=None, body_hash=sha256(b"gone").digest(), removed_by=3))
    log.add("juliet", encode_text("last"))


def alter(log: Log, entry: wire.Entry) -> None:
    """Replace the last entry, and its place in the chain."""
    log.entries[-1] = entry
    log.chains[-1] = derive.chain_entry(log.chains[-2], entry)


TEXTS = ["first", *[None] * len(BODIES), *["odd header"] * len(HEADERS), None, "last"]


@pytest.mark.parametrize("way", ["pushed", "pulled", "older"])
async def test_client_keeps_the_place_of_every_odd_entry(
    peer: Peer, tmp_path: Path, log: Log, way: str
) -> None:
    odd_log(log)
    head = len(log.entries)
    page = tuple(log.entries)
    async with client_of(make_folder(tmp_path, peer)) as romeo:
        events = romeo.events()
        if way == "older":
            wire_ = await peer.log_in(log.head("romeo", acked=head))
            await romeo.wait_synced()
            asking = asyncio.create_task(romeo.history("juliet", limit=head))
            asked = await wire_.expect(wire.History)
            wire_.send(wire.HistoryPage(asked.request, 1, head, log.id, page, False))
            shown = await asking
        else:
            wire_ = await peer.log_in(log.head("romeo"))
            asked = await wire_.expect(wire.History)
            if way == "pushed":
                wire_.send(*[wire.Event(log.id, entry) for entry in page])
                page = ()
            wire_.send(wire.HistoryPage(asked.request, 1, head, log.id, page, False))
            assert await texts_of(events, head) == TEXTS
            shown = await romeo.history("juliet", limit=head)
        assert [message.seq for message in shown] == list(range(1, head + 1))
        assert [message.text for message in shown] == TEXTS
        assert [(c.position, c.broken) for c in await romeo.conversations()] == [(head, 0)]
