"""The layout's laws, read from the syntax trees: who may import whom, and what may come from where.

Packages import one way. `protocol/` is sans-IO. In `chatd/` and `clients/sdk/` every clock, random
number, timer, transport and executor comes from the environment object, so that a whole system can
run on a seeded, virtual-time loop. No file grows over 400 lines, and each says what it is.
"""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("protocol", "storage", "chatd", "clients")
MAX_LINES = 400

MAY_IMPORT: dict[str, set[str]] = {
    "protocol": set(),
    "storage": set(),
    "chatd": {"protocol", "storage"},
    "clients": {"protocol"},
}

NOT_IN_PROTOCOL = {
    "asyncio", "concurrent", "multiprocessing", "os", "random", "secrets", "select", "selectors",
    "socket", "ssl", "subprocess", "threading", "time", "uuid", "uvloop",
}  # fmt: skip

# The one place of each half that may reach for the world.
ENVIRONMENTS = {"chatd/environment.py", "clients/sdk/environment.py"}
# Command-line processes beside the daemon: no loop and no simulation ever runs them.
COMMAND_LINE = {"chatd/control_client.py", "chatd/commands/check.py"}

NOT_OUTSIDE_ENVIRONMENT = {
    "concurrent", "multiprocessing", "random", "secrets", "threading", "time", "uuid",
}  # fmt: skip
NOT_CALLED_OUTSIDE_ENVIRONMENT = {
    "asyncio.sleep", "asyncio.timeout", "asyncio.timeout_at", "asyncio.wait_for",
    "asyncio.to_thread", "asyncio.open_connection", "asyncio.open_unix_connection",
    "asyncio.start_server", "asyncio.start_unix_server",
    "os.urandom", "os.getrandom", "datetime.now", "datetime.utcnow", "datetime.today",
    "date.today", "ssl.RAND_bytes", "socket.socket", "socket.create_connection",
    "socket.create_server", "socket.socketpair",
}  # fmt: skip
# Methods of a loop; the environment's own methods of the same name are what should be called.
NOT_CALLED_ON_A_LOOP = {
    "call_later", "call_at", "time", "run_in_executor", "create_connection",
    "create_unix_connection", "create_server", "create_unix_server", "create_datagram_endpoint",
}  # fmt: skip

SOURCES = sorted(
    path.relative_to(ROOT).as_posix()
    for package in PACKAGES
    for path in (ROOT / package).rglob("*.py")
)
TESTS = sorted(path.relative_to(ROOT).as_posix() for path in (ROOT / "tests").rglob("*.py"))


def parse(name: str) -> ast.Module:
    return ast.parse((ROOT / name).read_text("utf-8"), name)


def imported(tree: ast.Module, name: str) -> Iterator[tuple[int, str]]:
    """Every (line, dotted module) that a module imports, at any depth."""
    # "from a import b" may name a module or a thing in it, so both `a` and `a.b` are yielded.
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield node.lineno, alias.name
        elif isinstance(node, ast.ImportFrom):
            if node.level:
                package = name.removesuffix(".py").split("/")[: -node.level]
                yield node.lineno, ".".join([*package, node.module or ""])
            else:
                module = node.module or ""
                yield node.lineno, module
                for alias in node.names:
                    yield node.lineno, f"{module}.{alias.name}"


def against_the_arrows(name: str, tree: ast.Module) -> list[str]:
    package = name.split("/", 1)[0]
    forbidden = {*PACKAGES, "tests"} - MAY_IMPORT[package] - {package}
    return sorted(
        {
            f"{name}:{line} imports {module}"
            for line, module in imported(tree, name)
            if module.split(".", 1)[0] in forbidden
        }
    )


def against_sans_io(name: str, tree: ast.Module) -> list[str]:
    found = {
        f"{name}:{line} imports {module}"
        for line, module in imported(tree, name)
        if module.split(".", 1)[0] in NOT_IN_PROTOCOL
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.AsyncFunctionDef | ast.AsyncFor | ast.AsyncWith | ast.Await):
            found.add(f"{name}:{node.lineno} is asynchronous")
    return sorted(found)


