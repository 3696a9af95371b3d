"""Row 8, generated: every integer of every op that a client sends, poisoned over the live wire."""

from collections.abc import Iterator

import pytest

from protocol.codec import frame, pack
from protocol.declare import MESSAGES, Field, StructOf
from protocol.errors import ErrorCode
from protocol.fields import ListOf, OrNil, Spec, UInt
from protocol.ops import Op, Role
from protocol.state import MOVES, State
from tests.hostile.attacker import last_words, refusal_of
from tests.protocol.strategies import fields_of, smallest
from tests.server_process import ServerProcess
from tests.wire.caller import Caller

POISON = [-1, -(2**31), -(2**63), 2**53, 2**63 - 1, 2**63, 2**64 - 1]

Path = tuple[int, ...]


def integers(fields: tuple[Field, ...]) -> Iterator[Path]:
    """Yield where integers stand in a record, at any depth."""
    for at, field in enumerate(fields):
        for below in within(field.spec):
            yield at, *below


def within(spec: Spec) -> Iterator[Path]:
    match spec:
        case UInt():
            yield ()
        case OrNil(inner):
            yield from within(inner)
        case ListOf(inner, _):
            for below in within(inner):
                yield 0, *below
        case StructOf(cls):
            yield from integers(fields_of(cls))


def record(fields: tuple[Field, ...], path: Path, value: int) -> tuple[object, ...]:
    """Return a record of least values, with ``value`` at ``path``."""
    return tuple(
        put(field.spec, path[1:], value) if at == path[0] else smallest(field.spec)
        for at, field in enumerate(fields)
    )


def put(spec: Spec, path: Path, value: int) -> object:
    match spec:
        case OrNil(inner):
            return put(inner, path, value)
        case ListOf(inner, _):
            return (put(inner, path[1:], value),)
        case StructOf(cls):
            return record(fields_of(cls), path, value)
        case _:
            return value


CASES = [
    (op, path)
    for op, cls in MESSAGES.items()
    if cls.SENDER is Role.CLIENT
    for path in integers(fields_of(cls))
]


def test_every_number_that_orders_anything_is_among_the_cases() -> None:
    seen = {op for op, _ in CASES}
    assert {Op.SEND, Op.ACK, Op.READ, Op.HISTORY, Op.SYNC, Op.LOGIN} <= seen


@pytest.mark.parametrize(("op", "path"), CASES, ids=lambda part: getattr(part, "name", None))
def test_server_refuses_any_number_out_of_bounds_in_any_field(
    server: ServerProcess, op: Op, path: Path
) -> None:
    fields = fields_of(MESSAGES[op])
    logged_in = op in MOVES[State.READY]
    for value in POISON:
        data = frame(op, pack(record(fields, path, value)))
        if logged_in or op is Op.HELLO:
            code = refusal_of(server, data, logged_in=logged_in)
        else:
            with Caller(server.port) as caller:
                caller.hello()
                caller.socket.sendall(data)
                code = ErrorCode(last_words(caller).code)
        assert code is ErrorCode.MALFORMED, value
