"""The command tree: run, config, and what goes wrong before anything starts."""

import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from click.testing import CliRunner

from chatd import __version__
from chatd.certificate import CertificateError
from chatd.commands.root import root
from chatd.errors import ListenError
from chatd.folder import FolderError, FolderInUse
from chatd.identity import IdentityError
from storage.errors import StorageError
from tests.chatd.commands.conftest import CommandLine

ROOT = Path(__file__).resolve().parents[3]


def test_run_serves_with_the_loaded_configuration(chatd: CommandLine) -> None:
    assert chatd("run", "--set", "limits.sends_burst=7").exit_code == 0
    assert chatd.served[0].limits.sends_burst == 7
    assert chatd.served[0].server.data_dir == str(chatd.folder)


def test_run_exits_2_and_starts_nothing_when_the_configuration_is_wrong(
    chatd: CommandLine, tmp_path: Path
) -> None:
    done = chatd("run", "--set", "server.colour=1", "--set", "nope.x=1")
    assert done.exit_code == 2
    assert "unknown key server.colour" in done.stderr
    assert "unknown section [nope]" in done.stderr
    assert chatd("run", "--config", "").exit_code == 2
    assert chatd("run", "--config", str(tmp_path)).exit_code == 2
    assert chatd.served == []
    assert not chatd.folder.exists()


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (FolderInUse(Path("/data"), 7), 75),
        (FolderError("cannot be used"), 1),
        (IdentityError("is missing"), 1),
        (CertificateError("is bad"), 1),
        (ListenError("cannot listen"), 1),
        (StorageError("cannot be opened"), 1),
    ],
)
def test_run_exits_with_a_line_and_a_code_when_it_cannot_start(
    chatd: CommandLine, error: Exception, code: int
) -> None:
    chatd.failure = error
    done = chatd("run")
    assert done.exit_code == code
    assert done.stderr == f"chatd: {error}\n"


def test_version_is_told_without_an_installation() -> None:
    assert CliRunner().invoke(root, ["--version"]).stdout == f"chatd {__version__}\n"


def test_errors_are_cleaned_before_they_reach_the_terminal(chatd: CommandLine) -> None:
    done = chatd("run", "--set", "log.level=\x1b[2J")
    assert done.exit_code == 2
    assert "\x1b" not in done.stderr


def test_config_prints_a_file_that_parses() -> None:
    done = CliRunner().invoke(root, ["config"])
    assert done.exit_code == 0
    assert tomllib.loads(done.stdout)["server"]["drain_ms"] == 4000


def test_every_command_is_in_the_operations_page() -> None:
    page = (ROOT / "docs" / "operations.md").read_text("utf-8")
    for name, command in root.commands.items():
        below = getattr(command, "commands", None)
        for full in [f"chatd {name} {sub}" for sub in below] if below else [f"chatd {name}"]:
            assert full in page
        for sub in below.values() if below else [command]:
            for parameter in sub.params:
                for option in parameter.opts:
                    assert not option.startswith("--") or option in page


@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_commands_exit_1_when_their_output_cannot_be_written(unbuffered: str) -> None:
    program = "from chatd.commands.root import start; start(None, ['config'])"
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(
            [sys.executable, "-c", program],
            cwd=ROOT,
            env={**os.environ, "PYTHONUNBUFFERED": unbuffered},
            stdout=full,
            stderr=subprocess.PIPE,
            check=False,
        )
    assert (done.returncode, b"Traceback" in done.stderr) == (1, False)
    assert b"chatd: [Errno 28]" in done.stderr


def test_command_line_builds_without_the_server() -> None:
    program = "from chatd.commands.root import root; import sys; sys.exit('uvloop' in sys.modules)"
    subprocess.run([sys.executable, "-c", program], check=True, cwd=ROOT)
