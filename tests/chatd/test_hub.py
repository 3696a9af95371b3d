"""Bounds, deadlines and what is left behind by connections that come and go."""

import asyncio
from pathlib import Path

import pytest

from chatd.hub import TICK_MS, network_of
from chatd.settings import Limits
from protocol.codec import encode
from protocol.errors import ErrorCode
from protocol.messages import messaging, session
from tests.chatd.actor import Actor
from tests.chatd.house import House, open_house

pytestmark = pytest.mark.asyncio


async def enters(house: House) -> Actor:
    """A stranger who was let in."""
    before = len(house.hub.peers)
    actor = await house.stranger("stranger")
    await house.until(lambda: len(house.hub.peers) > before)
    return actor


async def test_so_many_strangers_and_no_more(folder: Path) -> None:
    limits = Limits(max_unauthenticated=3, max_unauthenticated_per_address=3)
    async with open_house(folder, limits=limits) as house:
        strangers = [await enters(house) for _ in range(3)]
        await house.turns_away()
        strangers[0].drop()
        await house.empties(2)
        romeo = await house.arrives("romeo")
        await enters(house)  # who has logged in is no stranger
        await house.turns_away()
        await romeo.ping()


async def test_so_many_strangers_of_one_address_and_no_more(folder: Path) -> None:
    async with open_house(folder, limits=Limits(max_unauthenticated_per_address=2)) as house:
        for _ in range(2):
            await enters(house)
        await house.turns_away()
        elsewhere = await Actor.connect(
            house.server.ports[0], house.actors[0].me, source="127.0.0.2"
        )
        house.actors.append(elsewhere)
        await house.until(lambda: len(house.hub.peers) == 3)


async def test_so_many_connections_and_no_more(folder: Path) -> None:
    limits = Limits(max_connections=2, max_unauthenticated=2, max_unauthenticated_per_address=2)
    async with open_house(folder, limits=limits) as house:
        romeo, juliet = await house.arrives("romeo"), await house.arrives("juliet")
        await house.turns_away()
        await juliet.leave()
        await house.empties(1)
        await house.returns(juliet)
        await romeo.ping()


async def test_client_without_tls_is_told_that_the_server_is_busy(folder: Path) -> None:
    limits = Limits(max_connections=1, max_unauthenticated=1, max_unauthenticated_per_address=1)
    async with open_house(folder, limits=limits, plaintext=True) as house:
        await enters(house)
        over = await house.stranger()
        await over.is_cut(ErrorCode.BUSY)
        assert over.final is not None
        assert over.final.retryable


async def test_two_thousand_connections_leave_nothing_behind(house: House) -> None:
    """threats.md class 2."""
    romeo = await house.arrives("romeo")
    await house.core.idle()
    tasks = len(asyncio.all_tasks())
    port = house.server.ports[0]
    for _ in range(100):
        links = [asyncio.open_connection("127.0.0.1", port) for _ in range(20)]
        for i, (_reader, writer) in enumerate(await asyncio.gather(*links)):
            if i % 2:
                writer.write(b"\x16\x03\x01\x02\x00")  # half a handshake
            if i % 4 < 2:
                writer.close()
            else:
                writer.transport.abort()
        await romeo.ping()
    for _ in range(10):
        (await house.stranger()).drop()
        leaving = await house.stranger("nobody")
        leaving.hello()
        leaving.tell(session.Bye())
        await leaving.ends()
    await house.empties(1)
    await house.environment.advance(20_000)  # romeo speaks in time
    await romeo.ping()
    assert len(house.hub.peers) == 1
    await house.until(lambda: len(asyncio.all_tasks()) <= tasks)
    assert house.environment.timers_due <= 2  # the sweep and the reserve


async def test_stranger_who_does_not_log_in_is_cut_at_the_deadline(house: House) -> None:
    silent, slow = await enters(house), await enters(house)
    slow.hello()
    deadline_ms = house.core.config.limits.login_ms
    await house.environment.advance(deadline_ms)
    assert len(house.hub.peers) == 2
    await house.environment.advance(TICK_MS)
    await silent.is_cut(ErrorCode.DEADLINE_EXCEEDED)
    await slow.is_cut(ErrorCode.DEADLINE_EXCEEDED)
    await house.empties()


