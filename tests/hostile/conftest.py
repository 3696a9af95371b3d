"""One server for the tests of a file, in a process of its own."""

from collections.abc import Iterator

import pytest

from tests.hostile.attacker import Scene
from tests.server_process import OPEN_LIMITS, ServerProcess


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    settings = {**OPEN_LIMITS, "log.level": "debug"}
    with ServerProcess(tmp_path_factory.mktemp("server"), settings=settings) as running:
        yield running
        assert running.running, running.log_tail()


@pytest.fixture
def scene(server: ServerProcess) -> Iterator[Scene]:
    made = Scene(server)
    yield made
    made.close()
