"""A short run of the power cuts, and the proof that they would find a lie."""

import json

import pytest

from tests.faults.__main__ import main


def test_clients_find_everything_when_the_power_was_cut_in_traffic(
    capsys: pytest.CaptureFixture[str],
) -> None:
    status = main(
        ["power", "--rounds", "3", "--seed", "1", "--minimum-acknowledged", "100", "--json"]
    )
    printed = capsys.readouterr()
    assert status == 0, printed.out + printed.err
    assert json.loads(printed.out)["acknowledged"] >= 100


def test_clients_notice_when_the_disk_did_not_sync(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LOSSY_SKIP_PERCENT", "70")
    assert main(["power", "--rounds", "20", "--seed", "2", "--minimum-acknowledged", "0"]) == 1
    printed = capsys.readouterr()
    signs = ("lost", "gave up", "the database file is damaged")
    assert any(sign in printed.err for sign in signs), printed.out + printed.err
