"""How the writer decides on entries, acknowledgements and reads.

Everything that decides whether an entry is stored stands in :func:`append`, on state that the
writer owns, in batch order. A device's entries in a conversation form a list through ``prev_seq``;
that list is how a retry is recognised, without an index over message ids.
"""

from __future__ import annotations

from collections import deque
from hashlib import sha256
from typing import TYPE_CHECKING, Final

from storage.commands import (
    Acknowledge,
    Append,
    Appended,
    Command,
    MarkRead,
    Moved,
    Movement,
    Refusal,
    Refused,
    Result,
)
from storage.places import IDS
from storage.state import Conversation, Cursor, Device, Member
from storage.types import ConversationKind, UserState

if TYPE_CHECKING:
    from storage.writer import Writer

MOST_UNANSWERED: Final = 32
"""How far back a retry may reach: a device has at most this many sends unanswered."""
_MOST_RECENT: Final = 64
"""Senders of the newest entries kept in memory: receipts mostly concern these."""
_MOST_SEARCHED: Final = 2_000
"""Entries searched for senders when a watermark jumps: those further back learn of it by SYNC."""


class Dirty:
    """Objects whose rows a batch has yet to write, each once."""

    __slots__ = ("cursors", "members")

    def __init__(self) -> None:
        self.cursors: dict[tuple[int, int], Cursor] = {}
        self.members: dict[tuple[int, int], Member] = {}

    def clear(self) -> None:
        """Forget them: their batch was written or rolled back."""
        self.cursors.clear()
        self.members.clear()


def collect(writer: Writer) -> None:
    """Turn dirty objects into rows."""
    dirty, commit_no = writer.dirty, writer.commit_no
    for (conv_id, device_id), cursor in dirty.cursors.items():
        writer.cursors.add(conv_id, device_id, cursor.acked, cursor.last_n, cursor.last_seq)
    for (conv_id, user_id), m in dirty.members.items():
        writer.members.add(conv_id, user_id, m.delivered, m.read_own, m.read_public, commit_no)
    dirty.clear()


def append(writer: Writer, command: Command) -> Result:
    """Store one entry, recognise a retry, or refuse."""
    assert type(command) is Append
    device = command.device
    if not device.usable:
        return Refused(Refusal.DEVICE_UNUSABLE)
    conversation = find_conversation(writer, command.cid)
    if conversation is None:
        if writer.full:
            return Refused(Refusal.DISK_FULL)
        if command.n != 1:
            return Refused(Refusal.NOT_FOUND if command.peer is None else Refusal.OUT_OF_ORDER)
        if command.removes:  # before anything is made: a refusal leaves nothing behind
            return Refused(Refusal.NOT_FOUND if command.peer is None else Refusal.TARGET_INVALID)
        conversation = _create_direct(writer, command)
        if conversation is None:
            return Refused(Refusal.NOT_FOUND)
    elif device.user.id not in conversation.members:
        return Refused(Refusal.NOT_FOUND)

    cursor = find_cursor(writer, conversation, device)
    if command.n <= cursor.last_n:
        return _repeat(writer, conversation, cursor, command)
    if command.n != cursor.last_n + 1:
        return Refused(Refusal.OUT_OF_ORDER)
    if writer.full:
        return Refused(Refusal.DISK_FULL)
    if not conversation.open:
        return Refused(Refusal.NOT_FOUND)
    seq = conversation.head + 1
    if command.removes:
        refusal = _remove(writer, conversation, device, command.removes, seq)
        if refusal is not None:
            return Refused(refusal)

    at_ms = max(writer.batch_ms, conversation.at_ms)
    chain = writer.chain(
        conversation.chain,
        seq,
        device.user.name,
        device.number,
        command.n,
        command.header,
        command.message_id,
        sha256(command.body).digest(),
    )
    writer.log.add(
        writer.places.give(conversation.id),
        conversation.id,
        seq,
        device.id,
        command.n,
        cursor.last_seq,
        at_ms,
        writer.commit_no,
        command.message_id,
        command.header,
        command.body,
        chain,
    )
    conversation.head, conversation.chain, conversation.at_ms = seq, chain, at_ms
    conversation.recent.append((seq, device.user.id))
    cursor.last_n, cursor.last_seq = command.n, seq
    writer.dirty.cursors[conversation.id, device.id] = cursor
    return Appended(conversation, seq, at_ms, chain, False)


