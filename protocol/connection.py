"""One connection, either role, without any I/O: bytes in, messages out, legality checked.

Contract for the caller:

1. MUST hand every received byte to :meth:`Connection.receive_data`, in order, and handle the
   messages it returns in order.
2. MUST look at :attr:`Connection.failure` after that; if it is set, send its
   :func:`farewell` (servers only) and close.
3. MUST send only what :meth:`Connection.send` or :meth:`Connection.relay` returned, in that order.
4. MUST call ``receive_data(b"")`` after an answer ended a hold, see :attr:`Connection.held`.
"""

from collections.abc import Callable
from typing import Final, NoReturn

from protocol import limits
from protocol.codec import DECODERS, LENGTH, encode
from protocol.declare import MESSAGES, Message
from protocol.errors import (
    ERRORS,
    FrameTooLarge,
    LocalProtocolError,
    Malformed,
    RemoteProtocolError,
    UnexpectedFrame,
    UnknownOp,
)
from protocol.messages.session import Error
from protocol.ops import Op, Role
from protocol.state import HOLDS, MOVES, State

_SENT_BY: Final = {
    role: frozenset(int(op) for op, cls in MESSAGES.items() if cls.SENDER is role) for role in Role
}


Row = dict[int, tuple[State, Callable[[bytes | memoryview], Message], bool]]

_ROWS: Final[dict[Role, dict[State, Row]]] = {
    role: {
        state: {
            int(op): (new, DECODERS[op], op in HOLDS and role is Role.SERVER)
            for op, new in moves.items()
            if op in _SENT_BY[Role(1 - role)]
        }
        for state, moves in MOVES.items()
    }
    for role in Role
}
"""MOVES as a receiver needs it, so that a frame costs one look-up: op -> (next state, decoder,
whether the server holds what follows)."""


def frame_limit_bytes(state: State) -> int:
    """Return the largest length prefix that is legal in a state."""
    if state <= State.AUTHENTICATING:
        return limits.MAX_EARLY_FRAME_BYTES
    return limits.MAX_FRAME_BYTES


class Connection:
    """The state, and the bytes of a frame that has begun. Subclassed once for each role."""

    __slots__ = (
        "_buffer",
        "_incoming",
        "_limit_bytes",
        "_moves",
        "_need_bytes",
        "_row",
        "_state",
        "failure",
        "held",
    )

    ROLE: Role

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._need_bytes = 4
        self._incoming = _SENT_BY[Role(1 - self.ROLE)]
        self.failure: RemoteProtocolError | None = None
        """The peer's first error; nothing is parsed behind it."""
        self.held: bool
        """True while the outcome of a login is pending: received bytes are kept, not parsed."""
        self._enter(State.CONNECTED)

    @property
    def state(self) -> State:
        """Where the connection stands."""
        return self._state

    @property
    def buffered_bytes(self) -> int:
        """Received and not yet parsed: part of a frame, or what follows a pending login."""
        return len(self._buffer)

    def receive_data(self, data: bytes | memoryview) -> list[Message]:
        """Take bytes from the transport, split anywhere, and return the whole messages in them.

        Args:
            data: The bytes; they are not kept, so that a shared receive buffer may be passed.

        Returns:
            Messages in wire order. A peer's error does not raise: what came before it is
            returned, the rest is discarded, :attr:`failure` is set and the state is CLOSED.
            Once CLOSED, whatever the reason, input is ignored and changes nothing.
        """
        if self._state is State.CLOSED:
            return []
        if self._buffer or self.held:
            self._buffer += data
            if self.held:
                self._check_held()
                return []
            if len(self._buffer) < self._need_bytes:
                return []  # amortised: a frame is copied once, however finely it was split
            data = bytes(self._buffer)
            self._buffer = bytearray()
        messages: list[Message] = []
        position, end, need_bytes = 0, len(data), 4
        try:
            while end - position >= 4:
                (size,) = LENGTH.unpack_from(data, position)
                if size > self._limit_bytes:
                    raise FrameTooLarge(size, self._limit_bytes)
                if not size:
                    raise Malformed(0, "a frame of length zero has no op")
                if end - position == 4:
                    need_bytes = 5
                    break
                # The op is checked before the body has arrived.
                op = data[position + 4]
                row = self._row.get(op)
                if row is None:
                    self._refuse(op)
                new, decode, holds = row
                after = position + 4 + size
                if after > end:
                    need_bytes = 4 + size
                    break
                messages.append(decode(data[position + 5 : after]))
                position = after
                if new is not self._state:
                    self._enter(new)
                    if new is State.CLOSED:
                        position = end
                if holds:
                    self.held = True
                    break
            self._need_bytes = need_bytes
            if position < end:
                self._buffer += data[position:]
                self._check_held()
        except RemoteProtocolError as error:
            self.fail(error)
        return messages

    def send(self, message: Message) -> bytes:
        """Check that a message may be sent now and return its frame.

        Raises:
            LocalProtocolError: The op is not ours to send, not legal in this state, or a field
                is out of its bounds.
        """
        frame = encode(message)
        return self.relay(message.OP, frame)

    def relay(self, op: Op, frame: bytes) -> bytes:
        """Check that an already encoded frame of ``op`` may be sent now, and return it.

        Raises:
            LocalProtocolError: The op is not ours to send, or not legal in this state.
        """
        new = self._moves.get(op)
        if new is None or op in self._incoming:
            raise LocalProtocolError(f"{op.name} must not be sent in state {self._state.name}")
        if new is not self._state:
            self._enter(new)
        return frame

    def fail(self, error: RemoteProtocolError) -> None:
        """Record the peer's error and close; only the first one counts."""
        if self.failure is None:
            # It outlives this call, and its frames would keep the input and the caller's
            # receive buffer alive.
            error.__context__ = error.__traceback__ = None
            self.failure = error
        self.close()

    def close(self) -> None:
        """The transport is gone, or about to go: nothing is sent or received any more."""
        self._enter(State.CLOSED)

    def _check_held(self) -> None:
        if self.held and len(self._buffer) > limits.MAX_HELD_BYTES:
            self.fail(FrameTooLarge(len(self._buffer), limits.MAX_HELD_BYTES))

    def _refuse(self, op: int) -> NoReturn:
        if op in self._incoming:
            raise UnexpectedFrame(op, self._state.name)
        raise UnknownOp(op)

    def _enter(self, state: State) -> None:
        # The only place that assigns these. A move ends a hold: all answers to a login but
        # SCRAM_CHALLENGE, and every way to close, are moves.
        self._state = state
        self.held = False
        if state is State.CLOSED:
            self._buffer = bytearray()
        self._moves = MOVES[state]
        self._row = _ROWS[self.ROLE][state]
        self._limit_bytes = frame_limit_bytes(state)


def farewell(error: RemoteProtocolError) -> bytes:
    """Return the last frame to a peer that broke the protocol: its code and the generic text."""
    info = ERRORS[error.code]
    return encode(Error(None, error.code, info.text, info.retryable, 0))
