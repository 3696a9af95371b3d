"""Group commit: while one batch is on its way to the disk the next one gathers.

No timer and no threshold: a batch starts when the one before has returned and this tick's input
was handled. Commands are applied on the loop, in memory and page cache; only the wait for the
disk is in a thread. Nobody learns a result before its batch is durable.
"""

from collections.abc import Callable
from typing import Any, Final

from chatd.environment import Environment
from chatd.log import get
from storage.commands import Command, Refusal, Refused, Result
from storage.errors import StorageError, StorageFull
from storage.interface import StorageEngine
from storage.state import Conversation

log = get(__name__)

MOST_QUEUED_BYTES: Final = 33_554_432
"""Bodies that wait for the writer: what one commit of a busy second carries, and no more memory."""

Callback = Callable[[Any], None]
"""Gets the command's result. Any: the submitter knows which results its command can have."""


class Committer:
    """The daemon's only way to the writer."""

    def __init__(
        self,
        environment: Environment,
        engine: StorageEngine,
        *,
        most_queued: int,
        on_failure: Callable[[StorageError], None],
    ) -> None:
        """Make it.

        Args:
            most_queued: Commands waiting from which on :attr:`full` is true.
            on_failure: Called once when the database failed: nothing is answered from then on.
        """
        self._environment = environment
        self._engine = engine
        self._writer = engine.writer
        self._most_queued = most_queued
        self._on_failure = on_failure
        self._commands: list[Command] = []
        self._callbacks: list[Callback] = []
        self._busy = False
        self._stopped = False
        self._copying = False
        self._finish_due = False
        self._waiting: list[Callable[[], None]] = []
        self._queued_bytes = 0
        self.full = False
        """Whether callers should stop producing; see :meth:`when_free`."""
        self.batches = 0

    @property
    def idle(self) -> bool:
        """Whether nothing is queued or under way."""
        return not self._busy

    def submit(self, command: Command, callback: Callback, size_bytes: int = 0) -> None:
        """Queue a command; ``callback`` gets its result once it is durable.

        When storage has failed, the callback is never called.

        Args:
            size_bytes: What the command holds in memory, if it is much.
        """
        self._commands.append(command)
        self._callbacks.append(callback)
        self._queued_bytes += size_bytes
        if len(self._commands) >= self._most_queued or self._queued_bytes >= MOST_QUEUED_BYTES:
            self.full = True
        if not self._busy:
            self._busy = True
            self._environment.call_soon(self._begin)

    def when_free(self, callback: Callable[[], None]) -> None:
        """Call once, after the queue was taken."""
        self._waiting.append(callback)

    async def run(self, command: Command) -> Result:
        """Queue a command and wait for its result: for what is not on the hot path."""
        return await self._environment.wait(lambda done: self.submit(command, done))

    def peek(self, cid: bytes) -> Conversation | None:
        """Return a conversation if the writer has it in memory; only to read from it."""
        return self._writer.peek(cid)

    def stop(self) -> None:
        """Carry out nothing more: connections that end now have nothing to say that matters."""
        self._stopped = True

    def set_full(self, full: bool) -> None:
        """Refuse new entries from now on, or take them again."""
        if self._writer.full is not full:
            log.warning("storage_full" if full else "storage_has_room")
        self._writer.full = full

    def maintain(self) -> None:
        """Begin the upkeep that is due: after each batch, and by a timer for when none comes."""
        if not self._copying and not self._stopped and self._engine.wants_copy():
            self._copying = True
            self._environment.upkeep.submit(self._engine.copy, self._copied)

    def _begin(self) -> None:
        if self._stopped:
            return
        if self._finish_due:
            self._finish_due = False
            self._environment.writer.submit(self._engine.finish_copy, self._finished)
            return
        if not self._commands:
            self._busy = False
            return
        commands, callbacks = self._commands, self._callbacks
        self._commands, self._callbacks = [], []
        self._queued_bytes = 0
        self.full = False
        self._release_waiting()
        self._attempt(commands, callbacks, again=False)

    def _attempt(self, commands: list[Command], callbacks: list[Callback], *, again: bool) -> None:
        try:
            results = self._writer.apply(commands)
        except Exception as error:  # noqa: BLE001  a bug must end the service as well
            self._undo(error, commands, callbacks, again)
            return

        def committed(_: object, error: BaseException | None) -> None:
            if error is None:
                self._publish(callbacks, results)
            else:
                self._undo(error, commands, callbacks, again)

        self._environment.writer.submit(self._writer.commit, committed)

    def _publish(self, callbacks: list[Callback], results: list[Result]) -> None:
        if self._stopped:
            return  # a copy failed meanwhile: what this batch left on the disk is in doubt
        self.batches += 1
        for callback, result in zip(callbacks, results, strict=True):
            try:
                callback(result)
            except Exception as error:  # noqa: BLE001  one session's fault is not its batch mates'
                log.error("callback_failed", error, command=type(result).__name__)
        self.maintain()
        self._environment.call_soon(self._begin)

    def _undo(
        self,
        error: BaseException,
        commands: list[Command],
        callbacks: list[Callback],
        again: bool,
    ) -> None:
        """Roll back. A full disk is not the end: entries are refused, and the rest tried anew."""
        if not isinstance(error, StorageFull):
            self._fail(error)
            return
        try:
            self._writer.rollback()
            self._engine.release_reserve()
        except StorageError as failure:
            self._fail(failure)
            return
        self.set_full(True)
        if again:
            refused = Refused(Refusal.DISK_FULL)
            self._publish(callbacks, [refused for _ in callbacks])
        else:
            self._attempt(commands, callbacks, again=True)

    def _fail(self, error: BaseException) -> None:
        self._stopped = True
        if not isinstance(error, StorageError):
            log.error("writer_bug", error)
            error = StorageError(f"the writer failed ({type(error).__name__})")
        self._on_failure(error)

    def _copied(self, _: object, error: BaseException | None) -> None:
        self._copying = False
        if error is not None and not isinstance(error, StorageFull):
            self._fail(error)
            return
        self._finish_due = True
        if not self._busy:
            self._busy = True
            self._environment.call_soon(self._begin)

    def _finished(self, _: object, error: BaseException | None) -> None:
        if error is not None and not isinstance(error, StorageFull):
            self._fail(error)
            return
        self._begin()

    def _release_waiting(self) -> None:
        waiting, self._waiting = self._waiting, []
        for callback in waiting:
            callback()