def acknowledge(writer: Writer, command: Command) -> Result:
    """Move a device's cursors, and with them its user's delivered watermark."""
    assert type(command) is Acknowledge
    device = command.device
    moved = Moved([])
    if not device.usable:
        return moved
    for cid, seq in command.acks:
        conversation = find_conversation(writer, cid)
        if conversation is None or seq > conversation.head:
            continue
        member = conversation.members.get(device.user.id)
        if member is not None:
            _acknowledge_one(writer, conversation, member, device, seq, moved)
    return moved


def mark_read(writer: Writer, command: Command) -> Result:
    """Move a user's read watermark; what was read counts as delivered."""
    assert type(command) is MarkRead
    device = command.device
    if not device.usable:
        return Refused(Refusal.DEVICE_UNUSABLE)
    conversation = find_conversation(writer, command.cid)
    if conversation is None or command.seq > conversation.head:
        return Refused(Refusal.NOT_FOUND)
    member = conversation.members.get(device.user.id)
    if member is None:
        return Refused(Refusal.NOT_FOUND)
    moved = Moved([])
    _acknowledge_one(writer, conversation, member, device, command.seq, moved)
    own, public = member.read_own, member.read_public
    member.read_own = max(own, command.seq)
    if command.public:
        member.read_public = max(public, command.seq)
    if member.read_own > own or member.read_public > public:
        low = public if command.public else own
        senders = (
            _senders(writer, conversation, low, command.seq, member.user_id)
            if command.public
            else ()
        )
        moved.movements.append(Movement(conversation, member, low, command.seq, True, senders))
        writer.dirty.members[conversation.id, member.user_id] = member
    return moved


def find_conversation(writer: Writer, cid: bytes) -> Conversation | None:
    """Return a conversation from memory or disk."""
    conversation = writer.conversations.get(cid)
    if conversation is not None:
        writer.conversations.move_to_end(cid)
        return conversation
    row = writer.connection.execute(
        "SELECT id, kind, first_seq FROM conversations WHERE cid = ?", (cid,)
    ).get
    if row is None:
        return None
    conv_id, kind, first_seq = row
    head, chain, at_ms = writer.connection.execute(
        "SELECT seq, chain, at_ms FROM log WHERE id = ?", (writer.places.newest(conv_id),)
    ).get or (0, cid, 0)
    members: dict[int, Member] = {}
    is_open = True
    for user_id, name, state, delivered, own, public in writer.connection.execute(
        "SELECT m.user_id, u.name, u.state, m.delivered, m.read_own, m.read_public"
        " FROM members m JOIN users u ON u.id = m.user_id WHERE m.conv_id = ?",
        (conv_id,),
    ):
        members[user_id] = Member(user_id, name, delivered, own, public)
        is_open = is_open and state != UserState.DELETED
    conversation = Conversation(
        conv_id,
        cid,
        ConversationKind(kind),
        first_seq,
        head,
        chain,
        at_ms,
        members,
        _recent(),
        {},
        is_open,
    )
    _keep(writer, conversation)
    return conversation


def find_cursor(writer: Writer, conversation: Conversation, device: Device) -> Cursor:
    """Return a device's cursor from memory or disk, a new one if it has none."""
    cursor = conversation.cursors.get(device.id)
    if cursor is None:
        row = writer.connection.execute(
            "SELECT acked, last_n, last_seq FROM cursors WHERE conv_id = ? AND device_id = ?",
            (conversation.id, device.id),
        ).get
        cursor = conversation.cursors[device.id] = Cursor(*row) if row else Cursor()
    return cursor


def _recent() -> deque[tuple[int, int]]:
    return deque(maxlen=_MOST_RECENT)


