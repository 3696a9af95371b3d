"""The outbox on its way: for each conversation at most 32 unanswered, in order of ``n``.

Sends fail as a suffix: when one comes back with an error, the ones behind it come back too. So a
lane that has met an error sends nothing more until all its answers are in, and then begins again at
the lowest ``n`` that waits; what was refused has been marked and renumbered by then.
"""

from collections.abc import Callable, Coroutine

from clients.sdk import outbox
from clients.sdk.environment import Environment, Timer
from clients.sdk.errors import ChatError, ServerBroke, Stopped, Temporary, code_name, from_wire
from clients.sdk.inbound import Refusal, SentOf
from clients.sdk.link import Link
from clients.sdk.outbox import Queued
from clients.sdk.reconnect import Backoff
from clients.sdk.worker import StoreWorker
from protocol import limits
from protocol.errors import ErrorCode
from protocol.messages.messaging import Send, Sent
from protocol.messages.session import Error


class _Lane:
    """One conversation's sends on this connection."""

    __slots__ = (
        "after_n", "backoff", "conversation", "delay_ms", "explained", "filling", "flying",
        "generation", "more", "stalled", "timer",
    )  # fmt: skip

    def __init__(self, conversation: bytes, backoff: Backoff) -> None:
        self.conversation, self.backoff = conversation, backoff
        self.flying: dict[int, Queued] = {}
        self.after_n = 0  # highest n sent
        self.generation = 0  # of the numbering: rows read before it changed are stale
        self.filling = self.more = False
        self.stalled = False  # an error came: wait for the other answers
        self.explained = False  # an error other than out_of_order came
        self.delay_ms = 0
        self.timer: Timer | None = None


class Sender:
    """All lanes of one connection."""

    def __init__(
        self,
        environment: Environment,
        worker: StoreWorker,
        link: Link,
        spawn: Callable[[Coroutine[object, object, None]], None],
    ) -> None:
        self._environment, self._worker, self._link = environment, worker, link
        self._spawn = spawn
        self._lanes: dict[bytes, _Lane] = {}
        self._of_request: dict[int, _Lane] = {}
        self._open = True

    @property
    def idle(self) -> bool:
        """Whether no answer is outstanding."""
        return not self._of_request

    def stop(self) -> None:
        """Send nothing more; answers are still taken."""
        self._open = False
        for lane in self._lanes.values():
            if lane.timer is not None:
                lane.timer.cancel()

    def pump(self, conversation: bytes) -> None:
        """Send what waits in a conversation, as far as its window allows."""
        lane = self._lanes.get(conversation)
        if lane is None:
            lane = self._lanes[conversation] = _Lane(conversation, Backoff(self._environment))
        lane.more = True
        if self._may_send() and not lane.filling and not lane.stalled:
            lane.filling = True
            self._spawn(self._fill(lane))

    async def _fill(self, lane: _Lane) -> None:
        try:
            while lane.more and self._may_send() and not lane.stalled:
                room = limits.MAX_UNANSWERED_SENDS - len(lane.flying)
                if room <= 0:
                    return  # an answer makes room, and pumps again
                lane.more = False
                after_n, generation = lane.after_n, lane.generation
                rows = await self._worker.run(
                    lambda store, after_n=after_n, room=room: outbox.following(  # type: ignore[misc]  # mypy cannot infer a default
                        store, lane.conversation, after_n, room
                    )
                )
                if generation != lane.generation:
                    continue
                if not self._may_send():
                    return
                if len(rows) == room:
                    lane.more = True
                for row in rows:
                    self._send(lane, row)
        finally:
            lane.filling = False

    def _may_send(self) -> bool:
        return self._open and self._link.alive

    def _send(self, lane: _Lane, row: Queued) -> None:
        request = self._link.next_request()
        self._link.send(
            Send(
                request,
                row.conversation,
                row.n,
                row.message_id,
                row.header,
                row.body,
                row.peer if row.name_peer else None,
            )
        )
        lane.flying[request] = row
        lane.after_n = row.n
        self._of_request[request] = lane

    def sent(self, answer: Sent) -> SentOf | None:
        """Match SENT with its message; None if it answers nothing of ours."""
        lane = self._of_request.pop(answer.request, None)
        if lane is None:
            return None
        row = lane.flying.pop(answer.request)
        lane.backoff.reset()
        return SentOf(row.conversation, row.message_id, answer)

    def refused(self, error: Error) -> Refusal | None:
        """Take an ERROR that answers a send.

        Returns:
            The refusal to record, if the message is refused for good.

        Raises:
            Stopped: This device must not go on sending.
            ServerBroke: The server does not know messages that it has acknowledged.
        """
        assert error.request is not None
        lane = self._of_request.pop(error.request)
        row = lane.flying.pop(error.request)
        first = not lane.stalled
        lane.stalled = True
        lane.generation += 1  # rows that are being read are stale
        if error.code == ErrorCode.OUT_OF_ORDER:
            if first and not lane.explained:
                raise ServerBroke("the server lacks messages of this device that it had stored")
            return None
        lane.explained = True
        meaning: ChatError = from_wire(
            error.code, error.text, error.retryable, error.retry_after_ms
        )
        if isinstance(meaning, Stopped):
            raise meaning
        if isinstance(meaning, Temporary):
            lane.delay_ms = max(lane.delay_ms, lane.backoff.next_ms(meaning.retry_after_ms))
            return None
        return Refusal(row.message_id, code_name(error.code))

    def settle(self) -> None:
        """After a batch of answers is on disk: fill windows, restart lanes that are drained."""
        for lane in list(self._lanes.values()):
            if not lane.stalled:
                if len(lane.flying) < limits.MAX_UNANSWERED_SENDS and lane.more:
                    self.pump(lane.conversation)
                elif not lane.flying and not lane.filling:
                    del self._lanes[lane.conversation]
            elif not lane.flying and lane.timer is None:
                lane.timer = self._environment.call_later(
                    lane.delay_ms,
                    lambda lane=lane: self._restart(lane),  # type: ignore[misc]  # mypy cannot infer a default
                )

    def _restart(self, lane: _Lane) -> None:
        lane.timer = None
        lane.stalled = lane.explained = False
        lane.delay_ms = lane.after_n = 0
        self.pump(lane.conversation)
