"""How a command reaches the store: through the running daemon, or itself under the instance lock.

Never both: when the daemon does not answer, the lock decides whether there is one.
"""

import asyncio
import functools
from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Concatenate, NoReturn, ParamSpec, Protocol, TypeVar

import click

from chatd import config as configuration
from chatd.admin_api import Admin, AdminError, Json, handlers
from chatd.certificate import CertificateError
from chatd.commands.exits import EXIT_FAILED, EXIT_OF_CODE, EXIT_TEMPORARY, EXIT_USAGE
from chatd.control import SOCKET_NAME
from chatd.control_client import NotRunning, call
from chatd.errors import ListenError
from chatd.folder import FolderError, FolderInUse, InstanceLock, open_folder
from chatd.identity import IdentityError
from chatd.settings import Config
from protocol.text import clean
from storage.errors import StorageError

Params = ParamSpec("Params")
Result = TypeVar("Result")


class Program(Protocol):
    """What the commands need of the daemon's code."""

    def run(self, config: Config) -> int:
        """Serve until told to stop; the process's exit code."""

    def open_admin(self, config: Config) -> AbstractAsyncContextManager[Admin]:
        """Open the store in this process, which holds the instance lock."""


@dataclass(frozen=True, slots=True)
class Access:
    """A loaded configuration and the ways to act on it."""

    config: Config
    program: Program

    @property
    def folder(self) -> Path:
        """The data folder."""
        return Path(self.config.server.data_dir)

    def ask(self, command: str, params: Mapping[str, Json] | None = None) -> Json:
        """Have an administrator's command carried out.

        Raises:
            AdminError: It was refused.
            FolderError: The data folder cannot be used; FolderInUse: the daemon starts or stops.
        """
        given = params or {}
        try:
            return call(self.folder / SOCKET_NAME, command, given)
        except NotRunning:
            pass
        open_folder(self.folder)
        with InstanceLock.acquire(self.folder):
            return asyncio.run(self._ask_store(command, given))

    async def _ask_store(self, command: str, params: Mapping[str, Json]) -> Json:
        async with self.program.open_admin(self.config) as admin:
            return await handlers(admin)[command](params)


def with_access(
    function: Callable[Concatenate[Access, Params], Result],
) -> Callable[Params, Result]:
    """Give a command `--config` and `--set`, the loaded Access, and documented exit codes."""

    @click.option(
        "--config", "path", metavar="PATH", help="TOML file; else $CHATD_CONFIG, else none."
    )
    @click.option(
        "--set",
        "overrides",
        metavar="SECTION.KEY=VALUE",
        multiple=True,
        help="Override one setting.",
    )
    @click.pass_context
    @functools.wraps(function)
    def command(
        context: click.Context,
        /,
        path: str | None,
        overrides: tuple[str, ...],
        *args: Params.args,
        **kwargs: Params.kwargs,
    ) -> Result:
        try:
            access = Access(configuration.load(path, overrides), context.obj)
            return function(access, *args, **kwargs)
        except configuration.ConfigError as error:
            fail(error, EXIT_USAGE)
        except AdminError as error:
            fail(error, EXIT_OF_CODE[error.code])
        except FolderInUse as error:
            fail(error, EXIT_TEMPORARY)
        except (FolderError, IdentityError, CertificateError, ListenError, StorageError) as error:
            fail(error, EXIT_FAILED)

    return command  # type: ignore[return-value]  # click calls it with the two options it consumed


def fail(error: Exception, code: int) -> NoReturn:
    """Say what is wrong on standard error and leave."""
    for line in str(error).split("\n"):
        click.echo(f"chatd: {clean(line)}", err=True)
    raise SystemExit(code)
