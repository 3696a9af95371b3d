"""The global options are taken before and behind a command."""

from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from clients.cli.settings import Settings, with_global_options


def program() -> click.Group:
    @click.group()
    @click.option("--json", "as_json", is_flag=True)
    @click.option("--account")
    @click.pass_context
    def main(context: click.Context, as_json: bool, account: str | None) -> None:
        context.obj = Settings(Path("nowhere"), account, as_json, None)

    @click.group(invoke_without_command=True)
    def devices() -> None:
        pass

    @devices.command("list")
    @click.pass_obj
    def listed(settings: Settings) -> None:
        click.echo(f"{settings.json} {settings.account}")

    main.add_command(with_global_options(devices))
    return main


@pytest.mark.parametrize(
    "words",
    [
        "--json --account romeo devices list",
        "devices --json --account romeo list",
        "devices list --json --account romeo",
        "--account juliet devices list --json --account romeo",
    ],
)
def test_program_takes_global_options_wherever_they_stand(words: str) -> None:
    result = CliRunner().invoke(program(), words.split())
    assert result.output == "True romeo\n"


def test_program_keeps_its_defaults_when_nothing_is_said() -> None:
    assert CliRunner().invoke(program(), ["devices", "list"]).output == "False None\n"
