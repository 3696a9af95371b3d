"""What the admin sees of a server that cannot start, and of one that runs."""

import subprocess
import sys
from pathlib import Path

from tests.e2e.chat_process import ROOT
from tests.server_process import ServerProcess, write_config


def chatd(*arguments: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", "chatd", *arguments],
        cwd=ROOT, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip


def test_admin_is_told_what_to_do_when_the_port_is_taken(
    server: ServerProcess, tmp_path: Path
) -> None:
    second = tmp_path / "second"
    second.mkdir()
    done = chatd("run", "--config", str(write_config(second, server.port, {})))
    assert done.returncode == 1
    assert f"cannot listen on 127.0.0.1:{server.port}: Address already in use;" in done.stderr
    assert "server.listen" in done.stderr


def test_admin_is_told_where_the_daemons_links_lead(server: ServerProcess) -> None:
    config = str(server.folder / "chatd.toml")
    done = chatd("invite", "--config", config, "--set", "server.public_address=elsewhere:1")
    assert done.stdout.startswith(f"chatd://127.0.0.1:{server.port}/#1.")
    assert f"It leads to 127.0.0.1:{server.port}:" in done.stderr
