"""What a connection received, applied to the store: one batch, one transaction.

Runs in the storage thread. It decides what is accepted (``seq`` is the position's next, or it is
not), what must be acknowledged, pulled or told to the user; the session then does those.
"""

from dataclasses import dataclass, field

from clients.sdk import account, conversations, log, outbox
from clients.sdk.conversations import Conversation
from clients.sdk.errors import RESTORED, DeviceRestored, ServerBroke
from clients.sdk.events import (
    ChainBroken,
    Event,
    MessageReceived,
    MessageStateChanged,
    ReadElsewhere,
    ReceiptMoved,
)
from clients.sdk.store import Store
from protocol import derive
from protocol.messages.messaging import Entry, Head, HistoryPage, Receipt, Sent, SyncPage, Watermark
from protocol.messages.messaging import Event as LiveEntry


@dataclass(frozen=True, slots=True)
class SentOf:
    """SENT, and which message it answers."""

    conversation: bytes
    message_id: bytes
    sent: Sent


@dataclass(frozen=True, slots=True)
class PageOf:
    """HISTORY_PAGE, and what it answers: a pull forward, or older history."""

    conversation: bytes
    page: HistoryPage
    position: int
    """Entries above it were asked for; or, with ``older``, below it."""
    older: bool


@dataclass(frozen=True, slots=True)
class SyncOf:
    """SYNC_PAGE; the commit of the first page goes with the last one."""

    page: SyncPage
    first_commit: int


@dataclass(frozen=True, slots=True)
class Refusal:
    """An ERROR that refuses a message for good."""

    message_id: bytes
    reason: str


Item = LiveEntry | Receipt | SentOf | PageOf | SyncOf | Refusal


@dataclass(slots=True)
class Outcome:
    """What the session has to do once the batch is on disk."""

    events: list[Event] = field(default_factory=list)
    acks: dict[bytes, int] = field(default_factory=dict)
    reads: dict[bytes, tuple[int, bool]] = field(default_factory=dict)
    behind: dict[bytes, int] = field(default_factory=dict)
    """Position of each conversation that has to be pulled forward."""
    unknown: bool = False
    """A conversation showed up whose other member only SYNC can name."""


def _check(page: HistoryPage, position: int) -> None:
    # Contiguous, ascending, above what was asked for: else a pull might never end.
    entries = page.entries
    if entries and (
        entries[0].seq <= position or entries[-1].seq - entries[0].seq != len(entries) - 1
    ):
        raise ServerBroke("the server sent a page of history that does not follow")


