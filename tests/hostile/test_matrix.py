"""Row 17, generated: every op that names an object x who asks x whose object it is.

A new op of a session fails :func:`test_every_op_of_a_session_is_in_the_matrix` until it is placed.
"""

from collections.abc import Callable, Iterator

import pytest

from protocol.declare import MESSAGES, Message
from protocol.derive import direct_id
from protocol.errors import ErrorCode
from protocol.header import PLAIN
from protocol.messages.account import GetProfile, RenameDevice, RevokeDevice
from protocol.messages.messaging import Ack, Acks, History, Read, Send, Sent, Typing
from protocol.messages.session import GoAway, Ping
from protocol.ops import Op, Role
from protocol.state import MOVES, State
from tests.hostile.attacker import Scene, answers, user
from tests.wire.caller import Caller, Closed
from tests.wire.identity import Credential

CONVERSATION: dict[Op, Callable[[bytes], Message]] = {
    Op.SEND: lambda cid: Send(7, cid, 1, bytes(16), PLAIN, b"x"),
    Op.READ: lambda cid: Read(7, cid, 1, True),
    Op.HISTORY: lambda cid: History(7, cid, 0, 0, 512, 60_000),
    Op.ACK: lambda cid: Acks((Ack(cid, 1),)),
    Op.TYPING: lambda cid: Typing(cid, True),
}
DEVICE: dict[Op, Callable[[int], Message]] = {
    Op.RENAME_DEVICE: lambda number: RenameDevice(7, number, "mine"),
    Op.REVOKE_DEVICE: lambda number: RevokeDevice(7, number),
}
OWN = {
    Op.PING,
    Op.BYE,
    Op.SYNC,
    Op.LIST_DEVICES,
    Op.PROVE,
    Op.CHANGE_PASSWORD,
    Op.DELETE_ACCOUNT,
    Op.SET_DISPLAY_NAME,
    Op.CREATE_INVITE,
}
"""Name no object: they act on the account that asks."""
PUBLIC = {Op.GET_PROFILE}
"""Open to every user by the exact name, on a budget: see tests/chatd/services/test_lookups.py."""

ROLES = ["stranger", "friend of one", "peer in another chat"]


def raw_answer(caller: Caller, message: Message) -> bytes:
    """Return the bytes that a message is answered with; of one without an answer, a PONG's."""
    caller.send(message)
    if not hasattr(message, "request"):
        caller.send(Ping(4_711))
    return caller.socket.recv(65_536)


@pytest.fixture
def asker(scene: Scene, request: pytest.FixtureRequest) -> Iterator[Caller]:
    """Somebody logged in, who is no member of the scene's conversation."""
    caller, own = user(scene.server, "asker")
    friends = {"stranger": [], "friend of one": [scene.romeo_credential]}.get(
        request.param, [scene.romeo_credential, scene.juliet_credential]
    )
    for credential in friends:
        cid = direct_id(own.user, credential.user)
        caller.call(Send(1, cid, 1, bytes(16), PLAIN, b"hello", credential.user), Sent)
    yield caller
    caller.close()


def test_every_op_of_a_session_is_in_the_matrix() -> None:
    ops = {op for op in MOVES[State.READY] if MESSAGES[op].SENDER is Role.CLIENT}
    assert ops == CONVERSATION.keys() | DEVICE.keys() | OWN | PUBLIC


@pytest.mark.parametrize("op", CONVERSATION, ids=lambda op: op.name)
@pytest.mark.parametrize("asker", ROLES, indirect=True)
def test_outsider_gets_byte_for_byte_what_an_absent_conversation_gives(
    scene: Scene, asker: Caller, op: Op
) -> None:
    forbidden = raw_answer(asker, CONVERSATION[op](scene.conversation))
    absent = raw_answer(asker, CONVERSATION[op](direct_id("nobody", "at all")))
    assert forbidden == absent
    for member in (scene.romeo, scene.juliet):
        assert answers(member)
    assert scene.say(b"unharmed").seq == 2


@pytest.mark.parametrize("op", DEVICE, ids=lambda op: op.name)
@pytest.mark.parametrize("asker", ROLES, indirect=True)
def test_outsider_gets_byte_for_byte_what_an_absent_device_gives(
    scene: Scene, asker: Caller, op: Op
) -> None:
    with Caller(scene.server.port) as caller:
        caller.enrol(Credential(scene.romeo_credential.user))  # number 2
    assert raw_answer(asker, DEVICE[op](2)) == raw_answer(asker, DEVICE[op](2**32 - 1))


@pytest.mark.parametrize("op", [*CONVERSATION, *DEVICE, Op.GET_PROFILE], ids=lambda op: op.name)
def test_revoked_device_gets_nothing_but_its_dismissal(scene: Scene, op: Op) -> None:
    phone = Credential(scene.juliet_credential.user)
    with Caller(scene.server.port) as revoked:
        revoked.enrol(phone)
        revoked.sync()
        scene.juliet.send(RevokeDevice(scene.juliet.next_request(), phone.device))
        if op in CONVERSATION:
            message = CONVERSATION[op](scene.conversation)
        else:
            message = DEVICE[op](1) if op in DEVICE else GetProfile(7, scene.romeo_credential.user)
        assert answers(scene.juliet)
        said = revoked.receive()
        assert isinstance(said, GoAway)
        assert said.code == ErrorCode.DEVICE_REVOKED
        with pytest.raises((Closed, OSError)):  # noqa: PT012  whichever notices first
            revoked.send(message)
            revoked.receive()
