"""Every asynchronous test of the library runs on asyncio and on uvloop, against a scripted peer."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping

import pytest
import pytest_asyncio
import uvloop

from tests.clients.peer import Log, Peer


def pytest_asyncio_loop_factories(
    config: pytest.Config, item: pytest.Item
) -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    return {"asyncio": asyncio.new_event_loop, "uvloop": uvloop.new_event_loop}


@pytest_asyncio.fixture
async def peer() -> AsyncIterator[Peer]:
    async with Peer() as listening:
        yield listening


@pytest.fixture
def log() -> Log:
    return Log("juliet", "romeo")
