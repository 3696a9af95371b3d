"""What the daemon's tests share: a seeded world with a clock that stands still, and a house."""

import asyncio
import random
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
import pytest_asyncio
import uvloop

from tests.chatd.house import House, open_house


class SeededWorld:
    """An environment whose clock moves only by hand and whose randomness repeats."""

    def __init__(self, seed: int = 7222, now_ms: int = 1_800_000_000_000) -> None:
        self.time_ms = now_ms
        self._random = random.Random(seed)

    def now_ms(self) -> int:
        return self.time_ms

    def token_bytes(self, n: int) -> bytes:
        return self._random.randbytes(n)


@pytest.fixture
def world() -> SeededWorld:
    return SeededWorld()


def _debugged() -> asyncio.AbstractEventLoop:
    loop = asyncio.new_event_loop()
    loop.set_debug(True)
    return loop


def pytest_asyncio_loop_factories() -> dict[str, Callable[[], asyncio.AbstractEventLoop]]:
    """Every asynchronous test of the daemon runs on both loops."""
    return {"asyncio": _debugged, "uvloop": uvloop.new_event_loop}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "data"


@pytest_asyncio.fixture
async def house(folder: Path) -> AsyncIterator[House]:
    """A server with the default settings."""
    async with open_house(folder) as opened:
        yield opened
