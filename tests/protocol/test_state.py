"""The transition table against both machines: every state, every op, both roles, both ways."""

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from protocol import limits
from protocol.codec import DECODERS, encode, frame, pack
from protocol.connection import Connection
from protocol.declare import MESSAGES, Message
from protocol.errors import FrameTooLarge, LocalProtocolError, UnexpectedFrame, UnknownOp
from protocol.messages.session import Bye, GoAway, Ping
from protocol.ops import Op, Role
from protocol.state import HOLDS, MOVES, State
from tests.protocol import strategies
from tests.protocol.helpers import feed, in_state, raw, sender_of

OPEN = [state for state in State if state is not State.CLOSED]
UNDECLARED = sorted(set(range(256)) - set(Op))


def least(op: Op) -> Message:
    """The message of an op whose fields are all at their least."""
    row = tuple(strategies.smallest(field.spec) for field in strategies.fields_of(MESSAGES[op]))
    return DECODERS[op](pack(row))


@pytest.mark.parametrize("op", Op)
@pytest.mark.parametrize("state", OPEN)
@pytest.mark.parametrize("role", Role)
def test_connection_receives_as_the_table_says(role: Role, state: State, op: Op) -> None:
    connection, message = in_state(role, state), least(op)
    received = connection.receive_data(encode(message))
    if sender_of(op) is role:
        assert (received, type(connection.failure)) == ([], UnknownOp)
        assert connection.state is State.CLOSED
    elif op not in MOVES[state]:
        assert (received, type(connection.failure)) == ([], UnexpectedFrame)
        assert connection.state is State.CLOSED
    else:
        assert (received, connection.failure) == ([message], None)
        assert connection.state is MOVES[state][op]
        assert connection.held is (role is Role.SERVER and op in HOLDS)


@pytest.mark.parametrize("op", Op)
@pytest.mark.parametrize("state", State)
@pytest.mark.parametrize("role", Role)
def test_connection_sends_as_the_table_says(role: Role, state: State, op: Op) -> None:
    connection, message = in_state(role, state), least(op)
    data = encode(message)
    if sender_of(op) is role and op in MOVES[state]:
        assert connection.send(message) == data
        assert connection.state is MOVES[state][op]
    else:
        with pytest.raises(LocalProtocolError, match=op.name):
            connection.send(message)
        assert connection.state is state
        with pytest.raises(LocalProtocolError, match=op.name):
            connection.relay(op, data)


@pytest.mark.parametrize("op", UNDECLARED)
@pytest.mark.parametrize("role", Role)
def test_connection_refuses_an_op_that_nobody_declared(role: Role, op: int) -> None:
    for state in OPEN:
        connection = in_state(role, state)
        assert connection.receive_data(raw(op, b"\x90")) == []
        assert isinstance(connection.failure, UnknownOp)


@pytest.mark.parametrize("role", Role)
def test_closed_connection_ignores_every_byte(role: Role) -> None:
    for op in range(256):
        connection = in_state(role, State.CLOSED)
        assert feed(connection, [raw(op, b"\x90")]) == ([], None, State.CLOSED)


@pytest.mark.parametrize("state", OPEN)
@pytest.mark.parametrize("role", Role)
def test_bound_of_a_frame_follows_the_state(role: Role, state: State) -> None:
    most = limits.MAX_EARLY_FRAME_BYTES if state < State.READY else limits.MAX_FRAME_BYTES
    connection = in_state(role, state)
    connection.receive_data((most + 1).to_bytes(4, "big"))
    assert isinstance(connection.failure, FrameTooLarge)


def test_table_leads_only_to_states_and_closed_is_the_end() -> None:
    assert set(MOVES) == set(State)
    assert MOVES[State.CLOSED] == {}
    assert {op for row in MOVES.values() for op in row} == set(Op)
    # Nothing is stored before login, and nobody leaves READY backwards.
    assert Op.SEND not in MOVES[State.CONNECTED] | MOVES[State.AUTHENTICATING]
    for state, row in MOVES.items():
        assert all(new >= state for new in row.values())


def test_holds_are_requests_of_clients_before_login() -> None:
    assert all(sender_of(op) is Role.CLIENT for op in HOLDS)
    assert all(op in MOVES[State.AUTHENTICATING] and op not in MOVES[State.READY] for op in HOLDS)


SESSION = st.sampled_from(
    sorted(op for op in MOVES[State.READY] if sender_of(op) is Role.CLIENT and op is not Op.BYE)
).flatmap(strategies.messages)


def bad_frames() -> st.SearchStrategy[bytes]:
    """Frames that break the protocol in READY, in each way that there is."""
    return st.one_of(
        st.integers(limits.MAX_FRAME_BYTES + 1, 2**32 - 1).map(lambda n: n.to_bytes(4, "big")),
        st.sampled_from(UNDECLARED).map(lambda op: raw(op, b"\x90")),
        st.just(encode(GoAway(53, 0))),
        st.sampled_from([Op.HELLO, Op.LOGIN]).map(lambda op: raw(op, b"\x90")),
        st.binary(max_size=40).map(lambda body: frame(Op.PING, b"\xc1" + body)),
        st.just(bytes(4)),
    )


def split(data: bytes, cuts: list[int]) -> list[bytes]:
    """The data in pieces, cut where told; out-of-range cuts make empty pieces."""
    places = sorted({0, len(data), *(cut % (len(data) + 1) for cut in cuts)})
    return [data[a:b] for a, b in pairwise(places)]


@given(
    st.lists(SESSION, max_size=5),
    st.none() | bad_frames(),
    st.lists(SESSION, max_size=2),
    st.lists(st.integers(0, 2**16), max_size=12),
)
@settings(max_examples=150, deadline=None)
def test_any_split_of_a_stream_gives_the_same_messages_and_the_same_failure(
    before: list[Message], bad: bytes | None, behind: list[Message], cuts: list[int]
) -> None:
    data = b"".join(map(encode, before)) + (bad or b"") + b"".join(map(encode, behind))
    whole = feed(in_state(Role.SERVER, State.READY), [data])
    assert feed(in_state(Role.SERVER, State.READY), split(data, cuts)) == whole
    if bad is None:
        assert whole == (before + behind, None, State.READY)
    else:
        assert whole[0] == before
        assert whole[1] is not None


@given(st.lists(st.sampled_from(Op), max_size=12), st.sampled_from(Role))
@settings(max_examples=150, deadline=None)
def test_any_walk_of_ops_moves_both_sides_alike(ops: list[Op], role: Role) -> None:
    # One side is the table itself; the other hears and says what is legal, and stays in step.
    connection: Connection = in_state(role, State.CONNECTED)
    state = State.CONNECTED
    logging_in = False
    for op in ops:
        if op not in MOVES[state] or (logging_in and sender_of(op) is Role.CLIENT):
            continue
        message = least(op)
        if sender_of(op) is role:
            connection.send(message)
        else:
            assert connection.receive_data(encode(message)) == [message]
        state = MOVES[state][op]
        if op in HOLDS:
            logging_in = True
        elif op is Op.SCRAM_CHALLENGE or state is not State.AUTHENTICATING:
            logging_in = False
        assert connection.state is state
        assert connection.failure is None


def test_draining_server_still_answers_but_the_client_may_leave() -> None:
    connection = in_state(Role.SERVER, State.DRAINING)
    assert connection.receive_data(encode(Ping(1)) + encode(Bye())) == [Ping(1), Bye()]
    assert connection.failure is None
