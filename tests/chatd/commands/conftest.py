"""A command line over a small store in memory, with and without a running daemon."""

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from chatd.admin_api import Admin, AdminError, CheckResult, DeviceInfo, UserInfo, handlers
from chatd.commands.root import root
from chatd.control import ControlServer
from chatd.folder import InstanceLock, open_folder
from chatd.settings import Config

START_MS = 1_800_000_000_000
HOSTILE = "Ann\x1b[2J\u202e\n"


class MemoryAdmin:
    """Keeps accounts in a dict and refuses as the real one does."""

    def __init__(self) -> None:
        self.users: dict[str, UserInfo] = {}
        self.devices: dict[str, list[DeviceInfo]] = {}
        self.invites: list[tuple[int, int | None]] = []
        self.healthy = True
        for name, inviter in (("ann", None), ("bob", "ann"), ("cat", "bob"), ("dan", None)):
            self.users[name] = UserInfo(name, HOSTILE, "active", inviter, START_MS, 1, None)
            self.devices[name] = [DeviceInfo(1, HOSTILE, START_MS, START_MS, False, True)]

    def _user(self, name: str) -> UserInfo:
        if name not in self.users:
            raise AdminError("not_found", f"there is no user {name!r}")
        return self.users[name]

    async def create_invite(self, uses: int, expires_ms: int | None) -> str:
        self.invites.append((uses, expires_ms))
        return "chatd://chat.example:7222/#1.token"

    async def list_users(self) -> list[UserInfo]:
        return list(self.users.values())

    async def disable_user(self, name: str) -> None:
        self.users[name] = replace(self._user(name), state="disabled")

    async def enable_user(self, name: str) -> None:
        if self._user(name).state != "disabled":
            raise AdminError("refused", f"{name} is not disabled")
        self.users[name] = replace(self._user(name), state="active")

    async def reset_user(self, name: str) -> str:
        return f"chatd://chat.example:7222/#1.reset-{self._user(name).name}"

    async def delete_user(self, name: str) -> None:
        self.users[name] = replace(self._user(name), state="deleted")

    async def list_devices(self, name: str) -> list[DeviceInfo]:
        return self.devices[self._user(name).name]

    async def revoke_device(self, name: str, number: int) -> None:
        found = self.devices[self._user(name).name]
        for index, device in enumerate(found):
            if device.number == number:
                found[index] = replace(device, revoked=True)
                return
        raise AdminError("not_found", f"{name} has no device {number}")

    async def check(self) -> list[CheckResult]:
        return [CheckResult("database", self.healthy, "integrity")]


class LoopEnvironment:
    def call_later(self, delay_ms: int, callback: Callable[[], None]) -> asyncio.TimerHandle:
        return asyncio.get_running_loop().call_later(delay_ms / 1000, callback)

    async def create_unix_server(
        self, factory: Callable[[], asyncio.Protocol], path: str
    ) -> asyncio.AbstractServer:
        return await asyncio.get_running_loop().create_unix_server(factory, path)


class CommandLine:
    """Runs `chatd …` on a data folder of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.admin = MemoryAdmin()
        self.opened = 0
        self.served: list[Config] = []
        self.failure: Exception | None = None

    def run(self, config: Config) -> int:
        if self.failure is not None:
            raise self.failure
        self.served.append(config)
        return 0

    @asynccontextmanager
    async def open_admin(self, config: Config) -> AsyncIterator[Admin]:
        self.opened += 1
        yield self.admin

    def __call__(self, *arguments: str, input_: str | None = None) -> Result:
        runner = CliRunner(env={"CHATD_CONFIG": None})
        where = f"server.data_dir={self.folder}"
        return runner.invoke(root, [*arguments, "--set", where], input=input_, obj=self)

    @contextmanager
    def daemon(self) -> Iterator[None]:
        """A running daemon: it holds the lock and answers on the socket, in another thread."""
        ready, loop = threading.Event(), asyncio.new_event_loop()

        async def start() -> ControlServer:
            path = self.folder / "control.sock"
            server = ControlServer(LoopEnvironment(), handlers(self.admin), path)
            await server.start()
            return server

        def serve() -> None:
            open_folder(self.folder)
            with InstanceLock.acquire(self.folder):
                server = loop.run_until_complete(start())
                ready.set()
                loop.run_forever()
                loop.run_until_complete(server.close())
            loop.close()

        thread = threading.Thread(target=serve)
        thread.start()
        assert ready.wait(10)
        try:
            yield
        finally:
            loop.call_soon_threadsafe(loop.stop)
            thread.join()


@pytest.fixture
def chatd(tmp_path: Path) -> CommandLine:
    return CommandLine(tmp_path / "data")
