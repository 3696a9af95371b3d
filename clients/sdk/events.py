"""What a client tells its user: messages, and the events of :meth:`Client.events`."""

from dataclasses import dataclass
from typing import Literal

MessageState = Literal["queued", "sent", "delivered", "read", "refused", "received"]
"""``received``: not one's own. Of one's own: ``queued`` (durable here), ``sent`` (durable on the
server), ``delivered`` (durable on a device of the other), ``read``, ``refused`` (see reason)."""


@dataclass(frozen=True, slots=True)
class Message:
    """One message of a conversation, as the local store has it."""

    peer: str
    """The conversation: the other's user name."""
    seq: int
    """Place in the conversation, from 1: the only order. 0 while it has none."""
    sender: str
    device: int
    at_ms: int
    """The server's clock; of a queued or refused message this machine's, when it was queued."""
    message_id: str
    """Hex."""
    text: str | None
    """None: removed, or of a kind that this version cannot show."""
    removed: bool
    mine: bool
    state: MessageState
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class MessageReceived:
    """A new entry of the log, durable here; one's own and those of one's other devices too."""

    message: Message


@dataclass(frozen=True, slots=True)
class MessageStateChanged:
    """A message of this device was stored by the server, or refused."""

    peer: str
    message_id: str
    state: MessageState
    seq: int
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class ReceiptMoved:
    """The other has got, and has read, every message up to these."""

    peer: str
    delivered: int
    read: int


@dataclass(frozen=True, slots=True)
class ReadElsewhere:
    """Another device of this account has read up to here."""

    peer: str
    seq: int


@dataclass(frozen=True, slots=True)
class Typing:
    """The other is, or is no longer, typing; show it for six seconds at most."""

    peer: str
    active: bool


@dataclass(frozen=True, slots=True)
class ConnectionChanged:
    """The connection came up, went down, or was given up."""

    online: bool
    reason: str | None = None
    retry_in_ms: int | None = None
    """When the next try is due; None when online, or when there will be none."""


@dataclass(frozen=True, slots=True)
class Synced:
    """Everything that the server had for this device when it connected is stored here."""


@dataclass(frozen=True, slots=True)
class ChainBroken:
    """The server's log does not continue what it showed before: something was altered, dropped
    or exchanged at or before ``seq``. The messages are shown all the same."""

    peer: str
    seq: int


@dataclass(frozen=True, slots=True)
class EventsMissed:
    """The iterator was read too slowly; what was left out is in the history."""

    count: int


Event = (
    MessageReceived
    | MessageStateChanged
    | ReceiptMoved
    | ReadElsewhere
    | Typing
    | ConnectionChanged
    | Synced
    | ChainBroken
    | EventsMissed
)
