"""``chat``: the reference client for the terminal. Commands stand in ``commands/``, one a file."""

import io
import os
import sys
from pathlib import Path

import click
import platformdirs

from clients.cli.commands import (
    delete_account,
    devices,
    history,
    invite,
    join,
    passwd,
    send,
    status,
    watch,
)
from clients.cli.settings import Settings, with_global_options


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(package_name="chatd", prog_name="chat")
@click.option(
    "--home",
    type=click.Path(file_okay=False, path_type=Path),
    envvar="CHAT_HOME",
    help="Folder of your accounts.  [default: your user data folder; env: CHAT_HOME]",
)
@click.option(
    "--account", metavar="NAME", help="Which account, if this home has several; see chat status."
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object a line.")
@click.option(
    "--passphrase-fd",
    type=int,
    metavar="N",
    help="Read the passphrase of the local store from descriptor N.  [env: CHAT_PASSPHRASE]",
)
@click.pass_context
def main(
    context: click.Context,
    home: Path | None,
    account: str | None,
    as_json: bool,
    passphrase_fd: int | None,
) -> None:
    """Chat from the terminal. Start with the invite you got: chat join LINK."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # a terminal that lacks a sign shows ? for it
    root = home or Path(platformdirs.user_data_dir("chat", appauthor=False))
    context.obj = Settings(Path(os.path.abspath(root)), account, as_json, passphrase_fd)


for _command in (
    join.join,
    send.send,
    watch.watch,
    history.history,
    status.status,
    devices.devices,
    passwd.passwd,
    invite.invite,
    delete_account.delete_account,
):
    main.add_command(with_global_options(_command))

if __name__ == "__main__":
    sys.exit(main(prog_name="chat"))
