"""Calls of the store from the loop: whatever waits goes into one transaction, in order.

The commit's fsync is the price of durability; callers that arrive while one is paid share the
next. A call's result is given out only when its transaction is on disk; a call that raises is
undone alone.
"""

import asyncio
from collections.abc import Callable
from typing import Final, Generic, TypeVar

from clients.sdk.environment import Environment
from clients.sdk.errors import ClientClosed
from clients.sdk.store import Store

T = TypeVar("T")

MAX_BATCH: Final = 256
"""Calls in one transaction: it bounds how long the first of them waits for its answer."""


class _Job(Generic[T]):
    __slots__ = ("_error", "_function", "_result", "future")

    def __init__(self, function: Callable[[Store], T], future: asyncio.Future[T]) -> None:
        self._function, self.future = function, future
        self._result: list[T] = []
        self._error: Exception | None = None

    def perform(self, store: Store) -> None:
        try:
            with store.savepoint():
                self._result = [self._function(store)]
        except Exception as error:  # noqa: BLE001  handed to the caller by settle()
            self._error = error

    def settle(self, failed: Exception | None) -> None:
        if self.future.done():
            return  # the caller was cancelled; what it asked for is done all the same
        error = failed or self._error
        if error is not None:
            self.future.set_exception(error)
        else:
            self.future.set_result(self._result[0])


class StoreWorker:
    """The only way from the loop to an open store."""

    def __init__(self, environment: Environment, store: Store) -> None:
        self._environment, self._store = environment, store
        self._waiting: list[_Job[object]] = []
        self._task: asyncio.Task[None] | None = None
        self._closed = False

    async def run(self, function: Callable[[Store], T]) -> T:
        """Run ``function`` in a transaction and return its result once that is on disk.

        Raises:
            ClientClosed: The worker was closed before.
            StoreError: The store failed; nothing of the call was kept.
        """
        if self._closed:
            raise ClientClosed("the client is closed")
        future: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        self._waiting.append(_Job(function, future))  # type: ignore[arg-type]  # T meets its own future again
        if self._task is None:
            self._task = asyncio.create_task(self._work())
        return await future

    async def _work(self) -> None:
        try:
            while self._waiting:
                jobs, self._waiting = self._waiting[:MAX_BATCH], self._waiting[MAX_BATCH:]
                failed: Exception | None = None
                try:
                    await self._environment.run_in_thread(lambda jobs=jobs: self._perform(jobs))  # type: ignore[misc]  # mypy cannot infer a default
                except Exception as error:  # noqa: BLE001  every waiting caller gets it
                    failed = error
                for job in jobs:
                    job.settle(failed)
        finally:
            self._task = None

    def _perform(self, jobs: list[_Job[object]]) -> None:
        with self._store.transaction():
            for job in jobs:
                job.perform(self._store)

    async def close(self) -> None:
        """Finish what waits, then close the store."""
        self._closed = True
        if self._task is not None:
            await self._task
        await self._environment.run_in_thread(self._store.close)
