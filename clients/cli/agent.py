"""How several ``chat`` processes share one account: one holds the store and serves the others.

Whoever gets the store's lock listens on ``agent.sock`` in the account's folder (0700; the socket
is 0600, so only the same user gets in) and performs the others' operations. One line of JSON asks:
``{"operation": …, "params": …}``; the answer is one line ``{"begun": true}``, one for each row
``{"row": …}``, and ``{"end": true}`` or ``{"error": {"code", "text", "exit"}}``.

A holder that ends stops accepting, finishes what it has begun, cuts endless operations off (their
processes then try to become the holder), and only then lets the store go.
"""

import asyncio
import json
import os
import stat
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Final

from clients.cli.exits import Failed, failed
from clients.cli.operations import ENDLESS, OPERATIONS, Params
from clients.cli.rows import Json, Row
from clients.sdk.client import Client
from clients.sdk.errors import ChatError

NAME: Final = "agent.sock"
MAX_LINE_BYTES: Final = 1_048_576
"""One request or row: 64 KB of text, six bytes a character at worst in JSON."""
MAX_GUESTS: Final = 32
"""Processes served at once; more are turned away and try again."""
_MAX_PATH_BYTES: Final = 100
"""Unix limits socket paths to 104 or 108 bytes."""


class HolderGone(Exception):
    """The process that held the account ended; ``begun`` tells whether it had begun our request."""

    def __init__(self, begun: bool) -> None:
        super().__init__(begun)
        self.begun = begun


class _Address:
    """A socket's path, in a form that is short enough."""

    def __init__(self, folder: Path) -> None:
        self._fd = -1
        self.path = str(folder / NAME)
        if len(os.fsencode(self.path)) > _MAX_PATH_BYTES:
            if not Path("/proc/self/fd").is_dir():
                raise Failed("invalid_input", f"the path of {folder} is too long: use --home")
            self._fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            self.path = f"/proc/self/fd/{self._fd}/{NAME}"

    def close(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1


class Agent:
    """Serves an open client to other processes."""

    def __init__(self, client: Client, folder: Path) -> None:
        self._client, self._folder = client, folder
        self._guests: dict[asyncio.Task[None], bool] = {}
        self._server: asyncio.Server | None = None

    async def start(self) -> None:
        """Listen; the store's lock is held, so whatever socket lies there is a dead one."""
        (self._folder / NAME).unlink(missing_ok=True)
        address = _Address(self._folder)
        mask = os.umask(0o177)
        try:
            self._server = await asyncio.start_unix_server(
                self._serve, address.path, limit=MAX_LINE_BYTES
            )
        finally:
            os.umask(mask)
            address.close()

    async def close(self) -> None:
        """Stop accepting, finish what has begun, cut off what is endless."""
        if self._server is not None:
            self._server.close()
            (self._folder / NAME).unlink(missing_ok=True)
        for task, finite in list(self._guests.items()):
            if not finite:
                task.cancel()
        await asyncio.gather(*self._guests, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        try:
            if len(self._guests) < MAX_GUESTS:
                self._guests[task] = False
                await self._answer(task, reader, writer)
        except (OSError, asyncio.CancelledError):
            pass  # the guest left, or this process does: the guest sees the end of the stream
        finally:
            self._guests.pop(task, None)
            writer.close()

    async def _answer(
        self, task: asyncio.Task[None], reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        async def write(line: Row) -> None:
            writer.write(json.dumps(line).encode() + b"\n")
            await writer.drain()

        while (request := await _line(reader)) is not None:
            name = str(request.get("operation"))
            params = request.get("params")
            self._guests[task] = name not in ENDLESS
            await write({"begun": True})
            try:
                if name not in OPERATIONS or not isinstance(params, dict):
                    raise Failed("invalid_input", f"no operation {name!r} in this version")
                async for row in OPERATIONS[name](self._client, params):
                    await write({"row": row})
            except ChatError as error:
                await write({"error": _told(failed(error))})
            except Failed as error:
                await write({"error": _told(error)})
            else:
                await write({"end": True})
            self._guests[task] = False


def _told(error: Failed) -> dict[str, Json]:
    return {"code": error.code, "text": error.text, "exit": error.exit_code}


async def _line(reader: asyncio.StreamReader) -> Row | None:
    try:
        line = await reader.readuntil(b"\n")
    except (asyncio.IncompleteReadError, asyncio.LimitOverrunError):
        return None
    try:
        value = json.loads(line)
    except ValueError:
        return None
    return value if isinstance(value, dict) else None


class Guest:
    """A connection to the process that holds the account."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer

    @classmethod
    async def connect(cls, folder: Path) -> "Guest | None":
        """Return a connection, or None if nobody listens."""
        try:
            found = os.stat(folder / NAME)
        except OSError:
            return None
        if not stat.S_ISSOCK(found.st_mode) or found.st_uid != os.getuid():
            return None
        address = _Address(folder)
        try:
            reader, writer = await asyncio.open_unix_connection(address.path, limit=MAX_LINE_BYTES)
        except OSError:
            return None  # left behind by a process that was killed
        finally:
            address.close()
        return cls(reader, writer)

    async def perform(self, name: str, params: Params) -> AsyncGenerator[Row, None]:
        """Ask for an operation and yield its rows.

        Raises:
            Failed: It failed there.
            HolderGone: The other process ended.
        """
        request = json.dumps({"operation": name, "params": dict(params)}).encode() + b"\n"
        if len(request) > MAX_LINE_BYTES:
            raise Failed("invalid_input", "the request is too long")
        begun = False
        try:
            self._writer.write(request)
            await self._writer.drain()
            while (line := await _line(self._reader)) is not None:
                match line:
                    case {"begun": True}:
                        begun = True
                    case {"row": dict(row)}:
                        yield row
                    case {"error": {"code": str(code), "text": str(text), "exit": int(exit_code)}}:
                        raise Failed(code, text, exit_code)
                    case {"end": True}:
                        return
                    case _:
                        break
        except OSError as error:
            raise HolderGone(begun) from error
        raise HolderGone(begun)

    def close(self) -> None:
        """Hang up."""
        self._writer.close()
