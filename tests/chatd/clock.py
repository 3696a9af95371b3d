"""The real world but for its clock: time stands still until a test moves it, timers with it."""

import asyncio
import heapq
from collections.abc import Callable
from itertools import count

from chatd.environment import Environment, Timer


class Due:
    """A timer of :class:`ManualEnvironment`."""

    def __init__(self, call: Callable[[], object]) -> None:
        self.call: Callable[[], object] | None = call

    def cancel(self) -> None:
        self.call = None


class ManualEnvironment(Environment):
    """Real sockets and threads, a clock that is moved by hand."""

    def __init__(self, now_ms: int = 1_800_000_000_000) -> None:
        super().__init__()
        self._now_ms = now_ms
        self._elapsed_ms = 1_000_000
        self._order = count()
        self._timers: list[tuple[int, int, Due]] = []

    def now_ms(self) -> int:
        return self._now_ms

    def monotonic_ms(self) -> int:
        return self._elapsed_ms

    def call_later(self, delay_ms: int, callback: Callable[..., object], *args: object) -> Timer:
        due = Due(lambda: callback(*args))
        heapq.heappush(self._timers, (self._elapsed_ms + delay_ms, next(self._order), due))
        return due

    async def sleep(self, delay_ms: int) -> None:
        """Wait for the real world, and count it."""
        await super().sleep(delay_ms)
        await self.advance(delay_ms)

    @property
    def timers_due(self) -> int:
        """How many timers are pending."""
        return sum(due.call is not None for _, _, due in self._timers)

    async def advance(self, duration_ms: int) -> None:
        """Let time pass: timers fire in their order, each with the tick that follows it."""
        end_ms = self._elapsed_ms + duration_ms
        while self._timers and self._timers[0][0] <= end_ms:
            at_ms, _, due = heapq.heappop(self._timers)
            self._move(at_ms)
            if due.call is not None:
                due.call()
                await asyncio.sleep(0)
        self._move(end_ms)

    def set_back(self, duration_ms: int) -> None:
        """Somebody corrected the wall clock."""
        self._now_ms -= duration_ms

    def _move(self, to_ms: int) -> None:
        self._now_ms += to_ms - self._elapsed_ms
        self._elapsed_ms = to_ms
