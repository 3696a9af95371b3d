"""The control socket: one request, one answer, for the owner of the data folder only.

A 0600 Unix socket in a 0700 folder is its whole authentication. The client sends one line of JSON,
`{"command": name, "params": {…}}`, and gets lines of JSON: `{"item": …}` for each element of a
list, then `{"ok": true, "items": count}`; for anything else `{"ok": true, "result": …}`; or
`{"ok": false, "code": …, "message": …}`. Then the daemon closes. Lines, connections and time are
bounded.
"""

import asyncio
import json
from collections.abc import Callable, Coroutine, Mapping
from pathlib import Path
from typing import Protocol, cast

from chatd import log as logs
from chatd.admin_api import AdminCode, AdminError, Handler, Json
from chatd.folder import FILE_MODE, FolderError

log = logs.get(__name__)

SOCKET_NAME = "control.sock"
MAX_LINE_BYTES = 65_536
"""A hundred times the longest request; an answer's lines are bounded alike."""
MAX_CONNECTIONS = 8
"""A person and a few scripts. More are told that the daemon is busy."""
REQUEST_MS = 5_000
"""For the request to arrive: it is one write of a local program."""
ANSWER_MS = 60_000
"""For the handler and for the reader to take the answer; a database check is the longest."""
MAX_PATH_BYTES = 103
"""What every system's `sun_path` takes: 104 with the final NUL on BSD and macOS, 108 on Linux."""


class Timer(Protocol):
    """A call that is due later."""

    def cancel(self) -> None:
        """Do not call; harmless when it was called."""


class Listener(Protocol):
    """An open listening socket."""

    def close(self) -> None:
        """Accept no more."""


class ControlEnvironment(Protocol):
    """The part of the environment object that the control socket needs."""

    def call_later(self, delay_ms: int, callback: Callable[[], None]) -> Timer:
        """Call once, `delay_ms` milliseconds from now."""

    async def create_unix_server(
        self, factory: Callable[[], asyncio.Protocol], path: str
    ) -> Listener:
        """Listen on a Unix socket. Raises OSError as the system gives it."""


class ControlServer:
    """Listens and answers until closed."""

    def __init__(
        self, environment: ControlEnvironment, handlers: Mapping[str, Handler], path: Path
    ) -> None:
        self.environment = environment
        self.handlers = handlers
        self.path = path
        self.connections: set[ControlConnection] = set()
        self.tasks: set[asyncio.Task[None]] = set()
        self._listener: Listener | None = None

    async def start(self) -> None:
        """Open the socket. Call it under the instance lock: what lies there is then a left-over.

        Raises:
            FolderError: The path is too long for a socket, or the system refuses it.
        """
        check_path(self.path)
        try:
            self.path.unlink(missing_ok=True)
            self._listener = await self.environment.create_unix_server(
                lambda: ControlConnection(self), str(self.path)
            )
            self.path.chmod(FILE_MODE)
        except OSError as error:
            raise FolderError(f"{self.path} cannot be opened: {error.strerror}") from error

    async def close(self) -> None:
        """Accept no more, let running commands finish and answer, remove the socket."""
        if self._listener is not None:
            self._listener.close()
            self._listener = None
            self.path.unlink(missing_ok=True)
        for connection in list(self.connections):
            connection.close_if_idle()
        # Each task is bounded by its connection's deadline.
        await asyncio.gather(*self.tasks, return_exceptions=True)


def check_path(path: Path) -> None:
    """Refuse a path that no socket can have, with what to do. Raises FolderError."""
    length = len(bytes(path))
    if length > MAX_PATH_BYTES:
        raise FolderError(
            f"{path} is {length} bytes long and a socket's path at most {MAX_PATH_BYTES}; "
            "choose a shorter server.data_dir"
        )


