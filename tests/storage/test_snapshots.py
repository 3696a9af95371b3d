"""A read is one short transaction: what it saw, the next read on that connection need not see."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from protocol.derive import chain_next, direct_id
from protocol.header import PLAIN
from storage.commands import Append, Enrolled, Enrolment, Register
from storage.engine import SqliteEngine
from storage.state import Device
from storage.types import Verifier

BALCONY = direct_id("romeo", "juliet")


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[SqliteEngine]:
    made = SqliteEngine(tmp_path, now_ms=lambda: 1_000, chain=chain_next, reserve_mib=1)
    yield made
    made.close()


def register(engine: SqliteEngine, user: str) -> Device:
    verifier = Verifier(bytes(16), bytes(32), bytes(32))
    enrolment = Enrolment("laptop", bytes(32), bytes(32))
    command = Register(user, user, None, True, verifier, enrolment, 16, 100)
    (result,) = engine.writer.apply([command])
    engine.writer.commit()
    assert isinstance(result, Enrolled)
    return result.device


def say(engine: SqliteEngine, device: Device, n: int, body: bytes) -> None:
    peer = "juliet" if device.user.name == "romeo" else "romeo"
    engine.writer.apply([Append(device, BALCONY, n, n.to_bytes(16, "big"), PLAIN, body, peer)])
    engine.writer.commit()


@pytest.mark.parametrize("position", [{"after": 0}, {"before": 99}])
def test_reader_sees_a_later_commit_when_a_page_before_was_cut_by_its_bytes(
    engine: SqliteEngine, position: dict[str, int]
) -> None:
    romeo, juliet = register(engine, "romeo"), register(engine, "juliet")
    for n in range(1, 6):
        say(engine, romeo, n, bytes(1_000))
        say(engine, juliet, n, bytes(1_000))
    reader = engine.reader()
    try:
        page = reader.history(BALCONY, romeo.user.id, max_entries=512, max_bytes=3_000, **position)
        assert page is not None
        assert page.more
        register(engine, "mercutio")
        assert reader.login_key("mercutio", 1) == bytes(32)
    finally:
        reader.close()
