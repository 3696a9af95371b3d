"""The daemon as a process of its own: signals, exit status, logs without secrets."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from chatd.certificate import FILE_NAME, CertificateInfo, ensure_self_signed
from chatd.control_client import call
from chatd.identity import load_or_create
from protocol.errors import ErrorCode
from protocol.links import parse_link
from protocol.messages import session
from tests.chatd.actor import Actor, Credentials, Gone, expect
from tests.chatd.conftest import SeededWorld
from tests.chatd.house import registration, scram_login

pytestmark = pytest.mark.asyncio(loop_factories=["asyncio"])

PROGRAM = """
import sys
from chatd.config import load
from chatd.server import run
{patch}
sys.exit(run(load(None, sys.argv[1:], {{}})))
"""
BROKEN_DISK = """
from storage.writer import Writer
from storage.errors import StorageFailed
commit = Writer.commit
def failing(self):
    if self.log_was_written():
        raise StorageFailed("the disk is gone")
    commit(self)
Writer.log_was_written = lambda self: bool(
    self.connection.execute("SELECT count(*) FROM log").get)
Writer.commit = failing
"""


class Daemon:
    """A running process."""

    def __init__(self, process: asyncio.subprocess.Process, folder: Path) -> None:
        self.process, self.folder = process, folder
        self.port = 0
        self.log = ""

    async def starts(self) -> None:
        while not self.port:
            line = await self._line()
            if " listening " in line:
                self.port = int(line.rsplit("port=", 1)[1])

    async def logs(self, text: str) -> None:
        """Wait until a line with this text is logged."""
        while text not in await self._line():
            pass

    async def ends(self) -> int:
        assert self.process.stderr is not None
        self.log += (await self.process.stderr.read()).decode()
        return await self.process.wait()

    async def arrives(self, user: str) -> Actor:
        link = await asyncio.to_thread(
            call, self.folder / "control.sock", "create_invite", {"uses": 1, "expires_ms": None}
        )
        token = parse_link(str(link)).token
        actor = await Actor.connect(self.port, Credentials(user))
        actor.hello()
        accepted = expect(session.Accepted, await actor.asks(registration(actor, token)))
        actor.me.device = accepted.device
        await actor.syncs()
        return actor

    async def _line(self) -> str:
        assert self.process.stderr is not None
        line = (await self.process.stderr.readline()).decode()
        assert line, self.log
        self.log += line
        return line


@asynccontextmanager
async def daemon(folder: Path, *settings: str, patch: str = "") -> AsyncIterator[Daemon]:
    values = {
        "server.data_dir": str(folder),
        "server.listen": "127.0.0.1:0",
        "server.public_address": "chat.example:7222",
        "storage.reserve_mib": "1",
        "log.level": "debug",
    }
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        PROGRAM.format(patch=patch),
        *[f"{name}={value}" for name, value in values.items()],
        *settings,
        stderr=asyncio.subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
    )
    running = Daemon(process, folder)
    try:
        async with asyncio.timeout(20):
            await running.starts()
            yield running
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def test_stop_signal_drains_and_exits_with_zero(folder: Path) -> None:
    async with daemon(folder) as chatd:
        romeo, juliet = await chatd.arrives("romeo"), await chatd.arrives("juliet")
        await romeo.says("juliet", "before the end")
        await juliet.receives("before the end")
        async with asyncio.timeout(5):
            chatd.process.send_signal(signal.SIGTERM)
            goaway = await romeo.is_sent_away()
            assert (goaway.code, goaway.reconnect_after_ms) == (ErrorCode.DRAINING, 1_000)
            await juliet.is_sent_away()
            assert await chatd.ends() == 0
        assert "stopped" in chatd.log
        assert "error" not in chatd.log.lower()
        await romeo.leave()
        await juliet.leave()
    async with daemon(folder) as chatd:  # and what was acknowledged is there
        juliet = await chatd.arrives("nurse")
        chatd.process.send_signal(signal.SIGINT)
        assert await chatd.ends() == 0
        await juliet.leave()


async def test_storage_failure_ends_the_process_with_one_and_answers_nothing(
    folder: Path,
) -> None:
    async with daemon(folder, patch=BROKEN_DISK) as chatd:
        romeo, juliet = await chatd.arrives("romeo"), await chatd.arrives("juliet")
        async with asyncio.timeout(1):
            request = romeo.sends("juliet", "in doubt")
            assert await chatd.ends() == 1
        with pytest.raises(Gone):
            await romeo.answer(request)
        await juliet.ends()
        assert list(juliet.pushes) == []
        assert "storage_failed" in chatd.log
        await romeo.leave()
        await juliet.leave()


async def test_hangup_signal_serves_a_new_certificate(folder: Path) -> None:
    async with daemon(folder) as chatd:
        romeo = await chatd.arrives("romeo")
        pem = folder / FILE_NAME
        pem.unlink()
        ensure_self_signed(folder, "chat.example", SeededWorld())
        chatd.process.send_signal(signal.SIGHUP)
        await chatd.logs("certificate_loaded")
        juliet = await chatd.arrives("juliet")
        assert juliet.binding != romeo.binding
        assert isinstance(juliet.certificate, CertificateInfo)
        await romeo.says("juliet", "old and new")
        await juliet.receives("old and new")
        await romeo.leave()
        await juliet.leave()


async def test_log_holds_no_secret(folder: Path) -> None:
    """threats.md class 27: canaries in every secret place, at the most talkative level."""
    canary = "canary"
    async with daemon(folder) as chatd:
        romeo, juliet = await chatd.arrives("romeo"), await chatd.arrives("juliet")
        await romeo.says("juliet", f"{canary} body")
        await juliet.receives(f"{canary} body")
        wrong = await Actor.connect(chatd.port, Credentials("romeo", f"{canary} password"))
        wrong.hello()
        expect(session.Error, await scram_login(wrong))
        broken = await Actor.connect(chatd.port, Credentials("romeo"))
        broken.hello()
        body = f"{canary}".encode() * 3
        broken.tell_raw((len(body) + 1).to_bytes(4) + b"\x07" + body)
        await broken.ends()
        romeo.tell_raw((len(body) + 1).to_bytes(4) + b"\x10" + body)
        await romeo.ends()
        identity = load_or_create(folder, SeededWorld())
        token = await asyncio.to_thread(
            call, folder / "control.sock", "create_invite", {"uses": 1, "expires_ms": None}
        )
        chatd.process.send_signal(signal.SIGTERM)
        assert await chatd.ends() == 0
        for actor in (romeo, juliet, wrong, broken):
            await actor.leave()
    assert "login_refused" in chatd.log
    assert "protocol_error" in chatd.log
    secrets = [
        canary,
        romeo.me.secret,
        str(token).rsplit("#", 1)[1],
        identity.server_secret.hex(),
        repr(identity.server_secret),
        "Traceback",
    ]
    for secret in secrets:
        assert secret not in chatd.log
