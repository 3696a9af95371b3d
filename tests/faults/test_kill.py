"""A short run of the kill loop, and the command that runs it."""

import json

import pytest

from tests.faults.__main__ import main


def test_clients_find_everything_when_the_server_was_killed_in_traffic(
    capsys: pytest.CaptureFixture[str],
) -> None:
    arguments = ["kill", "--rounds", "4", "--seed", "1", "--minimum-acknowledged", "200", "--json"]
    status = main(arguments)
    printed = capsys.readouterr()
    figures = json.loads(printed.out)
    found = {name: figures[name] for name in ("lost", "duplicated", "reordered", "gaps")}
    assert found == dict.fromkeys(found, 0), printed.err
    assert status == 0, printed.out + printed.err
    assert figures["acknowledged"] >= 200
    assert figures["rounds"] == 4


def test_command_fails_when_too_little_was_acknowledged(
    capsys: pytest.CaptureFixture[str],
) -> None:
    arguments = ["kill", "--rounds", "1", "--seed", "2", "--minimum-acknowledged", "1000000"]
    assert main(arguments) == 1
    assert "passed False" in capsys.readouterr().out


@pytest.mark.parametrize("words", [["--rounds", "0"], ["--rounds", "10001"], ["flood"]])
def test_command_refuses_what_it_does_not_know(words: list[str]) -> None:
    with pytest.raises(SystemExit) as refused:
        main(words)
    assert refused.value.code == 2
