"""One connection among others: its errors are its own, its last bytes arrive, its pauses end."""

from pathlib import Path

import pytest

from chatd.transport import MOST_A_TURN
from protocol.errors import ErrorCode
from protocol.messages import session
from tests.chatd.house import House, open_house

pytestmark = pytest.mark.asyncio


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"\xff\xff\xff\xff", ErrorCode.FRAME_TOO_LARGE),
        (b"\x00\x00\x00\x02\x7f\x90", ErrorCode.UNKNOWN_OP),
        (b"\x00\x00\x00\x02\x11\x90", ErrorCode.UNKNOWN_OP),
        (b"\x00\x00\x00\x02\x01\x90", ErrorCode.UNEXPECTED_FRAME),
        (b"\x00\x00\x00\x02\x09\xc1", ErrorCode.MALFORMED),
        (b"\x00\x00\x00\x00", ErrorCode.MALFORMED),
    ],
)
async def test_protocol_error_closes_that_connection_alone(
    house: House, data: bytes, code: ErrorCode
) -> None:
    romeo, juliet = await house.arrives("romeo"), await house.arrives("juliet")
    romeo.sends("juliet", "before the error")
    romeo.tell_raw(data)
    await romeo.is_cut(code)
    await juliet.receives("before the error")  # what came before it was handled
    await juliet.ping()
    await house.empties(1)


async def test_stranger_is_told_the_protocol_error(house: House) -> None:
    romeo = await house.stranger()
    romeo.tell_raw(b"GET / HTTP/1.1\r\n\r\n")
    await romeo.is_cut(ErrorCode.FRAME_TOO_LARGE)


async def test_frames_arrive_in_any_split(house: House) -> None:
    romeo = await house.arrives("romeo")
    peer = house.session(romeo).peer
    frame = romeo.connection.send(session.Ping(7))
    for i in range(len(frame) - 1):
        romeo.tell_raw(frame[i : i + 1])
        await house.until(lambda size=i + 1: peer.connection.buffered_bytes == size)  # type: ignore[misc]  # bound now
    romeo.tell_raw(frame[-1:])
    await romeo.answer(7)


@pytest.mark.parametrize("plaintext", [False, True])
async def test_client_that_leaves_at_once_does_not_hold_up_the_others(
    folder: Path, plaintext: bool, caplog: pytest.LogCaptureFixture
) -> None:
    """Its answer finds a closed socket in the tick in which others wait for theirs."""
    async with open_house(folder, plaintext=plaintext) as house:
        romeo, juliet = await house.arrives("romeo"), await house.arrives("juliet")
        for _ in range(20):
            tybalt = await house.stranger("tybalt")
            tybalt.hello()
            tybalt.hang_up()
            romeo.tell(session.Ping(7))
            juliet.tell(session.Ping(7))
            await romeo.answer(7)
            await juliet.answer(7)
        await house.empties(2)
    assert "Exception" not in caplog.text
    assert "RuntimeError" not in caplog.text


async def test_plaintext_serves_on_loopback(folder: Path) -> None:
    async with open_house(folder, plaintext=True) as house:
        romeo, juliet = await house.arrives("romeo"), await house.arrives("juliet")
        await romeo.says("juliet", "unwrapped")
        await juliet.receives("unwrapped")
        assert romeo.welcome is not None
        assert romeo.welcome.tls_key_hash == bytes(32)
        romeo = await house.returns(romeo)
        await romeo.ping()


async def test_bug_of_the_server_cuts_that_connection_alone(
    house: House, caplog: pytest.LogCaptureFixture
) -> None:
    romeo, juliet = await house.arrives("romeo"), await house.arrives("juliet")
    house.session(romeo).peer.send(session.Hello(1, "canary", ()))
    await romeo.ends()
    await juliet.ping()
    assert "bug_local_protocol" in caplog.text
    assert "canary" not in caplog.text


@pytest.mark.parametrize("plaintext", [False, True])
async def test_flight_of_small_frames_is_handled_in_turns_and_in_order(
    folder: Path, plaintext: bool
) -> None:
    """threats.md class 26: others get their turn; nothing is dropped, nothing overtakes."""
    async with open_house(folder, plaintext=plaintext) as house:
        romeo, juliet = await house.arrives("romeo"), await house.arrives("juliet")
        most = house.hub.bounds.acks_burst
        romeo.tell(*[session.Ping(n) for n in range(1, most + 1)])
        await juliet.says("romeo", "in between")
        for n in range(1, most + 1):
            assert await romeo.answer(n) == session.Pong(n)
        await romeo.receives("in between")


async def test_turn_takes_its_bound_of_frames_and_not_one_more(folder: Path) -> None:
    async with open_house(folder) as house:
        romeo = await house.arrives("romeo")
        peer = house.session(romeo).peer
        await romeo.ping()
        frame = romeo.connection.send(session.Ping(7))
        handled: list[int] = []
        house.hub.handlers[session.Ping.OP] = lambda _, __: handled.append(1)
        for frames, left in ((MOST_A_TURN, 0), (1, 0), (MOST_A_TURN, 0), (MOST_A_TURN + 1, 1)):
            handled.clear()
            romeo.tell_raw(frame * frames)
            await house.until(lambda: bool(handled))
            assert len(handled) == frames - left
            await house.until(lambda most=frames: len(handled) == most)  # type: ignore[misc]  # bound now
        assert not peer.paused_by_us


async def test_flight_is_answered_up_to_a_protocol_error_in_it(house: House) -> None:
    romeo = await house.arrives("romeo")
    ping = romeo.connection.send(session.Ping(7))
    romeo.tell_raw(ping + b"\x00\x00\x00\x02\x7f\x90")
    await romeo.is_cut(ErrorCode.UNKNOWN_OP)