class ControlConnection(asyncio.Protocol):
    """One client: reads a line, runs its command in a task, answers, closes."""

    def __init__(self, server: ControlServer) -> None:
        self._server = server
        self._received = bytearray()
        self._task: asyncio.Task[None] | None = None
        self._writable = asyncio.Event()
        self._writable.set()
        self._answered = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Start the clock, or turn one too many away."""
        self._transport = cast(asyncio.Transport, transport)
        self._deadline = self._server.environment.call_later(REQUEST_MS, self._late)
        full = len(self._server.connections) >= MAX_CONNECTIONS
        self._server.connections.add(self)
        if full:
            self._refuse("busy", f"{MAX_CONNECTIONS} commands are running already; try again")

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the client. A command that runs is finished: it may be half done."""
        self._deadline.cancel()
        self._writable.set()
        self._server.connections.discard(self)

    def data_received(self, data: bytes) -> None:
        """Gather one line; what follows it is ignored, for one line is the whole request."""
        if self._task is not None or self._answered:
            return
        self._received += data
        end = self._received.find(b"\n", 0, MAX_LINE_BYTES + 1)
        if end >= 0:
            line = bytes(self._received[:end])
            self._received.clear()
            self._start(line)
        elif len(self._received) > MAX_LINE_BYTES:
            self._received.clear()
            self._refuse("bad_request", f"a request is at most {MAX_LINE_BYTES} bytes")

    def eof_received(self) -> bool:
        """Keep the writing half open if an answer is still to come."""
        return self._task is not None

    def pause_writing(self) -> None:
        """The reader is slow: the task waits before its next line."""
        self._writable.clear()

    def resume_writing(self) -> None:
        """The reader caught up."""
        self._writable.set()

    def close_if_idle(self) -> None:
        """Drop a client whose request has not come."""
        if self._task is None:
            self._transport.close()

    def _start(self, line: bytes) -> None:
        try:
            handler, params = self._parse(line)
        except AdminError as error:
            self._refuse(error.code, error.message)
            return
        self._deadline.cancel()
        self._deadline = self._server.environment.call_later(ANSWER_MS, self._late)
        self._spawn(self._answer(handler, params))

    def _spawn(self, work: Coroutine[object, object, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._task = task
        self._server.tasks.add(task)
        task.add_done_callback(self._server.tasks.discard)

    def _parse(self, line: bytes) -> tuple[Handler, Mapping[str, Json]]:
        try:
            request = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise AdminError("bad_request", "the request is not a line of JSON") from error
        command = request.get("command") if isinstance(request, dict) else None
        params = request.get("params", {}) if isinstance(request, dict) else None
        if not isinstance(command, str) or not isinstance(params, dict):
            raise AdminError("bad_request", 'a request is {"command": text, "params": object}')
        handler = self._server.handlers.get(command)
        if handler is None:
            raise AdminError("unknown_command", "this daemon does not know that command")
        return handler, params

    async def _answer(self, handler: Handler, params: Mapping[str, Json]) -> None:
        command = getattr(handler, "__name__", "")
        try:
            result = await handler(params)
        except AdminError as error:
            self._refuse(error.code, error.message)
            return
        except Exception as error:  # noqa: BLE001  # a fault of one command must not stop the daemon; it is logged
            log.error("control_failed", error, command=command)
            self._refuse("internal", "the server failed; its log says more")
            return
        log.info("control_done", command=command)
        if isinstance(result, list):
            for item in result:
                await self._writable.wait()
                self._write({"item": item})
            self._finish({"ok": True, "items": len(result)})
        else:
            self._finish({"ok": True, "result": result})

    def _late(self) -> None:
        if self._task is None:
            self._refuse("timeout", "no request came in time")
            return
        self._task.cancel()
        if self._answered or not self._writable.is_set():
            # The reader is what is slow: it would not take an error either.
            self._transport.abort()
        else:
            self._refuse("timeout", "no answer in time; whether it was done is unknown")

    def _refuse(self, code: AdminCode, message: str) -> None:
        self._finish({"ok": False, "code": code, "message": message})

    def _finish(self, answer: dict[str, Json]) -> None:
        self._write(answer)
        self._answered = True
        if not self._transport.is_closing():
            self._transport.close()

    def _write(self, line: dict[str, Json]) -> None:
        if not self._transport.is_closing():
            self._transport.write(json.dumps(line).encode() + b"\n")