def _senders(
    writer: Writer, conversation: Conversation, low: int, high: int, but: int
) -> tuple[int, ...]:
    """Return who sent entries above ``low`` up to ``high``, without the user ``but``."""
    recent = conversation.recent
    if recent and recent[0][0] <= low + 1:
        if high == conversation.head == low + 1:  # the usual case
            user_id = recent[-1][1]
            return () if user_id == but else (user_id,)
        return tuple({user for seq, user in recent if low < seq <= high and user != but})
    writer.flush()
    found: set[int] = set()
    missing = conversation.members.keys() - {but}
    rows = writer.connection.execute(
        "SELECT d.user_id FROM log l JOIN devices d ON d.id = l.device_id"
        f" WHERE l.id IN {IDS} ORDER BY l.id DESC",
        (conversation.id, max(low, high - _MOST_SEARCHED) + 1, high),
    )
    for (user_id,) in rows:
        if user_id != but:
            found.add(user_id)
            missing.discard(user_id)
        if not missing:  # mostly after an entry or two: a device that was away names many at once
            break
    rows.close()  # an open cursor would keep the log file from being emptied
    return tuple(found)


def _keep(writer: Writer, conversation: Conversation) -> None:
    # Over the bound until the batch ends: rows not yet written live only in these objects.
    writer.conversations[conversation.cid] = conversation


def _create_direct(writer: Writer, command: Append) -> Conversation | None:
    me = command.device.user
    row = (
        command.peer
        and writer.connection.execute(
            "SELECT id FROM users WHERE name = ? AND state = 0", (command.peer,)
        ).get
    )
    if not row or row == me.id:
        return None
    assert command.peer is not None
    connection = writer.connection
    connection.execute(
        "INSERT INTO conversations (cid, kind, first_seq) VALUES (?, ?, 1)",
        (command.cid, ConversationKind.DIRECT),
    )
    conv_id = connection.last_insert_rowid()
    members = {me.id: Member(me.id, me.name), row: Member(row, command.peer)}
    for user_id in members:
        connection.execute(
            "INSERT INTO members VALUES (?, ?, 0, 0, 0, ?)", (conv_id, user_id, writer.commit_no)
        )
        connection.execute("INSERT INTO intervals VALUES (?, ?, 1, NULL)", (conv_id, user_id))
    conversation = Conversation(
        conv_id, command.cid, ConversationKind.DIRECT, 1, 0, command.cid, 0, members, _recent()
    )
    _keep(writer, conversation)
    return conversation


def _repeat(writer: Writer, conversation: Conversation, cursor: Cursor, command: Append) -> Result:
    """Answer a send whose n is stored: with its place if it is the same message."""
    if cursor.last_n - command.n >= MOST_UNANSWERED:
        return Refused(Refusal.DIVERGED)
    writer.flush()
    seq, n = cursor.last_seq, cursor.last_n
    while True:
        prev_seq, message_id, at_ms, chain = writer.connection.execute(
            f"SELECT prev_seq, message_id, at_ms, chain FROM log WHERE id IN {IDS}",
            (conversation.id, seq, seq),
        ).get
        if n == command.n:
            break
        seq, n = prev_seq, n - 1
    if message_id != command.message_id:
        return Refused(Refusal.DIVERGED)
    return Appended(conversation, seq, at_ms, chain, True)


def _remove(
    writer: Writer, conversation: Conversation, device: Device, target: int, by: int
) -> Refusal | None:
    """Make a tombstone of the user's own entry: everything but the body stays, its hash too."""
    writer.flush()
    row = writer.connection.execute(
        "SELECT l.id, l.body, d.user_id FROM log l JOIN devices d ON d.id = l.device_id"
        f" WHERE l.id IN {IDS}",
        (conversation.id, target, target),
    ).get
    if row is None:
        return Refusal.TARGET_INVALID
    log_id, body, author = row
    if author != device.user.id:
        return Refusal.NOT_ALLOWED
    if body is not None:
        writer.connection.execute(
            "UPDATE log SET body = NULL, body_hash = ?, removed_by = ? WHERE id = ?",
            (sha256(body).digest(), by, log_id),
        )
        writer.bodies_removed = True
    return None


def _acknowledge_one(
    writer: Writer,
    conversation: Conversation,
    member: Member,
    device: Device,
    seq: int,
    moved: Moved,
) -> None:
    cursor = find_cursor(writer, conversation, device)
    if seq > cursor.acked:
        cursor.acked = seq
        writer.dirty.cursors[conversation.id, device.id] = cursor
    if seq > member.delivered:
        senders = _senders(writer, conversation, member.delivered, seq, member.user_id)
        moved.movements.append(
            Movement(conversation, member, member.delivered, seq, False, senders)
        )
        member.delivered = seq
        writer.dirty.members[conversation.id, member.user_id] = member