async def test_frame_that_is_not_finished_is_cut_at_the_deadline(house: House) -> None:
    """One byte a second is not enough: the deadline counts from the frame's first byte."""
    romeo = await house.arrives("romeo")
    peer = house.session(romeo).peer
    ping = encode(session.Ping(7))
    frame_ms = house.core.config.limits.frame_ms
    frame = encode(messaging.Typing(bytes(32), True))
    romeo.tell_raw(ping + frame[:1])
    await romeo.answer(7)
    assert peer.partial_since
    for i in range(1, frame_ms // 1_000 + 1):
        await house.environment.advance(1_000)
        held = peer.connection.buffered_bytes
        romeo.tell_raw(frame[i : i + 1])
        await house.until(lambda held=held: peer.connection.buffered_bytes > held)  # type: ignore[misc]  # bound now
    await house.environment.advance(TICK_MS)
    await romeo.is_cut(ErrorCode.DEADLINE_EXCEEDED)


async def test_frames_that_are_finished_in_time_are_not_cut(house: House) -> None:
    romeo = await house.arrives("romeo")
    peer = house.session(romeo).peer
    for nonce in range(100, 110):
        ping = encode(session.Ping(nonce))
        romeo.tell_raw(ping[:3])
        await house.until(lambda: peer.connection.buffered_bytes == 3)
        await house.environment.advance(house.core.config.limits.frame_ms - TICK_MS)
        romeo.tell_raw(ping[3:])
        await romeo.answer(nonce)
    assert not peer.partial_since


async def test_frame_that_the_server_keeps_from_ending_is_not_cut(house: House) -> None:
    romeo = await house.arrives("romeo")
    peer = house.session(romeo).peer
    await house.core.idle()
    house.disk.hold()
    requests = [romeo.sends("nobody", "x") for _ in range(256)]
    ping = encode(session.Ping(7_777))
    romeo.tell_raw(ping[:3])
    await house.until(lambda: peer.paused_by_us and peer.partial_since > 0)
    await house.environment.advance(house.core.config.limits.frame_ms + 2 * TICK_MS)
    house.disk.release()
    for request in requests:
        await romeo.answer(request)
    romeo.tell_raw(ping[3:])
    await romeo.answer(7_777)


async def test_silent_client_is_cut_after_two_keepalives(house: House) -> None:
    romeo, juliet = await house.arrives("romeo"), await house.arrives("juliet")
    keepalive_ms = house.core.config.limits.keepalive_ms
    assert juliet.welcome is not None
    assert juliet.welcome.keepalive_ms == keepalive_ms
    await house.environment.advance(keepalive_ms)
    await juliet.ping()
    await house.environment.advance(keepalive_ms)
    assert len(house.hub.peers) == 2
    await juliet.ping()
    await house.environment.advance(TICK_MS)
    await romeo.ends()
    assert romeo.final is None  # nobody is there to be told
    await juliet.ping()
    await house.empties(1)


async def test_sweep_takes_many_connections_in_slices(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("chatd.hub._SLICE", 2)
    async with open_house(folder) as house:
        strangers = [await enters(house) for _ in range(5)]
        await house.environment.advance(house.core.config.limits.login_ms)
        for _ in range(4):  # turns of the loop, and ticks, in which the slices are done
            await house.environment.advance(TICK_MS)
        for stranger in strangers:
            await stranger.is_cut(ErrorCode.DEADLINE_EXCEEDED)


async def test_connection_that_does_not_take_its_last_bytes_is_aborted(house: House) -> None:
    romeo = await house.arrives("romeo", receive_bytes=4_096)
    juliet = await house.arrives("juliet")
    slow = house.session(romeo)
    while not slow.behind:
        await juliet.says("romeo", b"x" * 60_000)
    await house.admin.disable_user("romeo")
    assert slow.peer.closing
    await house.environment.advance(2_000)
    await house.empties(1)


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("2001:db8:1:2::9", "20010db800010002"),
        ("2001:db8:1:2:ffff::1", "20010db800010002"),
        ("fe80::1%eth0", "fe80000000000000"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("", ""),
    ],
)
async def test_stranger_is_an_address_or_a_network(address: str, network: str) -> None:
    assert network_of(address) == network
