"""Reads, away from the loop: each one is a short transaction in a reader's thread."""

from collections.abc import Callable
from queue import SimpleQueue
from typing import TypeVar

from chatd.environment import Environment
from chatd.log import get
from storage.errors import StorageError
from storage.interface import StorageReader

T = TypeVar("T")

log = get(__name__)


class Readers:
    """As many readers as the lane has threads. What is queued is bounded by who may ask:
    a few reads for each connection."""

    def __init__(
        self,
        environment: Environment,
        readers: list[StorageReader],
        on_failure: Callable[[StorageError], None],
    ) -> None:
        self._environment = environment
        self._readers = readers
        self._free: SimpleQueue[StorageReader] = SimpleQueue()
        self._on_failure = on_failure
        for reader in readers:
            self._free.put(reader)

    def submit(
        self,
        function: Callable[[StorageReader], T],
        done: Callable[[T], None],
        failed: Callable[[], None],
    ) -> None:
        """Run ``function`` with a reader, then ``done`` on the loop.

        When ``function`` had a fault, ``failed`` is called instead: what waits must be told. When
        storage failed neither is.
        """

        def finished(result: T, error: BaseException | None) -> None:
            if error is None:
                done(result)
            elif isinstance(error, StorageError):
                self._on_failure(error)
            else:
                log.error("read_failed", error)
                failed()

        self._environment.reader.submit(lambda: self._use(function), finished)

    async def run(self, function: Callable[[StorageReader], T]) -> T:
        """Run ``function`` with a reader and wait for the result.

        Raises:
            StorageError: Storage failed; whoever must know of it was told.
        """
        environment = self._environment
        try:
            return await environment.call(environment.reader, lambda: self._use(function))
        except StorageError as error:
            self._on_failure(error)
            raise

    def close(self) -> None:
        """Close every reader; the lane must be idle."""
        for reader in self._readers:
            reader.close()

    def _use(self, function: Callable[[StorageReader], T]) -> T:
        reader = self._free.get()
        try:
            return function(reader)
        finally:
            self._free.put(reader)
