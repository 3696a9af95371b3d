"""One connection after its login: synchronises, receives, acknowledges, pulls, sends, stays alive.

Order of things, each MUST:

1. A batch received is applied in one transaction before anything is acknowledged or announced.
2. At most ``MAX_PULLS`` requests of history are in flight, one a conversation.
3. After GOAWAY nothing new is sent; what is under way is awaited until the server closes.
"""

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Final

from clients.sdk import account, conversations, outbox
from clients.sdk.account import Account
from clients.sdk.environment import Environment, Timer
from clients.sdk.errors import STOP_CODES, ChatError, ServerBroke, Temporary, Unreachable, from_wire
from clients.sdk.events import Event, Synced, Typing
from clients.sdk.inbound import Inbound, Item, Outcome, PageOf, SyncOf
from clients.sdk.login import LoggedIn
from clients.sdk.reconnect import Backoff
from clients.sdk.sender import Sender
from clients.sdk.store import Store
from clients.sdk.worker import StoreWorker
from protocol import derive, limits
from protocol.declare import Message
from protocol.messages import messaging as wire
from protocol.messages.session import Bye, Error, GoAway, Ok, Ping, Pong

MAX_PULLS: Final = 2
"""The wire allows four reads: the others are SYNC and the user's own look back."""
PAGE_ENTRIES: Final = 256
PAGE_BYTES: Final = 49_152
"""Asked for at a time: well under what the wire allows, which an older server may bound lower."""
DRAIN_MS: Final = 10_000
"""After GOAWAY the server closes within seconds; one that does not is left."""


@dataclass(slots=True)
class _SyncRun:
    """A SYNC over all its pages."""

    since: int
    first_commit: int | None = None


@dataclass(frozen=True, slots=True)
class _Pull:
    conversation: bytes
    position: int


@dataclass(frozen=True, slots=True)
class _ReadMark:
    conversation: bytes
    seq: int