class Inbound:
    """Applies one batch. Made anew for each."""

    def __init__(self, store: Store, user: str, device: int) -> None:
        self._store, self._user, self._device = store, user, device
        self._open: dict[bytes, Conversation] = {}
        self._out = Outcome()

    def apply(self, items: list[Item]) -> Outcome:
        """Apply the items in the order received.

        Raises:
            DeviceRestored: The server has stored more of this device than this store has numbered.
            ServerBroke: A page of history does not follow.
        """
        for item in items:
            match item:
                case LiveEntry():
                    self._live(item)
                case SentOf():
                    self._sent(item)
                case PageOf(older=True):
                    self._older(item)
                case PageOf():
                    self._page(item)
                case Receipt():
                    self._watermark(item)
                case SyncOf():
                    self._sync(item)
                case Refusal():
                    self._refused(item)
        for c in self._open.values():
            conversations.save(self._store, c)
            if c.conversation in self._out.acks:
                self._out.acks[c.conversation] = c.position
            if c.behind:
                self._out.behind[c.conversation] = c.position
        if any(isinstance(item, SyncOf) and not item.page.next for item in items):
            self._reassert()
        return self._out

    def _reassert(self) -> None:
        # What an earlier connection left undone: SYNC names only what moved since.
        self._out.behind |= dict(conversations.behind(self._store))
        self._out.acks |= dict(conversations.unconfirmed(self._store))
        for conversation, seq, public in conversations.untold_reads(self._store):
            self._out.reads[conversation] = (seq, public)

    def _find(self, conversation: bytes) -> Conversation | None:
        c = self._open.get(conversation) or conversations.by_id(self._store, conversation)
        if c is not None:
            self._open[conversation] = c
        return c

    def _live(self, event: LiveEntry) -> None:
        entry = event.entry
        c = self._find(event.conversation)
        if c is None:
            if derive.direct_id(self._user, entry.user) != event.conversation or entry.seq != 1:
                # Begun by another device of ours, or long ago: SYNC tells with whom, from where.
                self._out.unknown = True
                return
            c = conversations.create(
                self._store, event.conversation, entry.user, 0, event.conversation
            )
            self._open[event.conversation] = c
        c.known = True
        if entry.seq == c.position + 1:
            self._accept(c, entry)
        elif entry.seq > c.position:
            c.head = max(c.head, entry.seq)

    def _accept(self, c: Conversation, entry: Entry) -> None:
        log.insert(self._store, c, entry)
        self._advance(c, entry)
        # One's own that SENT put in place before the position got there.
        while (known := log.stored(self._store, c, c.position + 1)) is not None:
            self._advance(c, known)

    def _advance(self, c: Conversation, entry: Entry) -> None:
        if not log.link(c, entry):
            self._broken(c, entry.seq)
        log.remove_target(self._store, c, entry)
        if entry.user == self._user and entry.device == self._device:
            # Its own are not acknowledged by themselves: the next one from another covers them.
            self._left_outbox(c, entry)
        else:
            self._out.acks[c.conversation] = c.position
        self._out.events.append(MessageReceived(log.as_message(c, self._user, entry)))

    def _left_outbox(self, c: Conversation, entry: Entry) -> None:
        # Told by SENT or, if that was lost, by the log itself.
        if outbox.take(self._store, entry.message_id) is not None:
            self._out.events.append(
                MessageStateChanged(c.peer, entry.message_id.hex(), "sent", entry.seq)
            )

    def _sent(self, item: SentOf) -> None:
        queued = outbox.take(self._store, item.message_id)
        c = self._find(item.conversation)
        if queued is None or c is None:
            return  # the log told first
        c.known = True
        sent = item.sent
        self._out.events.append(
            MessageStateChanged(c.peer, item.message_id.hex(), "sent", sent.seq)
        )
        if sent.seq <= c.position:
            return
        entry = Entry(
            sent.seq,
            self._user,
            self._device,
            queued.n,
            sent.at_ms,
            queued.header,
            queued.message_id,
            queued.body,
        )
        if sent.seq > c.position + 1:
            log.insert(self._store, c, entry)
            c.head = max(c.head, sent.seq)
            return
        if c.chain is not None and derive.chain_entry(c.chain, entry) != sent.chain:
            self._broken(c, sent.seq)
            c.chain = None
        self._accept(c, entry)
        if c.position == sent.seq:
            c.chain = sent.chain

    def _page(self, item: PageOf) -> None:
        c = self._find(item.conversation)
        if c is None:
            return
        page = item.page
        _check(page, item.position)
        c.head, c.first_seq = max(c.head, page.head), page.first_seq
        for index, entry in enumerate(page.entries):
            if index == 0 and entry.seq > c.position + 1:
                # What lies between may not, or no longer, be read.
                c.position, c.chain = entry.seq - 1, None
                c.lowest, c.lowest_chain = entry.seq, page.anchor
            if index == 0 and entry.seq == c.position + 1:
                self._anchor(c, page.anchor)
            if entry.seq == c.position + 1:
                self._accept(c, entry)
        if not page.entries and not page.more:
            # Nothing readable above: do not ask for it for ever.
            c.head = c.position = max(c.position, page.head)

    def _anchor(self, c: Conversation, anchor: bytes) -> None:
        if c.chain is not None and c.chain != anchor:
            self._broken(c, c.position)
        c.chain = anchor
        if c.lowest == c.position + 1:
            c.lowest_chain = anchor

    def _older(self, item: PageOf) -> None:
        c = self._find(item.conversation)
        if c is None:
            return
        c.first_seq, boundary = item.page.first_seq, c.lowest
        if not log.prepend(self._store, c, item.page.entries, item.page.anchor):
            self._broken(c, boundary)
        if not item.page.more or not item.page.entries:
            c.first_seq = max(c.first_seq, c.lowest)  # also if "more" is promised and none comes

    def _broken(self, c: Conversation, seq: int) -> None:
        c.broken = c.broken or max(seq, 1)
        self._out.events.append(ChainBroken(c.peer, seq))

    def _watermark(self, mark: Receipt | Watermark) -> None:
        c = self._find(mark.conversation)
        if c is None:
            return
        if mark.user == self._user:
            self._read_elsewhere(c, mark.read)
            return
        if mark.user != c.peer:
            return
        delivered, read = max(c.peer_delivered, mark.delivered), max(c.peer_read, mark.read)
        # SYNC also returns marks that passed only the other's own entries: news to nobody.
        passed = [(c.peer_delivered, delivered), (c.peer_read, read)]
        c.peer_delivered, c.peer_read = delivered, read
        if any(log.has_own(self._store, c, self._user, low, high) for low, high in passed):
            self._out.events.append(ReceiptMoved(c.peer, delivered, read))

    def _read_elsewhere(self, c: Conversation, read: int) -> None:
        if read > c.read:
            c.read = read
            self._out.events.append(ReadElsewhere(c.peer, read))

    def _sync(self, item: SyncOf) -> None:
        for head in item.page.heads:
            self._head(head)
        for mark in item.page.watermarks:
            self._watermark(mark)
        if not item.page.next:
            account.set_since(self._store, item.first_commit)

    def _head(self, head: Head) -> None:
        if head.kind != 0 or head.peer is None:
            return  # a kind of conversation that this version does not know
        if derive.direct_id(self._user, head.peer) != head.conversation:
            return  # a direct conversation that is not with whom it says
        c = self._find(head.conversation)
        if c is None:
            chain = None
            if head.acked == 0:
                chain = head.conversation
            elif head.acked == head.head:
                chain = head.chain
            c = conversations.create(self._store, head.conversation, head.peer, head.acked, chain)
            self._open[head.conversation] = c
        if head.last_n >= c.next_n:
            raise DeviceRestored(RESTORED)
        c.known, c.first_seq = True, head.first_seq
        c.head = max(c.head, head.head)
        if head.head < c.position or (
            head.head == c.position and c.chain is not None and c.chain != head.chain
        ):
            self._broken(c, min(head.head, c.position))
            c.chain = None
        c.acked = max(c.acked, head.acked)
        if c.position > head.acked:
            self._out.acks[head.conversation] = c.position
        if c.read > head.read:
            self._out.reads[head.conversation] = (c.read, c.read_public)
        else:
            self._read_elsewhere(c, head.read)

    def _refused(self, item: Refusal) -> None:
        queued = outbox.refuse(self._store, item.message_id, item.reason)
        if queued is not None:
            self._out.events.append(
                MessageStateChanged(queued.peer, item.message_id.hex(), "refused", 0, item.reason)
            )
