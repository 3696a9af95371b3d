"""Upkeep when no batch follows to bring it about; the end when a batch breaks the writer."""

from pathlib import Path

import pytest

from chatd.committer import Committer
from chatd.environment import Environment
from protocol.derive import chain_next
from storage.commands import Append, Appended, Command, Enrolled, Result
from storage.engine import EMPTY_EVERY_MS, SqliteEngine
from storage.errors import StorageError
from tests.storage.helpers import DELETION, Clock, append, registration


def holding(folder: Path, needle: bytes) -> list[str]:
    return [path.name for path in folder.iterdir() if needle in path.read_bytes()]


@pytest.mark.asyncio
async def test_removed_body_leaves_the_log_file_when_no_batch_follows(tmp_path: Path) -> None:
    clock, failures = Clock(), list[StorageError]()
    environment = Environment(1)
    engine = SqliteEngine(tmp_path, now_ms=clock, chain=chain_next, reserve_mib=1)
    committer = Committer(environment, engine, most_queued=9, on_failure=failures.append)

    async def run(command: Command) -> Result:
        return await committer.run(command)

    async def settle() -> None:
        """Let the copy, and what finishes it, run out."""
        await environment.call(environment.upkeep, lambda: None)
        await environment.wait(lambda done: environment.call_soon(done, None))
        await environment.call(environment.writer, lambda: None)

    def removed() -> bool:
        return engine.writer.bodies_removed

    romeo = await run(registration("romeo"))
    await run(registration("juliet"))
    assert isinstance(romeo, Enrolled)

    async def send(n: int, body: bytes, removes: int = 0) -> None:
        header = DELETION if removes else b"\x90"
        command: Append = append(
            romeo.device, "juliet", n, header=header, body=body, removes=removes
        )
        assert isinstance(await run(command), Appended)

    await send(1, b"first secret")
    await send(2, b"second secret")
    await send(3, b"", removes=1)
    await settle()
    assert not removed()
    await send(4, b"", removes=2)  # too soon after: only the timer comes back to it
    await settle()
    committer.maintain()
    await settle()
    assert removed()
    clock.ms += EMPTY_EVERY_MS
    committer.maintain()
    await settle()
    assert not removed()
    assert (holding(tmp_path, b"secret"), failures) == ([], [])
    environment.close()
    engine.close()


@pytest.mark.asyncio
async def test_service_ends_when_a_batch_breaks_the_writer(tmp_path: Path) -> None:
    def broken(*_: object) -> bytes:
        raise RuntimeError("a bug")

    failures: list[StorageError] = []
    environment = Environment(1)
    engine = SqliteEngine(tmp_path, now_ms=Clock(), chain=broken, reserve_mib=1)
    committer = Committer(environment, engine, most_queued=9, on_failure=failures.append)
    romeo = await committer.run(registration("romeo"))
    await committer.run(registration("juliet"))
    assert isinstance(romeo, Enrolled)
    answers: list[Result] = []
    committer.submit(append(romeo.device, "juliet", 1), answers.append)
    await environment.wait(lambda done: environment.call_soon(done, None))
    await environment.call(environment.writer, lambda: None)
    assert [str(failure) for failure in failures] == ["the writer failed (RuntimeError)"]
    assert answers == []
    environment.close()
    engine.close()
