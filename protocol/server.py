"""The server's side of a connection: holds the input while the outcome of a login is pending."""

from protocol.connection import Connection
from protocol.declare import Message
from protocol.ops import Op, Role


class ServerConnection(Connection):
    """Receives what clients send. See :class:`protocol.connection.Connection` for the contract."""

    __slots__ = ()

    ROLE = Role.SERVER

    def send(self, message: Message) -> bytes:
        """Check and encode; a login's answer ends the hold: then call ``receive_data(b"")``.

        Raises:
            LocalProtocolError: See :meth:`Connection.send`.
        """
        frame = super().send(message)
        if self.held and message.OP is Op.SCRAM_CHALLENGE:
            self.held = False  # the one answer that does not move the state
        return frame
