"""Reading back: from the store, and, for what is older than the store, from the server."""

import asyncio
from typing import Final, cast

from clients.sdk import account, conversations, log, outbox
from clients.sdk.account import Account
from clients.sdk.conversations import Conversation
from clients.sdk.errors import InvalidInput, NotFound
from clients.sdk.events import Message
from clients.sdk.inbound import Inbound, PageOf
from clients.sdk.session import PAGE_BYTES, PAGE_ENTRIES, Session
from clients.sdk.store import Store
from clients.sdk.worker import StoreWorker
from protocol import derive, limits
from protocol.messages.messaging import History, HistoryPage

_OLDER: Final = 1


class Historian:
    """All reading of one client."""

    def __init__(self, worker: StoreWorker) -> None:
        self._worker = worker
        self._me: Account | None = None
        self._fetching = asyncio.Lock()

    async def me(self) -> Account:
        """Return who this device is; it does not change while a store is open."""
        if self._me is None:
            self._me = await self._worker.run(account.load)
        return self._me

    async def unseen(self, limit: int) -> list[Message]:
        """See :meth:`Client.unseen`."""
        mine = await self.me()

        def read(store: Store) -> list[Message]:
            found: list[Message] = []
            for c in conversations.unseen(store):
                if len(found) >= limit:
                    break
                found += log.after(store, c, mine.user, c.seen, limit - len(found))
            return found

        return await self._worker.run(read)

    async def mark_seen(self, message: Message) -> None:
        """See :meth:`Client.mark_seen`."""
        mine = await self.me()
        conversation = derive.direct_id(mine.user, message.peer)
        await self._worker.run(
            lambda store: conversations.mark_seen(store, conversation, message.seq)
        )

    async def mark_read(self, peer: str, seq: int | None, public: bool) -> tuple[bytes, int]:
        """See :meth:`Client.mark_read`; returns the conversation and where the mark stands."""
        c = await self._conversation(peer)
        read = await self._worker.run(
            lambda store: conversations.mark_read(store, c.conversation, seq, public)
        )
        return c.conversation, read

    async def history(
        self,
        session: Session | None,
        peer: str,
        before: int | None,
        after: int | None,
        at_ms: int | None,
        limit: int,
    ) -> list[Message]:
        """See :meth:`Client.history`."""
        if not 1 <= limit <= log.MAX_READ:
            raise InvalidInput(f"limit is 1 to {log.MAX_READ}")
        if sum(place is not None for place in (before, after, at_ms)) > 1:
            raise InvalidInput("give one of before, after and at")
        mine = await self.me()
        while True:
            c = await self._conversation(peer)
            enough = await self._worker.run(
                lambda store: _is_stored(store, c, before, after, at_ms, limit)  # noqa: B023  awaited here
            )
            if enough or session is None or not session.link.alive:
                break
            await self._fetch_older(session, c, mine)

        def read(store: Store) -> list[Message]:
            if at_ms is not None:
                start = log.seq_at(store, c, at_ms) - 1
                return log.after(store, c, mine.user, start, limit)
            if after is not None:
                return log.after(store, c, mine.user, after, limit)
            if before is not None:
                return log.before(store, c, mine.user, before, limit)
            found = log.before(store, c, mine.user, limits.MAX_INT, limit)
            pending = outbox.all_of(store, c.conversation)[-limit:]
            return found + [log.as_queued(mine.user, mine.device, row) for row in pending]

        return await self._worker.run(read)

    async def _fetch_older(self, session: Session, c: Conversation, mine: Account) -> None:
        async with self._fetching:
            page = cast(
                HistoryPage,
                await session.call(
                    lambda request: History(
                        request,
                        c.conversation,
                        _OLDER,
                        c.lowest,
                        PAGE_ENTRIES,
                        PAGE_BYTES,
                    )
                ),
            )
            item = PageOf(c.conversation, page, c.lowest, older=True)
            await self._worker.run(
                lambda store: Inbound(store, mine.user, mine.device).apply([item])
            )

    async def _conversation(self, peer: str) -> Conversation:
        mine = await self.me()
        conversation = derive.direct_id(mine.user, peer)
        c = await self._worker.run(lambda store: conversations.by_id(store, conversation))
        if c is None:
            raise NotFound(f"there is no conversation with {peer}")
        return c


def _is_stored(
    store: Store,
    c: Conversation,
    before: int | None,
    after: int | None,
    at_ms: int | None,
    limit: int,
) -> bool:
    """Whether the store has all that was asked for, or there is nothing older to fetch."""
    if c.lowest <= max(c.first_seq, 1):
        return True
    if after is not None:
        return after + 1 >= c.lowest
    if at_ms is not None:
        oldest_ms = log.oldest_ms(store, c)
        return oldest_ms is not None and oldest_ms < at_ms
    top = c.position + 1 if before is None else min(before, c.position + 1)
    return top - limit >= c.lowest
