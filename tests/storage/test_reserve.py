"""The reserve: real blocks, held while there is room, given up when there is none."""

import errno
import os
from pathlib import Path

import pytest

from storage.errors import StorageFailed
from storage.reserve import Reserve

MIB = 1024 * 1024


class Disk:
    """What ``statvfs`` says of the disk."""

    def __init__(self, free_bytes: int) -> None:
        self.f_frsize = 1
        self.f_bavail = free_bytes


def blocks_bytes(path: Path) -> int:
    return path.stat().st_blocks * 512


def test_reserve_is_held_released_and_held_again(tmp_path: Path) -> None:
    reserve = Reserve(tmp_path, 2 * MIB)
    for _ in range(2):
        assert reserve.hold()
        assert reserve.hold()
        path = tmp_path / "reserve"
        assert blocks_bytes(path) >= 2 * MIB == path.stat().st_size
        assert path.stat().st_mode & 0o777 == 0o600
        reserve.release()
        reserve.release()
        assert list(tmp_path.iterdir()) == []


def test_reserve_of_a_hole_is_filled(tmp_path: Path) -> None:
    with (tmp_path / "reserve").open("wb") as file:
        file.truncate(MIB)
    assert blocks_bytes(tmp_path / "reserve") < MIB
    assert Reserve(tmp_path, MIB).hold()
    assert blocks_bytes(tmp_path / "reserve") >= MIB


def test_reserve_grows_when_more_is_asked_for(tmp_path: Path) -> None:
    assert Reserve(tmp_path, MIB).hold()
    assert Reserve(tmp_path, 3 * MIB).hold()
    assert blocks_bytes(tmp_path / "reserve") >= 3 * MIB


@pytest.mark.parametrize(("missing", "held"), [(0, True), (1, False)])
def test_reserve_needs_twice_its_size_free(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, missing: int, held: bool
) -> None:
    monkeypatch.setattr(os, "statvfs", lambda path: Disk(2 * MIB - missing))
    assert Reserve(tmp_path, MIB).hold() is held
    assert (tmp_path / "reserve").exists() is held


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_reserve_is_not_held_when_somebody_was_faster(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    def fallocate(descriptor: int, offset: int, size: int) -> None:
        os.write(descriptor, bytes(4_096))  # some of it was had
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "posix_fallocate", fallocate)
    assert not Reserve(tmp_path, MIB).hold()
    assert list(tmp_path.iterdir()) == []


def test_reserve_says_so_when_the_disk_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fsync(descriptor: int) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(os, "fsync", fsync)
    with pytest.raises(StorageFailed, match="reserve"):
        Reserve(tmp_path, MIB).hold()


def test_reserve_says_so_when_it_cannot_be_released(tmp_path: Path) -> None:
    (tmp_path / "reserve").mkdir()
    with pytest.raises(StorageFailed, match="reserve"):
        Reserve(tmp_path, MIB).release()
