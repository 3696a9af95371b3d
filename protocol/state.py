"""The states of a connection and every move between them: all of it stands in this file.

Both roles keep the same table. An operation moves the state of the side that sends it when it is
sent, and of the side that receives it when it is received; what the table does not list is
illegal. The outcome of a login is itself an operation (ACCEPTED or ERROR), so that no second
table is needed. The diagram and the legality columns of ``docs/protocol.md`` are drawn from here.
"""

from enum import IntEnum, unique
from typing import Final

from protocol.ops import Op


@unique
class State(IntEnum):
    """Where a connection stands."""

    CONNECTED = 0
    """The transport is open; nobody has spoken."""
    AUTHENTICATING = 1
    """HELLO was sent; a login is expected or pending."""
    READY = 2
    """Logged in."""
    DRAINING = 3
    """The server said GOAWAY: what is under way is finished, nothing new is stored."""
    CLOSED = 4
    """Nothing is sent or received any more."""


_SESSION: Final = (
    Op.OK,
    Op.ERROR,
    Op.PING,
    Op.PONG,
    Op.SEND,
    Op.SENT,
    Op.EVENT,
    Op.ACK,
    Op.READ,
    Op.RECEIPT,
    Op.TYPING,
    Op.TYPING_EVENT,
    Op.HISTORY,
    Op.HISTORY_PAGE,
    Op.SYNC,
    Op.SYNC_PAGE,
    Op.RESYNC,
    Op.LIST_DEVICES,
    Op.DEVICE_LIST,
    Op.RENAME_DEVICE,
    Op.REVOKE_DEVICE,
    Op.PROVE,
    Op.SCRAM_CHALLENGE,
    Op.CHANGE_PASSWORD,
    Op.DELETE_ACCOUNT,
    Op.PROVED,
    Op.GET_PROFILE,
    Op.PROFILE,
    Op.SET_DISPLAY_NAME,
    Op.CREATE_INVITE,
    Op.INVITE,
)

MOVES: Final[dict[State, dict[Op, State]]] = {
    State.CONNECTED: {
        Op.HELLO: State.AUTHENTICATING,
        Op.ERROR: State.CLOSED,
    },
    State.AUTHENTICATING: {
        Op.WELCOME: State.AUTHENTICATING,
        Op.SCRAM_FIRST: State.AUTHENTICATING,
        Op.SCRAM_CHALLENGE: State.AUTHENTICATING,
        Op.SCRAM_FINAL: State.AUTHENTICATING,
        Op.REGISTER: State.AUTHENTICATING,
        Op.LOGIN: State.AUTHENTICATING,
        Op.ACCEPTED: State.READY,
        Op.ERROR: State.CLOSED,
        Op.GOAWAY: State.CLOSED,
        Op.BYE: State.CLOSED,
    },
    State.READY: {
        **dict.fromkeys(_SESSION, State.READY),
        Op.GOAWAY: State.DRAINING,
        Op.BYE: State.CLOSED,
    },
    State.DRAINING: {
        **dict.fromkeys(_SESSION, State.DRAINING),
        Op.GOAWAY: State.DRAINING,
        Op.BYE: State.CLOSED,
    },
    State.CLOSED: {},
}
"""Absent means illegal. Source: docs/protocol.md, "States"."""

HOLDS: Final = frozenset({Op.REGISTER, Op.LOGIN, Op.SCRAM_FIRST, Op.SCRAM_FINAL})
"""Requests whose outcome decides what later bytes mean: the server parses nothing behind one of
these until it has sent the answer; the client may pipeline only behind LOGIN."""
