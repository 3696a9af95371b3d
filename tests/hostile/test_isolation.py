"""Rows 14, 17 and 19: a stranger who knows every identifier learns and changes nothing."""

from collections.abc import Callable, Iterator

import pytest

from protocol.declare import Message
from protocol.derive import direct_id
from protocol.errors import ErrorCode
from protocol.header import PLAIN, ClearHeader, Kind, encode_header
from protocol.messages.account import DeviceList, ListDevices, RenameDevice, RevokeDevice
from protocol.messages.messaging import (
    Ack,
    Acks,
    Event,
    History,
    HistoryPage,
    Read,
    Receipt,
    Send,
    Sent,
    Typing,
)
from protocol.messages.session import Error
from tests.hostile.attacker import Scene, answers, user
from tests.wire.caller import Caller
from tests.wire.identity import Credential


@pytest.fixture
def mercutio(scene: Scene) -> Iterator[tuple[Caller, Credential]]:
    caller, credential = user(scene.server, "mercutio")
    yield caller, credential
    caller.close()


Request = Callable[[int, bytes, Scene], Message]
REQUESTS: dict[str, Request] = {
    "send": lambda i, cid, _: Send(i, cid, 1, bytes(16), PLAIN, b"x"),
    "send with a peer": lambda i, cid, scene: Send(
        i, cid, 1, bytes(16), PLAIN, b"x", scene.juliet_credential.user
    ),
    "delete": lambda i, cid, _: Send(
        i, cid, 1, bytes(16), encode_header(ClearHeader(Kind.DELETION, 1)), b""
    ),
    "read": lambda i, cid, _: Read(i, cid, 1, True),
    "history after": lambda i, cid, _: History(i, cid, 0, 0, 512, 60_000),
    "history before": lambda i, cid, _: History(i, cid, 1, 2, 512, 60_000),
    "history at": lambda i, cid, _: History(i, cid, 2, 0, 512, 60_000),
}


@pytest.mark.parametrize("name", REQUESTS)
def test_stranger_gets_the_same_answer_for_a_conversation_of_others_and_for_none(
    scene: Scene, mercutio: tuple[Caller, Credential], name: str
) -> None:
    stranger, _ = mercutio
    absent = direct_id("nobody", "at all")
    said = []
    for cid in (scene.conversation, absent):
        stranger.send(REQUESTS[name](7, cid, scene))
        said.append(stranger.receive())
    assert said[0] == said[1]
    assert isinstance(said[0], Error)
    assert said[0].code == ErrorCode.NOT_FOUND
    assert answers(scene.juliet)
    assert scene.juliet.pushes == []
    assert scene.say(b"he jests at scars").seq == 2


def test_stranger_moves_and_hears_nothing_by_frames_without_an_answer(
    scene: Scene, mercutio: tuple[Caller, Credential]
) -> None:
    stranger, _ = mercutio
    stranger.send(Acks((Ack(scene.conversation, 1),)), Typing(scene.conversation, True))
    assert answers(stranger)
    scene.juliet.send(Acks((Ack(scene.conversation, 1),)))
    receipt = scene.romeo.expect(Receipt)
    assert receipt.user == scene.juliet_credential.user
    assert scene.romeo.pushes == []
    assert answers(scene.juliet)
    assert stranger.pushes == scene.juliet.pushes == []
    assert stranger.sync().heads == ()


def test_stranger_cannot_speak_for_others_in_a_conversation_of_others(
    scene: Scene, mercutio: tuple[Caller, Credential]
) -> None:
    # The id is that of romeo and juliet; whoever is named, it is none of mercutio's.
    stranger, own = mercutio
    for peer in (scene.romeo_credential.user, scene.juliet_credential.user, own.user):
        stranger.send(Send(8, scene.conversation, 1, bytes(16), PLAIN, b"x", peer))
        said = stranger.receive()
        assert isinstance(said, Error)
        assert said.code == ErrorCode.NOT_FOUND


def test_nobody_can_talk_to_oneself_or_to_nobody(mercutio: tuple[Caller, Credential]) -> None:
    stranger, own = mercutio
    for peer in (own.user, "nobody at all"):
        cid = direct_id(own.user, peer)
        stranger.send(Send(9, cid, 1, bytes(16), PLAIN, b"x", peer))
        said = stranger.receive()
        assert isinstance(said, Error)
        assert said.code == ErrorCode.NOT_FOUND


def test_member_cannot_delete_what_another_one_sent(scene: Scene) -> None:
    header = encode_header(ClearHeader(Kind.DELETION, 1))
    scene.juliet.send(Send(5, scene.conversation, 1, bytes(16), header, b""))
    said = scene.juliet.receive()
    assert isinstance(said, Error)
    assert said.code == ErrorCode.NOT_ALLOWED
    asked = History(6, scene.conversation, 0, 0, 512, 60_000)
    (entry,) = scene.juliet.call(asked, HistoryPage).entries
    assert entry.body == b"but soft"


def test_receiver_sees_the_sender_that_the_server_knows(scene: Scene) -> None:
    scene.juliet.call(Send(5, scene.conversation, 1, bytes(16), PLAIN, b"ay me"), Sent)
    entry = scene.romeo.expect(Event).entry
    credential = scene.juliet_credential
    assert (entry.user, entry.device) == (credential.user, credential.device)


def test_sender_gets_no_receipt_for_what_is_not_there(scene: Scene) -> None:
    nowhere = direct_id(scene.juliet_credential.user, "nobody at all")
    for cid, seq in ((scene.conversation, 2), (nowhere, 1), (bytes(32), 1)):
        scene.juliet.send(Acks((Ack(cid, seq),)))
    for _ in range(50):  # the same one again is told once
        scene.juliet.send(Acks((Ack(scene.conversation, 1),)))
    assert answers(scene.juliet)
    scene.say(b"she speaks")
    receipts = [push for push in scene.romeo.pushes if isinstance(push, Receipt)]
    assert [(r.user, r.delivered) for r in receipts] == [(scene.juliet_credential.user, 1)]


@pytest.mark.parametrize("number", [2, 3, 2**32 - 1])
def test_devices_of_others_cannot_be_named(
    scene: Scene, mercutio: tuple[Caller, Credential], number: int
) -> None:
    # Device numbers count within an account: another account's are not even a name.
    second = Credential(scene.romeo_credential.user)
    with Caller(scene.server.port) as caller:
        caller.enrol(second)
    stranger, _ = mercutio
    for request in (RevokeDevice(3, number), RenameDevice(3, number, "mine")):
        stranger.send(request)
        said = stranger.receive()
        assert isinstance(said, Error)
        assert said.code == ErrorCode.NOT_FOUND
    listed = scene.romeo.call(ListDevices(4), DeviceList).devices
    assert [device.number for device in listed] == [1, 2]
    assert "mine" not in {device.name for device in listed}
