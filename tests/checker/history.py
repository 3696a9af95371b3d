"""What a client writes down while it talks: one record for each thing it did or was told.

The records of all clients stand in one list, in the order in which they happened: the clients of
one proof share a process, so that "before" needs no clock. A record is written before the bytes
leave, for what a client does, and after they arrived, for what it was told.
"""

from dataclasses import dataclass
from typing import NamedTuple


class Device(NamedTuple):
    """Who writes a record, or sent an entry."""

    user: str
    number: int


class Entry(NamedTuple):
    """One place of a conversation's list, as a reader got it."""

    seq: int
    sender: Device
    n: int
    message_id: bytes
    header: bytes
    body_hash: bytes  # SHA-256


@dataclass(slots=True)
class Session:
    """The device was accepted on a new connection."""

    device: Device


@dataclass(slots=True)
class Started:
    """The device is about to send this for the first time; retries are not written down."""

    device: Device
    conversation: bytes
    n: int
    message_id: bytes
    header: bytes
    body_hash: bytes


@dataclass(slots=True)
class Acked:
    """SENT arrived."""

    device: Device
    conversation: bytes
    n: int
    message_id: bytes
    seq: int
    chain: bytes | None = None  # L_seq as the server computed it


@dataclass(slots=True)
class Refused:
    """ERROR arrived for the send, and the client gave this message id up."""

    device: Device
    conversation: bytes
    n: int
    message_id: bytes
    code: int


@dataclass(slots=True)
class Pushed:
    """EVENT arrived, whether or not the client could use it."""

    device: Device
    conversation: bytes
    seq: int


@dataclass(slots=True)
class Taken:
    """The device appended an entry to its copy: from EVENT, from HISTORY, or its own."""

    device: Device
    conversation: bytes
    entry: Entry


@dataclass(slots=True)
class Acknowledged:
    """The device is about to acknowledge everything up to ``seq``."""

    device: Device
    conversation: bytes
    seq: int


@dataclass(slots=True)
class Watermark:
    """RECEIPT (``live``) or a row of SYNC_PAGE arrived."""

    device: Device
    conversation: bytes
    user: str
    delivered: int
    read: int
    live: bool


@dataclass(slots=True)
class Head:
    """A head of SYNC_PAGE arrived: the list's length, and what the server knows of this device."""

    device: Device
    conversation: bytes
    head: int
    acked: int
    last_n: int


Record = Session | Started | Acked | Refused | Pushed | Taken | Acknowledged | Watermark | Head