class Session:
    """Runs one connection until it ends."""

    def __init__(
        self,
        environment: Environment,
        worker: StoreWorker,
        mine: Account,
        logged_in: LoggedIn,
        announce: Callable[[list[Event]], None],
    ) -> None:
        self._environment, self._worker, self._mine = environment, worker, mine
        self._announce = announce
        self.link = logged_in.link
        self._keepalive_ms = logged_in.keepalive_ms
        self._asked: dict[int, _SyncRun | _Pull | _ReadMark] = {}
        self._syncing = self._sync_again = False
        self._unsynced = True
        self._pulling: set[bytes] = set()
        self._behind: dict[bytes, int] = {}
        self._pull_backoff = Backoff(environment)
        self._tasks: set[asyncio.Task[None]] = set()
        self._timers: dict[str, Timer] = {}
        self._pinged_ms: float | None = None
        self._goaway: ChatError | None = None
        self.sender = Sender(environment, worker, self.link, self._spawn)
        if logged_in.sync_request:
            self._asked[logged_in.sync_request] = _SyncRun(mine.since)
            self._syncing = True

    async def run(self) -> None:
        """Serve the connection until it ends.

        Raises:
            ChatError: Always, in the end: why the connection is over.
        """
        try:
            self._watch_keepalive()
            if not self._syncing:
                await self._sync()
            for conversation in await self._worker.run(outbox.lanes):
                self.sender.pump(conversation)
            while True:
                await self._handle(await self.link.receive())
        except Unreachable as error:
            if self._goaway is None:
                raise
            raise self._goaway from error
        finally:
            self.sender.stop()
            for timer in self._timers.values():
                timer.cancel()
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)
            self.link.abort(Unreachable("the session ended"))

    async def leave(self) -> None:
        """Say BYE and close; :meth:`run` then ends."""
        self.sender.stop()
        await self.link.close(Bye())

    def send_typing(self, conversation: bytes, active: bool) -> None:
        """Tell the other; never stored, and lost when offline."""
        if self._goaway is None:
            self.link.send(wire.Typing(conversation, active))

    def send_read(self, conversation: bytes, seq: int, public: bool) -> None:
        """Tell the server how far the user has read; confirmed ones are recorded."""
        if seq > 0 and self._goaway is None:
            request = self.link.next_request()
            self._asked[request] = _ReadMark(conversation, seq)
            self.link.send(wire.Read(request, conversation, seq, public))

    async def call(self, build: Callable[[int], Message]) -> Message:
        """Send the request that ``build`` makes from a request id, and return its answer.

        Raises:
            ChatError: What the answer means, or that the connection is lost.
        """
        return await self.link.call(build(self.link.next_request()))

    async def _handle(self, batch: list[Message]) -> None:
        items: list[Item] = []
        events: list[Event] = []
        told: list[_ReadMark] = []
        for message in batch:
            match message:
                case wire.Event() | wire.Receipt():
                    items.append(message)
                case wire.Sent():
                    sent = self.sender.sent(message)
                    if sent is not None:
                        items.append(sent)
                case wire.HistoryPage():
                    items += self._pulled(message)
                case wire.SyncPage():
                    items += self._synced(message)
                case wire.TypingEvent():
                    if derive.direct_id(self._mine.user, message.user) == message.conversation:
                        events.append(Typing(message.user, message.active))
                case Ok():
                    mark = self._asked.pop(message.request, None)
                    if isinstance(mark, _ReadMark):
                        told.append(mark)
                case wire.Resync():
                    self._sync_again = True
                case Pong():
                    pass  # that it came is what counts: see _watch_keepalive
                case GoAway():
                    self._going(message)
                case Error():
                    items += self._error(message)
                case _:
                    pass  # an answer whose caller has gone
        if items or told:
            outcome = await self._worker.run(lambda store: self._apply(store, items, told))
            await self._follow(outcome, events)
        elif events:
            self._announce(events)
        if self._sync_again and not self._syncing:
            await self._sync()
        self.sender.settle()

    def _apply(self, store: Store, items: list[Item], told: list[_ReadMark]) -> Outcome:
        for mark in told:
            conversations.read_told(store, mark.conversation, mark.seq)
        return Inbound(store, self._mine.user, self._mine.device).apply(items)

    async def _follow(self, outcome: Outcome, events: list[Event]) -> None:
        acks = [wire.Ack(conversation, seq) for conversation, seq in outcome.acks.items()]
        for start in range(0, len(acks), limits.MAX_ACKS):
            self.link.send(wire.Acks(tuple(acks[start : start + limits.MAX_ACKS])))
        for conversation, (seq, public) in outcome.reads.items():
            self.send_read(conversation, seq, public)
        self._behind |= outcome.behind
        self._pull()
        if outcome.unknown:
            self._sync_again = True
        events += outcome.events
        if self._unsynced and not (self._syncing or self._pulling or self._behind):
            self._unsynced = False
            events.append(Synced())
        if events:
            self._announce(events)

    # Synchronising.

    async def _sync(self) -> None:
        mine = await self._worker.run(account.load)
        self._sync_again = False
        self._syncing = self._unsynced = True
        self._ask_sync(_SyncRun(mine.since), 0)

    def _ask_sync(self, run: _SyncRun, page: int) -> None:
        request = self.link.next_request()
        self._asked[request] = run
        self.link.send(wire.Sync(request, run.since, page))

    def _synced(self, page: wire.SyncPage) -> list[Item]:
        run = self._asked.pop(page.request, None)
        if not isinstance(run, _SyncRun):
            return []
        if run.first_commit is None:
            run.first_commit = page.commit
        if page.next:
            self._ask_sync(run, page.next)
        else:
            self._syncing = False
        return [SyncOf(page, run.first_commit)]

    def _pull(self) -> None:
        while self._behind and len(self._pulling) < MAX_PULLS and self._goaway is None:
            waiting = [c for c in self._behind if c not in self._pulling]
            if not waiting:
                return
            conversation = waiting[0]
            pull = _Pull(conversation, self._behind.pop(conversation))
            request = self.link.next_request()
            self._asked[request] = pull
            self._pulling.add(conversation)
            self.link.send(
                wire.History(
                    request,
                    conversation,
                    0,
                    pull.position,
                    PAGE_ENTRIES,
                    PAGE_BYTES,
                )
            )

    def _pulled(self, page: wire.HistoryPage) -> list[Item]:
        pull = self._asked.pop(page.request, None)
        if not isinstance(pull, _Pull):
            return []
        self._pulling.discard(pull.conversation)
        # Whether more is missing is seen anew when this page has been applied.
        self._behind.pop(pull.conversation, None)
        self._pull_backoff.reset()
        return [PageOf(pull.conversation, page, pull.position, older=False)]

    # Errors and endings.

    def _error(self, error: Error) -> list[Item]:
        meaning = from_wire(error.code, error.text, error.retryable, error.retry_after_ms)
        if error.request is None:
            raise meaning
        asked = self._asked.pop(error.request, None)
        match asked:
            case None:
                refusal = self.sender.refused(error)
                return [refusal] if refusal else []
            case _Pull():
                self._pulling.discard(asked.conversation)
                if not isinstance(meaning, Temporary):
                    return []  # not a member any more: there is nothing to pull
                self._behind[asked.conversation] = asked.position
                delay_ms = self._pull_backoff.next_ms(meaning.retry_after_ms)
                self._later("pull", delay_ms, self._pull)
            case _ReadMark():
                pass  # unconfirmed: told again on the next connection
            case _SyncRun():
                if not isinstance(meaning, Temporary):
                    raise meaning
                delay_ms = self._pull_backoff.next_ms(meaning.retry_after_ms)
                run = _SyncRun(asked.since)
                self._later("sync", delay_ms, lambda: self._ask_sync(run, 0))
        return []

    def _going(self, message: GoAway) -> None:
        self._goaway = from_wire(
            message.code,
            "the server is going away",
            message.code not in STOP_CODES,
            message.reconnect_after_ms,
        )
        self.sender.stop()
        self._later("drain", DRAIN_MS, lambda: self.link.abort(Unreachable("the server left")))

    def _watch_keepalive(self) -> None:
        # A quarter of the interval: no silence grows beyond three quarters of it.
        now = self._environment.monotonic_ms()
        if self._pinged_ms is not None and self.link.received_ms >= self._pinged_ms:
            self._pinged_ms = None
        if self._pinged_ms is not None and now - self._pinged_ms >= self._keepalive_ms:
            self.link.abort(Unreachable("the connection went silent"))
            return
        if now - self.link.sent_ms >= self._keepalive_ms / 2 and self._goaway is None:
            self.link.send(Ping(0))
            if self._pinged_ms is None:
                self._pinged_ms = now
        self._later("keepalive", self._keepalive_ms / 4, self._watch_keepalive)

    def _later(self, name: str, delay_ms: float, callback: Callable[[], None]) -> None:
        pending = self._timers.pop(name, None)
        if pending is not None:
            pending.cancel()
        self._timers[name] = self._environment.call_later(delay_ms, callback)

    def _spawn(self, work: Coroutine[object, object, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._spawned)

    def _spawned(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        error = None if task.cancelled() else task.exception()
        if error is not None:
            reason = error if isinstance(error, ChatError) else ServerBroke(repr(error))
            self.link.abort(reason)
