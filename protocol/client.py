"""The client's side of a connection: may pipeline behind LOGIN before it is accepted."""

from protocol.connection import Connection
from protocol.errors import LocalProtocolError
from protocol.ops import Op, Role
from protocol.state import MOVES, State


class ClientConnection(Connection):
    """Receives what servers send. See :class:`protocol.connection.Connection` for the contract."""

    __slots__ = ("_pipelining",)

    ROLE = Role.CLIENT

    def __init__(self) -> None:
        super().__init__()
        self._pipelining = False

    def relay(self, op: Op, frame: bytes) -> bytes:
        """Check legality; behind an unanswered LOGIN the operations of READY are legal.

        Raises:
            LocalProtocolError: The op is not ours to send, or not legal in this state.
        """
        if self._pipelining and self._state is State.AUTHENTICATING and op is not Op.BYE:
            if op in self._incoming or op not in MOVES[State.READY]:
                raise LocalProtocolError(f"{op.name} must not be sent behind LOGIN")
            return frame
        super().relay(op, frame)
        self._pipelining = op is Op.LOGIN
        return frame
