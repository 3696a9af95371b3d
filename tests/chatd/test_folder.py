"""The data folder stays private, its files whole, its lock single."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from chatd.folder import FolderError, FolderInUse, InstanceLock, open_folder, write_file


def mode(path: Path) -> int:
    return path.stat().st_mode & 0o777


def test_open_folder_makes_it_private_when_the_umask_is_lax(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        folder = tmp_path / "a" / "b"
        assert open_folder(folder) == []
        write_file(folder / "x", b"1")
    finally:
        os.umask(before)
    assert mode(folder) == 0o700
    assert mode(folder / "x") == 0o600


def test_open_folder_repairs_modes_and_says_so(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    folder.mkdir(mode=0o755)
    (folder / "chatd.db").write_bytes(b"")
    (folder / "chatd.db").chmod(0o644)
    (folder / "media").mkdir(mode=0o750)
    (folder / "dangling").symlink_to("nowhere")
    assert open_folder(folder) == sorted([str(folder), "chatd.db", "media"])
    assert (mode(folder), mode(folder / "chatd.db"), mode(folder / "media")) == (
        0o700,
        0o600,
        0o700,
    )
    assert open_folder(folder) == []


def test_open_folder_refuses_a_file_in_its_place(tmp_path: Path) -> None:
    (tmp_path / "data").write_bytes(b"")
    with pytest.raises(FolderError, match="is not a folder"):
        open_folder(tmp_path / "data")
    with pytest.raises(FolderError, match="cannot be used"):
        open_folder(tmp_path / "data" / "below")


def test_open_folder_refuses_what_is_somebody_elses(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: os.getuid() + 1)
    with pytest.raises(FolderError, match="belongs to user id"):
        open_folder(tmp_path)


def test_write_file_replaces_whole_files_and_left_overs(tmp_path: Path) -> None:
    path = tmp_path / "x"
    (tmp_path / ".x.new").write_bytes(b"half")
    write_file(path, b"one")
    write_file(path, b"two")
    assert path.read_bytes() == b"two"
    assert os.listdir(tmp_path) == ["x"]
    with pytest.raises(FolderError, match="cannot be written"):
        write_file(tmp_path / "absent" / "x", b"")


def test_lock_is_refused_with_the_holders_pid_while_held(tmp_path: Path) -> None:
    with InstanceLock.acquire(tmp_path) as lock:
        program = (
            "import sys; from pathlib import Path; from chatd.folder import *\n"
            "try: InstanceLock.acquire(Path(sys.argv[1]))\n"
            "except FolderInUse as error: print(error.pid, error)"
        )
        done = subprocess.run(
            [sys.executable, "-c", program, str(tmp_path)],
            capture_output=True,
            text=True,
            check=True,
        )
        assert done.stdout.startswith(f"{os.getpid()} {tmp_path} is in use by process")
        with pytest.raises(FolderInUse):
            InstanceLock.acquire(tmp_path)
        lock.release()
        InstanceLock.acquire(tmp_path).release()


def test_lock_is_free_again_when_its_holder_was_killed(tmp_path: Path) -> None:
    program = (
        "import os, sys; from pathlib import Path; from chatd.folder import *\n"
        "lock = InstanceLock.acquire(Path(sys.argv[1])); os.kill(os.getpid(), 9)"
    )
    done = subprocess.run([sys.executable, "-c", program, str(tmp_path)], check=False)
    assert done.returncode == -9
    InstanceLock.acquire(tmp_path).release()


def test_lock_names_no_pid_when_the_file_has_none(tmp_path: Path) -> None:
    with InstanceLock.acquire(tmp_path):
        (tmp_path / "lock").write_text("")
        with pytest.raises(FolderInUse, match="another process"):
            InstanceLock.acquire(tmp_path)


def test_lock_refuses_a_symbolic_link(tmp_path: Path) -> None:
    (tmp_path / "lock").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(FolderError, match="cannot be opened"):
        InstanceLock.acquire(tmp_path)
