"""Rows 5, 7 and 8: bodies that lie about their size or depth, and numbers that poison an order."""

import pytest

from protocol import limits
from protocol.client import ClientConnection
from protocol.errors import ErrorCode
from protocol.header import PLAIN
from protocol.messages.messaging import (
    Ack,
    Acks,
    Event,
    History,
    HistoryPage,
    Read,
    Sync,
    SyncPage,
)
from protocol.messages.session import Accepted, Error, Hello, Welcome
from protocol.ops import Op
from tests.hostile.attacker import Scene, answers, packed, raw_frame, refusal_of
from tests.server_process import ServerProcess
from tests.wire.caller import SOFTWARE, Caller
from tests.wire.identity import Credential, register

DEEP = limits.MAX_FRAME_BYTES - 1
HOLLOW = {
    "array32": b"\xdd\xff\xff\xff\xff",
    "map32": b"\xdf\xff\xff\xff\xff",
    "bin32": b"\xc6\xff\xff\xff\xff",
    "str32": b"\xdb\xff\xff\xff\xff",
    "ext32": b"\xc9\xff\xff\xff\xff\x01",
    "empty ext": b"\xc7\x00\x01",
    "array32 in an array": b"\x93" + b"\xdd\x7f\xff\xff\xff" * 3,
    "nothing": b"",
    "reserved": b"\xc1",
    "map": b"\x80",
    "integer": b"\x07",
}
POISON = [-1, -(2**31), -(2**63), 2**53, 2**63 - 1, 2**63, 2**64 - 1]


@pytest.mark.parametrize("body", HOLLOW.values(), ids=HOLLOW)
@pytest.mark.parametrize("logged_in", [False, True])
def test_server_refuses_a_hollow_body(server: ServerProcess, body: bytes, logged_in: bool) -> None:
    op = Op.SYNC if logged_in else Op.HELLO
    data = raw_frame(op, body)
    assert refusal_of(server, data, logged_in=logged_in) is ErrorCode.MALFORMED


@pytest.mark.parametrize("nest", [b"\x91", b"\x81\x01", b"\xdc\x00\x01"])
def test_server_refuses_a_deep_body_without_growing(server: ServerProcess, nest: bytes) -> None:
    data = raw_frame(Op.SEND, nest * (DEEP // len(nest)))
    assert refusal_of(server, data, logged_in=True) is ErrorCode.MALFORMED
    before = server.memory_kib()["Rss"]
    for _ in range(5):
        assert refusal_of(server, data, logged_in=True) is ErrorCode.MALFORMED
    assert server.memory_kib()["Rss"] - before <= 4_096


def test_server_refuses_trailing_bytes(server: ServerProcess) -> None:
    data = raw_frame(Op.SYNC, b"\x93\x01\x00\x00" + b"\xc0")
    assert refusal_of(server, data, logged_in=True) is ErrorCode.MALFORMED


@pytest.mark.parametrize("size", [1, 3, 7, 1_000_000])
def test_server_reads_the_same_messages_however_they_are_split(
    server: ServerProcess, size: int
) -> None:
    connection = ClientConnection()
    credential = Credential(f"split{size}")
    flight = connection.send(Hello(1, SOFTWARE, ())) + connection.send(register(1, credential))
    with Caller(server.port) as caller:
        for at in range(0, len(flight), size):
            caller.socket.sendall(flight[at : at + size])
        caller.connection.send(Hello(1, SOFTWARE, ()))
        assert isinstance(caller.receive(), Welcome)
        assert isinstance(caller.receive(), Accepted)
        assert isinstance(caller.call(Sync(2, 0, 0), SyncPage), SyncPage)


@pytest.mark.parametrize("value", POISON)
@pytest.mark.parametrize("field", ["n", "request", "ack", "read", "history", "since", "page"])
def test_server_refuses_a_number_out_of_bounds(scene: Scene, field: str, value: int) -> None:
    cid, message_id = scene.conversation, bytes(16)
    frames = {
        "n": packed(Op.SEND, 9, cid, value, message_id, PLAIN, b"x"),
        "request": packed(Op.SEND, value, cid, 2, message_id, PLAIN, b"x"),
        "ack": packed(Op.ACK, [[cid, value]]),
        "read": packed(Op.READ, 9, cid, value, True),
        "history": packed(Op.HISTORY, 9, cid, 0, value, 10, 1_000),
        "since": packed(Op.SYNC, 9, value, 0),
        "page": packed(Op.SYNC, 9, 0, value),
    }
    scene.romeo.socket.sendall(frames[field])
    said = scene.romeo.receive()
    assert isinstance(said, Error)
    assert (said.request, said.code) == (None, ErrorCode.MALFORMED)
    assert answers(scene.juliet)


@pytest.mark.parametrize(
    ("n", "code"),
    [
        (1, ErrorCode.DIVERGED),
        (3, ErrorCode.OUT_OF_ORDER),
        (2**32, ErrorCode.OUT_OF_ORDER),
        (limits.MAX_INT, ErrorCode.OUT_OF_ORDER),
    ],
)
def test_server_keeps_the_order_when_n_is_poisoned(scene: Scene, n: int, code: ErrorCode) -> None:
    said = _poison(scene, packed(Op.SEND, 9, scene.conversation, n, b"\xee" * 16, PLAIN, b"x"))
    assert said.code == code
    assert scene.say(b"what light").seq == 2


def _poison(scene: Scene, frame: bytes) -> Error:
    scene.romeo.socket.sendall(frame)
    said = scene.romeo.receive()
    assert isinstance(said, Error)
    return said


def test_server_keeps_its_cursors_when_a_seq_above_the_head_is_acknowledged(scene: Scene) -> None:
    for seq in (2, 2**32, limits.MAX_INT):
        scene.juliet.send(Acks((Ack(scene.conversation, seq),)))
        request = scene.juliet.next_request()
        scene.juliet.send(Read(request, scene.conversation, seq, True))
        said = scene.juliet.receive()
        assert isinstance(said, Error)
        assert (said.request, said.code) == (request, ErrorCode.NOT_FOUND)
    (head,) = scene.juliet.sync().heads
    assert (head.head, head.acked, head.read) == (1, 0, 0)


@pytest.mark.parametrize("direction", [0, 1, 2])
@pytest.mark.parametrize("position", [0, 2, 2**32, limits.MAX_INT])
def test_server_pages_from_any_position(scene: Scene, direction: int, position: int) -> None:
    request = scene.romeo.next_request()
    asked = History(request, scene.conversation, direction, position, 512, 1)
    page = scene.romeo.call(asked, HistoryPage)
    assert (page.first_seq, page.head) == (1, 1)
    assert len(page.entries) <= 1


def test_server_gives_seqs_itself(scene: Scene) -> None:
    # Unknown trailing fields are ignored: a "seq" among them, too.
    peer = scene.juliet_credential.user
    fields = (9, scene.conversation, 2, bytes(16), PLAIN, b"x", peer, 2**40, "mercutio")
    scene.romeo.socket.sendall(packed(Op.SEND, *fields))
    entry = scene.juliet.expect(Event).entry
    assert (entry.seq, entry.user) == (2, scene.romeo_credential.user)
