"""The command tree: run, config, and what goes wrong before anything starts."""

import subprocess
import sys
import tomllib
from pathlib import Path

from click.testing import CliRunner

from chatd.commands.root import root
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


def test_command_line_builds_without_the_server() -> None:
    program = "from chatd.commands.root import root; import sys; sys.exit('uvloop' in sys.modules)"
    subprocess.run([sys.executable, "-c", program], check=True, cwd=ROOT)
