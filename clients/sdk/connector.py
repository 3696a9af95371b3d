"""Keeps a client connected: dials, logs in, runs the session, waits, and begins again.

It stops by itself only when going on would be wrong or useless: the device was revoked, replaced
or restored from a copy, the account is closed, or the store fails.
"""

import asyncio
from collections.abc import Callable

from clients.sdk import account, login
from clients.sdk.account import Account, State
from clients.sdk.environment import Environment
from clients.sdk.errors import (
    RESTORED,
    REVOKED,
    AccountClosed,
    AuthenticationFailed,
    ChatError,
    DeviceRestored,
    DeviceRevoked,
    InvalidInput,
    ServerBroke,
    Stopped,
    StoreError,
    Temporary,
)
from clients.sdk.events import ConnectionChanged, Event, Synced
from clients.sdk.reconnect import STABLE_MS, Backoff
from clients.sdk.session import Session
from clients.sdk.worker import StoreWorker
from protocol.errors import LocalProtocolError

_LASTING: dict[type[Stopped], State] = {
    DeviceRestored: "restored",
    DeviceRevoked: "revoked",
    AccountClosed: "closed",
}


class Connector:
    """The supervisor of a client's connections."""

    def __init__(
        self,
        environment: Environment,
        worker: StoreWorker,
        announce: Callable[[list[Event]], None],
        stopped: Callable[[ChatError], None],
    ) -> None:
        self._environment, self._worker = environment, worker
        self._announce, self._stopped = announce, stopped
        self.session: Session | None = None
        """The session that is logged in; None while there is none."""
        self.mine: Account | None = None
        self._error: ChatError | None = None
        self._over: ChatError | None = None
        self._synced = False
        self._waiting: list[tuple[asyncio.Future[None], bool]] = []
        self._backoff = Backoff(environment)
        self._hurried = asyncio.Event()

    @property
    def last_error(self) -> ChatError | None:
        """Why there is no connection; None while there is one, or before the first try."""
        return self._over or self._error

    async def wait(self, synced: bool) -> None:
        """Wait for the connection, or for everything it has to bring; cuts a delay short.

        Raises:
            ChatError: The current or next attempt failed, and why; the client goes on trying
                unless it is a ``Stopped``.
        """
        if self._over is not None:
            raise self._over
        if self.session is not None and (self._synced or not synced):
            return
        self._hurried.set()  # somebody is waiting: do not sit out a long delay
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((future, synced))
        await future

    async def run(self) -> None:
        """Stay connected until stopped or cancelled."""
        while True:
            started_ms = self._environment.monotonic_ms()
            try:
                await self._connect_and_serve()
            except LocalProtocolError as error:
                failure: ChatError = ServerBroke(f"a fault of this client: {error}")
                failure.__cause__ = error
            except ChatError as error:
                failure = error
            was_online, self.session, self._synced = self.session is not None, None, False
            failure = await self._judge(failure, was_online)
            if isinstance(failure, Stopped | StoreError | InvalidInput):
                self._give_up(failure)
                return
            if self._environment.monotonic_ms() - started_ms >= STABLE_MS:
                self._backoff.reset()
            advice_ms = failure.retry_after_ms if isinstance(failure, Temporary) else 0
            delay_ms = self._backoff.next_ms(advice_ms)
            self._error = failure
            self._settle(failure)
            self._announce([ConnectionChanged(False, str(failure), delay_ms)])
            await self._pause(delay_ms)

    async def _pause(self, delay_ms: int) -> None:
        self._hurried.clear()
        timer = self._environment.call_later(delay_ms, self._hurried.set)
        try:
            await self._hurried.wait()
        finally:
            timer.cancel()

    async def _connect_and_serve(self) -> None:
        self.mine = await self._worker.run(account.load)
        if self.mine.state == "restored":
            raise DeviceRestored(RESTORED)
        if not self.mine.device:
            raise InvalidInput("joining did not finish: repeat chat join with the same link")
        logged_in = await login.login(self._environment, self._worker, self.mine)
        try:
            if self.mine.state != "active":
                # Disabled for a while, and enabled again.
                await self._worker.run(lambda store: account.activate(store, logged_in.device))
            if logged_in.tls_key_hash != self.mine.tls_key_hash:
                await self._worker.run(
                    lambda store: account.remember_tls(store, logged_in.tls_key_hash)
                )
            self.session = Session(
                self._environment, self._worker, self.mine, logged_in, self._tell
            )
            self._error = None
            self._settle(None)
            self._announce([ConnectionChanged(True)])
            await self.session.run()
        finally:
            logged_in.link.abort(Temporary("the session ended"))

    async def _judge(self, failure: ChatError, was_online: bool) -> ChatError:
        # A key login that fails has one answer for all causes; none of them passes by itself.
        if isinstance(failure, AuthenticationFailed) and not was_online:
            failure = DeviceRevoked(REVOKED)
        state = _LASTING.get(type(failure)) if isinstance(failure, Stopped) else None
        if state is not None:
            lasting = state
            try:
                await self._worker.run(lambda store: account.stop(store, lasting))
            except StoreError as error:
                return error
        return failure

    def _tell(self, events: list[Event]) -> None:
        if any(isinstance(event, Synced) for event in events):
            self._synced = True
            self._settle(None)
        self._announce(events)

    def _settle(self, error: ChatError | None) -> None:
        waiting, self._waiting = self._waiting, []
        for future, synced in waiting:
            if future.done():
                continue
            if error is not None:
                future.set_exception(error)
            elif self.session is not None and (self._synced or not synced):
                future.set_result(None)
            else:
                self._waiting.append((future, synced))

    def _give_up(self, error: ChatError) -> None:
        self._over = error
        self._settle(error)
        self._announce([ConnectionChanged(False, str(error), None)])
        self._stopped(error)

    def close(self, error: ChatError) -> None:
        """Tell those who still wait that it is over."""
        self._over = self._over or error
        self._settle(error)
