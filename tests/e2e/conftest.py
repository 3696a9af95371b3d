"""A running server, and people with invites to it."""

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.e2e.chat_process import ROOT, Person
from tests.server_process import ServerProcess


@pytest.fixture
def server(tmp_path: Path) -> Iterator[ServerProcess]:
    folder = tmp_path / "server"
    folder.mkdir()
    with ServerProcess(folder) as running:
        yield running


@pytest.fixture
def invite(server: ServerProcess) -> Callable[[], str]:
    """Return a function that makes an invite, as the admin does."""

    def make() -> str:
        command = ["-m", "chatd", "invite", "--config", str(server.folder / "chatd.toml")]
        made = subprocess.run(
            [sys.executable, *command], cwd=ROOT, capture_output=True, text=True, check=True
        )
        return made.stdout.strip()

    return make


@pytest.fixture
def romeo(tmp_path: Path, invite: Callable[[], str]) -> Person:
    person = Person(tmp_path / "romeo", "romeo")
    person.join(invite())
    return person


@pytest.fixture
def juliet(tmp_path: Path, invite: Callable[[], str]) -> Person:
    person = Person(tmp_path / "juliet", "juliet")
    person.join(invite())
    return person
