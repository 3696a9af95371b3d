"""The world as the SDK sees it: clock, timers, randomness, connections and the storage thread.

Nothing else in the SDK may reach for any of these (a test holds it), so that a client can run on
a seeded loop with a virtual clock. Works on asyncio and on uvloop.
"""

import asyncio
import os
import random
import ssl
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Protocol, TypeVar

T = TypeVar("T")

CONNECT_TIMEOUT_MS = 15_000
"""TCP and TLS together: a host that has not answered by then is taken for unreachable."""


class Timer(Protocol):
    """A call that is due later."""

    def cancel(self) -> None:
        """Make sure that it never happens; harmless when it has."""


class Environment:
    """The real world. A test passes a subclass of its own to :class:`clients.sdk.Client`."""

    def __init__(self) -> None:
        # One thread: the store is one connection, and its calls must not overlap.
        self._storage = ThreadPoolExecutor(1, thread_name_prefix="chat-store")

    def now_ms(self) -> int:
        """Return the wall clock, milliseconds since the Unix epoch: decoration, never order."""
        return time.time_ns() // 1_000_000

    def monotonic_ms(self) -> float:
        """Return a clock that never goes back, in milliseconds from an arbitrary start."""
        return time.monotonic() * 1000

    def random(self) -> float:
        """Return a number in [0, 1) for jitter; not for secrets."""
        return random.random()  # noqa: S311  jitter only

    def token_bytes(self, count: int) -> bytes:
        """Return ``count`` bytes that nobody can guess."""
        return os.urandom(count)

    def call_later(self, delay_ms: float, callback: Callable[[], None]) -> Timer:
        """Call ``callback`` on the running loop after ``delay_ms``."""
        return asyncio.get_running_loop().call_later(delay_ms / 1000, callback)

    async def sleep(self, delay_ms: float) -> None:
        """Let ``delay_ms`` pass."""
        due = asyncio.Event()
        timer = self.call_later(delay_ms, due.set)
        try:
            await due.wait()
        finally:
            timer.cancel()

    async def run_in_thread(self, function: Callable[[], T]) -> T:
        """Run a blocking call of the store; calls run one after the other, in order."""
        return await asyncio.get_running_loop().run_in_executor(self._storage, function)

    async def connect(
        self,
        host: str,
        port: int,
        tls: ssl.SSLContext | None,
        factory: Callable[[], asyncio.Protocol],
    ) -> None:
        """Open one connection; ``factory``'s protocol gets it.

        Raises:
            OSError: Nobody answers there, or TLS failed (``ssl.SSLError`` is one); TimeoutError,
                after ``CONNECT_TIMEOUT_MS``, is one too.
        """
        async with asyncio.timeout(CONNECT_TIMEOUT_MS / 1000):
            await asyncio.get_running_loop().create_connection(
                factory, host, port, ssl=tls, server_hostname=host if tls else None
            )

    def close(self) -> None:
        """Let the storage thread go; nothing may be run in it afterwards."""
        self._storage.shutdown(wait=False)
