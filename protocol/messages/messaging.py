"""Messages, receipts, history and synchronisation."""

from typing import Annotated

from protocol import limits
from protocol.declare import Message, StructOf, message, struct
from protocol.fields import (
    U16,
    U53,
    Body,
    Bool,
    ConversationId,
    DeviceNumber,
    Hash,
    HeaderBytes,
    ListOf,
    MessageId,
    OptionalBody,
    OptionalHash,
    OptionalU53,
    OptionalUser,
    RequestId,
    Seq,
    TimeMs,
    UInt,
    User,
)
from protocol.ops import Op, Role


@struct
class Entry:
    """One entry of a conversation's log, as every reader gets it."""

    seq: Seq  # position in the conversation: dense, from 1; the only order
    user: User  # the sender, set by the server
    device: DeviceNumber
    n: U53  # dense from 1 for each (device, conversation)
    at_ms: TimeMs  # server clock; decoration, never order, but never falling
    header: HeaderBytes  # the clear header, verbatim
    message_id: MessageId
    body: OptionalBody  # nil in a tombstone
    body_hash: OptionalHash = None  # in a tombstone
    removed_by: OptionalU53 = None  # seq of the entry that removed it


@message(Op.SEND, Role.CLIENT)
class Send(Message):
    """Store one message. Answer: SENT, after the commit is on disk."""

    request: RequestId
    conversation: ConversationId
    n: Annotated[int, UInt(1)]  # last stored n of this device here + 1; a retry repeats it
    message_id: MessageId  # 16 random bytes; a retry repeats them
    header: HeaderBytes  # see "Clear header"
    body: Body  # opaque to the server
    peer: OptionalUser = None  # in a direct chat's first send


@message(Op.SENT, Role.SERVER)
class Sent(Message):
    """The message is on disk, exactly once, at this place."""

    request: RequestId
    seq: Seq
    at_ms: TimeMs
    chain: Hash  # L_seq, see "Entry chain"


@message(Op.EVENT, Role.SERVER)
class Event(Message):
    """A new entry, live. Accept it only if its seq is your next; if higher, fetch HISTORY."""

    conversation: ConversationId
    entry: Annotated[Entry, StructOf(Entry)]


@struct
class Ack:
    """One conversation's cumulative acknowledgement."""

    conversation: ConversationId
    seq: Seq  # every entry up to here is persisted on this device


@message(Op.ACK, Role.CLIENT)
class Acks(Message):
    """What this device has persisted. No answer; repeat the last ones after a reconnect."""

    acks: Annotated[tuple[Ack, ...], ListOf(StructOf(Ack), limits.MAX_ACKS)]


@message(Op.READ, Role.CLIENT)
class Read(Message):
    """The user has read up to here. Answer: OK."""

    request: RequestId
    conversation: ConversationId
    seq: Seq
    public: Bool  # also tell the senders


@message(Op.RECEIPT, Role.SERVER)
class Receipt(Message):
    """A member's watermarks moved. They only ever move forward; take the maximum."""

    conversation: ConversationId
    user: User  # whose: one's own name tells of one's other devices
    delivered: Seq
    read: Seq  # public; one's own in a receipt about oneself


@message(Op.TYPING, Role.CLIENT)
class Typing(Message):
    """The user is, or is no longer, typing. Never stored, never answered."""

    conversation: ConversationId
    active: Bool


@message(Op.TYPING_EVENT, Role.SERVER)
class TypingEvent(Message):
    """Someone is typing. Show it for six seconds at most."""

    conversation: ConversationId
    user: User
    active: Bool


@message(Op.HISTORY, Role.CLIENT)
class History(Message):
    """Read a page of the log. Answer: HISTORY_PAGE. At most 4 at a time."""

    request: RequestId
    conversation: ConversationId
    direction: Annotated[
        int, UInt(0, 2)
    ]  # 0: seq > position, 1: seq < position, 2: at_ms ≥ position
    position: U53
    max_entries: Annotated[int, UInt(1, limits.MAX_PAGE_ENTRIES)]
    max_bytes: Annotated[int, UInt(1, limits.MAX_PAGE_BYTES)]  # one entry always fits


@message(Op.HISTORY_PAGE, Role.SERVER)
class HistoryPage(Message):
    """Entries in ascending seq, contiguous."""

    request: RequestId
    first_seq: Seq  # lowest entry that this member may read
    head: Seq  # highest entry at the moment of reading
    anchor: Hash  # L of the entry before the first of the page: continue the chain from it
    entries: Annotated[tuple[Entry, ...], ListOf(StructOf(Entry), limits.MAX_PAGE_ENTRIES)]
    more: Bool  # there are further entries in that direction


@message(Op.SYNC, Role.CLIENT)
class Sync(Message):
    """Subscribe, and learn what moved since a commit. Answer: SYNC_PAGE."""

    request: RequestId
    since: U53  # the commit of the last complete SYNC's first page; 0 for all
    page: U53  # 0, then ``next`` of the page before


@struct
class Head:
    """Where a conversation stands, for the user and the device that ask."""

    conversation: ConversationId
    kind: U16  # 0: direct
    peer: OptionalUser  # of a direct conversation
    first_seq: Seq
    head: Seq
    chain: Hash  # L_head
    acked: Seq  # this device's cursor
    read: Seq  # this user's own watermark
    last_n: U53  # highest n stored of this device


@struct
class Watermark:
    """How far another member has got."""

    conversation: ConversationId
    user: User
    delivered: Seq
    read: Seq


@message(Op.SYNC_PAGE, Role.SERVER)
class SyncPage(Message):
    """Conversations and watermarks that moved after ``since``."""

    request: RequestId
    commit: U53  # of the snapshot that this page was read from
    heads: Annotated[tuple[Head, ...], ListOf(StructOf(Head), limits.MAX_PAGE_HEADS)]
    watermarks: Annotated[
        tuple[Watermark, ...], ListOf(StructOf(Watermark), limits.MAX_PAGE_WATERMARKS)
    ]
    next: U53  # ask for this page next; 0: that was the last


@message(Op.RESYNC, Role.SERVER)
class Resync(Message):
    """This connection was too slow and pushes were left out: SYNC again from the last commit."""
