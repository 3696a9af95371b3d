"""The control socket over real Unix sockets: bounded, typed, private, on asyncio and on uvloop."""

import asyncio
import json
import os
import socket
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path

import pytest
import uvloop

from chatd.admin_api import AdminError, Handler, Json
from chatd.control import (
    ANSWER_MS,
    MAX_CONNECTIONS,
    MAX_LINE_BYTES,
    MAX_PATH_BYTES,
    REQUEST_MS,
    ControlServer,
)
from chatd.control_client import NotRunning, call
from chatd.folder import FolderError

LOOPS: dict[str, Callable[[], asyncio.AbstractEventLoop]] = {
    "asyncio": asyncio.new_event_loop,
    "uvloop": uvloop.new_event_loop,
}


class ManualTimer:
    def __init__(self, delay_ms: int, callback: Callable[[], None]) -> None:
        self.delay_ms, self.callback, self.live = delay_ms, callback, True

    def cancel(self) -> None:
        self.live = False


class ManualEnvironment:
    """Real sockets; timers fire when the test says so."""

    def __init__(self) -> None:
        self.timers: list[ManualTimer] = []

    def call_later(self, delay_ms: int, callback: Callable[[], None]) -> ManualTimer:
        self.timers.append(ManualTimer(delay_ms, callback))
        return self.timers[-1]

    async def create_unix_server(
        self, factory: Callable[[], asyncio.Protocol], path: str
    ) -> asyncio.AbstractServer:
        return await asyncio.get_running_loop().create_unix_server(factory, path)

    def fire(self, delay_ms: int) -> int:
        due = [timer for timer in self.timers if timer.live and timer.delay_ms == delay_ms]
        for timer in due:
            timer.live = False
            timer.callback()
        return len(due)


async def echo(params: Mapping[str, Json]) -> Json:
    return dict(params)


async def numbers(params: Mapping[str, Json]) -> Json:
    count = params["count"]
    assert isinstance(count, int)
    return [{"n": n, "pad": "x" * 100} for n in range(count)]


async def refuse(params: Mapping[str, Json]) -> Json:
    raise AdminError("not_found", "there is no user 'ann'")


async def fail(params: Mapping[str, Json]) -> Json:
    raise KeyError("secret detail")


HANDLERS: dict[str, Handler] = {"echo": echo, "numbers": numbers, "refuse": refuse, "fail": fail}
Body = Callable[[ManualEnvironment, ControlServer], Awaitable[None]]


def serve(loop: str, path: Path, body: Body, handlers: Mapping[str, Handler] = HANDLERS) -> None:
    async def main() -> None:
        environment = ManualEnvironment()
        server = ControlServer(environment, handlers, path)
        await server.start()
        try:
            await body(environment, server)
        finally:
            await server.close()

    with asyncio.Runner(loop_factory=LOOPS[loop]) as runner:
        runner.run(main())


async def raw(path: Path, data: bytes, eof: bool = False) -> list[dict[str, Json]]:
    reader, writer = await asyncio.open_unix_connection(str(path), limit=2**20)
    writer.write(data)
    if eof:
        writer.write_eof()
    try:
        answer = await reader.read()
    except ConnectionResetError:
        answer = b""
    writer.close()
    return [json.loads(line) for line in answer.splitlines()]


@pytest.mark.parametrize("loop", LOOPS)
def test_client_gets_results_lists_and_typed_errors(tmp_path: Path, loop: str) -> None:
    path = tmp_path / "control.sock"

    async def body(environment: ManualEnvironment, server: ControlServer) -> None:
        assert path.stat().st_mode & 0o777 == 0o600
        ask = asyncio.to_thread
        assert await ask(call, path, "echo", {"a": [1, "ü", None]}) == {"a": [1, "ü", None]}
        assert await ask(call, path, "numbers", {"count": 0}) == []
        many = await ask(call, path, "numbers", {"count": 20_000})
        assert isinstance(many, list)
        assert [item["n"] for item in many if isinstance(item, dict)] == list(range(20_000))
        for command, code in (
            ("refuse", "not_found"),
            ("fail", "internal"),
            ("nothing", "unknown_command"),
        ):
            with pytest.raises(AdminError) as caught:
                await ask(call, path, command, {})
            assert caught.value.code == code
            assert "secret" not in str(caught.value)

    serve(loop, path, body)
    assert not path.exists()
    with pytest.raises(NotRunning):
        call(path, "echo", {})


@pytest.mark.parametrize("loop", LOOPS)
def test_server_answers_garbage_with_an_error_and_lives(tmp_path: Path, loop: str) -> None:
    path = tmp_path / "control.sock"

    async def body(environment: ManualEnvironment, server: ControlServer) -> None:
        for line in (
            b"\n",
            b"\xff\n",
            b"[]\n",
            b"1\n",
            b'{"command": 1}\n',
            b'{"command": "echo", "params": []}\n',
            b"[" * 60_000 + b"\n",
        ):
            (answer,) = await raw(path, line)
            assert answer["code"] == "bad_request"
        assert await raw(path, b"", eof=True) == []
        (answer,) = await raw(path, b'{"command": "echo"}\nmore', eof=True)
        assert answer == {"ok": True, "result": {}}

    serve(loop, path, body)


@pytest.mark.parametrize("loop", LOOPS)
def test_server_bounds_the_line_at_n_and_one_more(tmp_path: Path, loop: str) -> None:
    path = tmp_path / "control.sock"

    async def body(environment: ManualEnvironment, server: ControlServer) -> None:
        fits = b'{"command": "echo"}'.ljust(MAX_LINE_BYTES)
        assert (await raw(path, fits + b"\n"))[0]["ok"] is True
        (answer,) = await raw(path, fits + b" ")
        assert answer["code"] == "bad_request"
        assert str(MAX_LINE_BYTES) in str(answer["message"])

    serve(loop, path, body)


