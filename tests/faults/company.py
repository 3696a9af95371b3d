"""The clients that most scenarios need: users in a ring, each talking with both neighbours.

Each user has several devices, all of which send; so every list has several writers of the same
user, and every device reads two lists.
"""

import asyncio
from collections.abc import Callable
from functools import partial
from random import Random
from types import TracebackType
from typing import Self

from protocol.derive import direct_id
from tests.checker import Record, check
from tests.faults.scenario import ScenarioFailed
from tests.server_process import ServerProcess
from tests.wire.caller import Caller
from tests.wire.device import OutboxDevice
from tests.wire.identity import Credential

SETTLE_S = 30.0
"""Within that, after the last fault, everything is sent, read and acknowledged."""
_POLL_S = 0.002


class Company:
    """Everybody, and the history that they write together."""

    def __init__(self, server: ServerProcess, random: Random, *, users: int, devices: int) -> None:
        """Register everybody on a running server; nobody is connected yet.

        Args:
            server: Running.
            random: Decides what is said and how; the same seed, the same words.
            users: At least 3.
            devices: Of each user.
        """
        self.records: list[Record] = []
        self.devices: list[OutboxDevice] = []
        self._server = server
        self._random = random
        self._tasks: list[asyncio.Task[None]] = []
        self._names = [f"user{number}" for number in range(users)]
        self._peers: dict[str, dict[bytes, str]] = {name: {} for name in self._names}
        for one, other in zip(self._names, [*self._names[1:], self._names[0]], strict=True):
            self._peers[one][direct_id(one, other)] = other
            self._peers[other][direct_id(one, other)] = one
        for name in self._names:
            for number in range(devices):
                self._join(name, first=number == 0)

    def _join(self, name: str, *, first: bool) -> OutboxDevice:
        credential = Credential(name)
        with Caller(self._server.port) as caller:
            server_id = caller.hello().server_id
            if first:
                caller.register(credential, password=True)
            else:
                caller.enrol(credential)
        device = OutboxDevice(
            credential,
            server_id,
            self._server.port,
            self.records,
            self._random.getrandbits(64),
            self._peers[name],
        )
        self.devices.append(device)
        return device

    async def __aenter__(self) -> Self:
        for device in self.devices:
            self._connect(device)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for device in self.devices:
            device.stop()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._check_tasks()

    def _connect(self, device: OutboxDevice) -> None:
        self._tasks.append(asyncio.create_task(device.run()))

    def _check_tasks(self) -> None:
        for task in self._tasks:
            if task.done() and not task.cancelled() and task.exception() is not None:
                raise ScenarioFailed(f"a client gave up: {task.exception()}") from task.exception()

    @property
    def acknowledged(self) -> int:
        """Sends of all devices that were acknowledged."""
        return sum(device.acknowledged for device in self.devices)

    async def until(self, holds: Callable[[], bool], what: str, timeout_s: float) -> None:
        """Wait until something holds.

        Raises:
            ScenarioFailed: Not within the time, a client gave up, or the server died.
        """
        try:
            async with asyncio.timeout(timeout_s):
                while not holds():
                    self._check_tasks()
                    if not self._server.running:
                        tail = self._server.log_tail()
                        raise ScenarioFailed(f"{what}: the server died by itself:\n{tail}")
                    await asyncio.sleep(_POLL_S)
        except TimeoutError:
            lines = [f"{what}: not within {timeout_s:g} s", *self._unfinished()]
            lines += check(self.records).evidence
            raise ScenarioFailed("\n  ".join(lines)) from None

    async def more(self, count: int, timeout_s: float) -> None:
        """Wait until so many more sends were acknowledged."""
        goal = self.acknowledged + count
        await self.until(lambda: self.acknowledged >= goal, f"{count} more sends", timeout_s)

    async def settle(self) -> None:
        """Send nothing new; wait until everybody has sent, read and acknowledged everything."""
        for device in self.devices:
            device.talking = False
        await self.until(self._is_quiet, "everything sent and read", SETTLE_S)

    async def read_anew(self) -> None:
        """Let a new device of every user read every list from its first entry to its last."""
        loop = asyncio.get_running_loop()
        for name in self._names:
            device = await loop.run_in_executor(None, partial(self._join, name, first=False))
            device.talking = False
            self._connect(device)
        await self.until(self._is_quiet, "the lists read anew", SETTLE_S)

    def _unfinished(self) -> list[str]:
        return [line for device in self.devices for line in device.unfinished()]

    def _is_quiet(self) -> bool:
        heads: dict[bytes, int] = {}
        for device in self.devices:
            for cid, talk in device.talks.items():
                heads[cid] = max(heads.get(cid, 0), talk.position)
        return all(device.quiet(heads) for device in self.devices)