def against_the_environment(name: str, tree: ast.Module) -> list[str]:
    if name in ENVIRONMENTS:
        return []
    found = set()
    for line, module in imported(tree, name):
        if module.split(".", 1)[0] in NOT_OUTSIDE_ENVIRONMENT or (
            module in NOT_CALLED_OUTSIDE_ENVIRONMENT and name not in COMMAND_LINE
        ):
            found.add(f"{name}:{line} imports {module}")
    for node in ast.walk(tree):
        if not isinstance(node, ast.Attribute):
            continue
        dotted = ast.unparse(node)
        tail = ".".join(dotted.split(".")[-2:])
        owner = ast.unparse(node.value)
        on_loop = owner.endswith(("loop", "get_running_loop()", "get_event_loop()"))
        if (tail in NOT_CALLED_OUTSIDE_ENVIRONMENT and name not in COMMAND_LINE) or (
            on_loop and node.attr in NOT_CALLED_ON_A_LOOP
        ):
            found.add(f"{name}:{node.lineno} uses {dotted}")
    return sorted(found)


def test_packages_import_one_way() -> None:
    assert [line for name in SOURCES for line in against_the_arrows(name, parse(name))] == []


def test_protocol_is_sans_io() -> None:
    names = [name for name in SOURCES if name.startswith("protocol/")]
    assert [line for name in names for line in against_sans_io(name, parse(name))] == []


def test_world_comes_from_the_environment_only() -> None:
    names = [name for name in SOURCES if name.startswith(("chatd/", "clients/sdk/"))]
    assert [line for name in names for line in against_the_environment(name, parse(name))] == []


def test_every_module_says_what_it_is() -> None:
    assert [name for name in SOURCES + TESTS if not ast.get_docstring(parse(name))] == []


def test_no_file_grows_over_its_bound() -> None:
    lengths = {name: len((ROOT / name).read_text("utf-8").splitlines()) for name in SOURCES + TESTS}
    assert {name: n for name, n in lengths.items() if n > MAX_LINES} == {}


@pytest.mark.parametrize(
    ("check", "name", "source"),
    [
        (against_the_arrows, "protocol/a.py", "import storage.log"),
        (against_the_arrows, "storage/a.py", "from protocol import ops"),
        (against_the_arrows, "clients/sdk/a.py", "def f():\n    from chatd.config import Config"),
        (against_the_arrows, "clients/a.py", "from ..storage import log"),
        (against_sans_io, "protocol/a.py", "from ssl import SSLObject"),
        (against_sans_io, "protocol/a.py", "async def f(): ..."),
        (against_the_environment, "chatd/a.py", "import time"),
        (against_the_environment, "chatd/a.py", "from asyncio import sleep"),
        (against_the_environment, "chatd/a.py", "import os\nos.urandom(3)"),
        (against_the_environment, "chatd/a.py", "self._loop.call_later(1, f)"),
        (against_the_environment, "chatd/a.py", "asyncio.get_running_loop().time()"),
        (against_the_environment, "clients/sdk/a.py", "datetime.datetime.now(UTC)"),
    ],
)
def test_checks_see_a_breach(check: object, name: str, source: str) -> None:
    assert callable(check)
    assert check(name, ast.parse(source)) != []


def test_checks_let_the_environment_be_used() -> None:
    source = "def f(env):\n    env.call_later(1, g)\n    return env.now_ms()"
    assert against_the_environment("chatd/a.py", ast.parse(source)) == []


def test_no_pattern_meets_what_clients_send() -> None:
    """threats.md class 26: a regular expression can take for ever; none is on the wire's path."""
    root = Path(__file__).resolve().parent.parent
    using = {
        path.relative_to(root).as_posix()
        for package in ("protocol", "storage", "chatd", "clients/sdk")
        for path in (root / package).rglob("*.py")
        if re.search(r"^(import re|from re import)\b", path.read_text("utf-8"), re.MULTILINE)
    }
    # Links are typed by their own user; the rest is the daemon's own text and the admin's.
    assert using == {
        "protocol/links.py",
        "chatd/log.py",
        "chatd/commands/users.py",
        "clients/sdk/home.py",
    }