@pytest.mark.parametrize("loop", LOOPS)
def test_server_bounds_its_connections_at_n_and_one_more(tmp_path: Path, loop: str) -> None:
    path = tmp_path / "control.sock"

    async def body(environment: ManualEnvironment, server: ControlServer) -> None:
        held = [await asyncio.open_unix_connection(str(path)) for _ in range(MAX_CONNECTIONS)]
        with pytest.raises(AdminError) as caught:
            await asyncio.to_thread(call, path, "echo", {})
        assert caught.value.code == "busy"
        # The N-th was accepted: it is answered.
        reader, writer = held.pop()
        writer.write(b'{"command": "echo"}\n')
        assert json.loads(await reader.read())["ok"] is True
        writer.close()
        for _, writer in held:
            writer.close()
            await writer.wait_closed()

    serve(loop, path, body)


@pytest.mark.parametrize("loop", LOOPS)
def test_server_drops_a_client_that_asks_nothing(tmp_path: Path, loop: str) -> None:
    path = tmp_path / "control.sock"

    async def body(environment: ManualEnvironment, server: ControlServer) -> None:
        reader, writer = await asyncio.open_unix_connection(str(path))
        while not environment.timers:
            await asyncio.to_thread(lambda: None)
        assert environment.fire(REQUEST_MS) == 1
        assert json.loads(await reader.read())["code"] == "timeout"
        writer.close()

    serve(loop, path, body)


@pytest.mark.parametrize("loop", LOOPS)
def test_server_gives_up_a_command_that_takes_too_long(tmp_path: Path, loop: str) -> None:
    path = tmp_path / "control.sock"

    async def main() -> None:
        begun, cancelled = asyncio.Event(), asyncio.Event()

        async def hang(params: Mapping[str, Json]) -> Json:
            begun.set()
            try:
                await asyncio.Event().wait()
            finally:
                cancelled.set()
            return None

        environment = ManualEnvironment()
        server = ControlServer(environment, {"hang": hang}, path)
        await server.start()
        asking = asyncio.ensure_future(raw(path, b'{"command": "hang"}\n'))
        await begun.wait()
        assert environment.fire(REQUEST_MS) == 0
        assert environment.fire(ANSWER_MS) == 1
        (answer,) = await asking
        assert answer["code"] == "timeout"
        assert "unknown" in str(answer["message"])
        await cancelled.wait()
        await server.close()

    with asyncio.Runner(loop_factory=LOOPS[loop]) as runner:
        runner.run(main())


@pytest.mark.parametrize("loop", LOOPS)
def test_server_finishes_a_running_command_when_it_closes(tmp_path: Path, loop: str) -> None:
    path = tmp_path / "control.sock"

    async def main() -> None:
        begun, go = asyncio.Event(), asyncio.Event()

        async def slow(params: Mapping[str, Json]) -> Json:
            begun.set()
            await go.wait()
            return "done"

        server = ControlServer(ManualEnvironment(), {"slow": slow}, path)
        await server.start()
        asking = asyncio.ensure_future(raw(path, b'{"command": "slow"}\n', eof=True))
        await begun.wait()
        closing = asyncio.ensure_future(server.close())
        go.set()
        await closing
        assert await asking == [{"ok": True, "result": "done"}]

    with asyncio.Runner(loop_factory=LOOPS[loop]) as runner:
        runner.run(main())


def test_server_replaces_a_left_over_socket(tmp_path: Path) -> None:
    path = tmp_path / "control.sock"
    stale = socket.socket(socket.AF_UNIX)
    stale.bind(str(path))
    stale.close()
    with pytest.raises(NotRunning):
        call(path, "echo", {})

    async def body(environment: ManualEnvironment, server: ControlServer) -> None:
        assert await asyncio.to_thread(call, path, "echo", {}) == {}

    serve("asyncio", path, body)


def test_server_refuses_a_path_too_long_at_n_and_one_more(tmp_path: Path) -> None:
    room = MAX_PATH_BYTES - len(bytes(tmp_path)) - 1
    fits, too_long = tmp_path / ("s" * room), tmp_path / ("s" * (room + 1))

    async def body(environment: ManualEnvironment, server: ControlServer) -> None:
        assert await asyncio.to_thread(call, fits, "echo", {}) == {}

    serve("asyncio", fits, body)
    with pytest.raises(FolderError, match=r"choose a shorter server\.data_dir"):
        serve("asyncio", too_long, body)
    with pytest.raises(FolderError, match="at most"):
        call(too_long, "echo", {})


def test_client_tells_an_answer_that_is_cut_short_from_a_refusal(tmp_path: Path) -> None:
    path = tmp_path / "control.sock"
    for answer in (
        b"",
        b'{"ok": true',
        b'{"item": 1}\n{"ok": true, "items": 2}\n',
        b"[]\n",
        b"?\n",
    ):
        listening = socket.socket(socket.AF_UNIX)
        listening.bind(str(path))
        listening.listen(1)

        async def main(listening: socket.socket = listening, answer: bytes = answer) -> None:
            asking = asyncio.ensure_future(asyncio.to_thread(call, path, "echo", {}))
            peer, _ = await asyncio.to_thread(listening.accept)
            await asyncio.to_thread(peer.recv, 4096)
            await asyncio.to_thread(peer.sendall, answer)
            peer.close()
            with pytest.raises(AdminError, match="unknown"):
                await asking

        asyncio.run(main())
        listening.close()
        os.unlink(path)
