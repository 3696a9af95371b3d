"""Catch-up over the log for a device that was away: SYNC tells what moved, HISTORY brings it.

(The device mailbox, for payloads to one device, comes with encryption.)
"""

from typing import Final

from chatd.hub import Hub
from chatd.readers import Readers
from chatd.session import Session
from chatd.transport import Peer
from protocol import limits
from protocol.errors import ErrorCode
from protocol.messages.messaging import (
    Entry,
    Head,
    History,
    HistoryPage,
    Sync,
    SyncPage,
    Watermark,
)
from storage.types import HistoryPage as StoredPage
from storage.types import SyncPage as StoredSync

MOST_READS: Final = 4
"""HISTORY and SYNC requests that one connection may have under way."""
_AFTER, _BEFORE, _AT = range(3)


class Relay:
    """Handles SYNC and HISTORY."""

    def __init__(self, hub: Hub, readers: Readers) -> None:
        self._hub = hub
        self._readers = readers
        hub.on(Sync, self._on_sync)
        hub.on(History, self._on_history)

    def _begin(self, peer: Peer, request: int) -> Session | None:
        session = self._hub.begin(peer, request, self._hub.requests)
        if session is None:
            return None
        if session.reads >= MOST_READS:
            peer.error(request, ErrorCode.RATE_LIMITED, 1)
            return None
        session.reads += 1
        return session

    def _failed(self, peer: Peer, session: Session, request: int) -> None:
        session.reads -= 1
        peer.error(request, ErrorCode.INTERNAL)

    def _on_sync(self, peer: Peer, message: Sync) -> None:
        session = self._begin(peer, message.request)
        if session is None:
            return
        # Subscribe first, then read: what is committed in between is pushed, or in the heads.
        session.subscribed = True
        user_id, device_id = session.device.user.id, session.device.id

        def done(page: StoredSync) -> None:
            session.reads -= 1
            peer.reply(
                SyncPage(
                    message.request,
                    page.commit_no,
                    tuple(
                        [
                            Head(
                                head.cid,
                                head.kind,
                                head.peer,
                                head.first_seq,
                                head.head,
                                head.chain,
                                head.acked,
                                head.read,
                                head.last_n,
                            )
                            for head in page.heads
                        ]
                    ),
                    tuple([Watermark(w.cid, w.user, w.delivered, w.read) for w in page.watermarks]),
                    page.next_page,
                )
            )

        self._readers.submit(
            lambda reader: reader.sync(
                user_id, device_id, message.since, message.page, most=limits.MAX_PAGE_HEADS
            ),
            done,
            lambda: self._failed(peer, session, message.request),
        )

    def _on_history(self, peer: Peer, message: History) -> None:
        session = self._begin(peer, message.request)
        if session is None:
            return
        user_id = session.device.user.id
        direction, position = message.direction, message.position

        def done(page: StoredPage | None) -> None:
            session.reads -= 1
            if page is None:
                peer.error(message.request, ErrorCode.NOT_FOUND)
                return
            more = page.more
            if direction == _AFTER and not more:
                last = page.entries[-1].seq if page.entries else min(position, page.head)
                # An entry that was left out since the page was read is told of by nothing else.
                more = session.read_up_to(message.conversation, last)
            peer.reply(_page(message.request, page, more))

        self._readers.submit(
            lambda reader: reader.history(
                message.conversation,
                user_id,
                after=position if direction == _AFTER else None,
                before=position if direction == _BEFORE else None,
                at_ms=position if direction == _AT else None,
                max_entries=message.max_entries,
                max_bytes=message.max_bytes,
            ),
            done,
            lambda: self._failed(peer, session, message.request),
        )


def _page(request: int, page: StoredPage, more: bool) -> HistoryPage:
    return HistoryPage(
        request,
        page.first_seq,
        page.head,
        page.anchor,
        tuple(
            [
                Entry(
                    e.seq,
                    e.user,
                    e.device,
                    e.n,
                    e.at_ms,
                    e.header,
                    e.message_id,
                    e.body,
                    e.body_hash,
                    e.removed_by,
                )
                for e in page.entries
            ]
        ),
        more,
    )
