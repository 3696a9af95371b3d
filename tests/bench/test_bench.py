"""The instruments work: each workload runs once, small, and prints what it promises."""

import json

import pytest

from protocol.codec import DECODERS, encode
from protocol.messages.messaging import Ack, Acks, Entry, Event, Receipt, Send
from tests.bench.__main__ import main
from tests.wire.hot import (
    EVENT_SEQ_OFFSET,
    AckTemplate,
    SendTemplate,
    read_int,
    receipt_delivered,
)

CID = bytes(range(32))
NUMBERS = (0, 127, 128, 255, 256, 65_535, 65_536, 2**32 - 1, 2**32, 2**53 - 1)


@pytest.mark.parametrize(
    ("words", "promised"),
    [
        (
            ["pairs", "--pairs", "3", "--in-flight", "4", "--relay"],
            {"messages_per_second", "server_cpu_us_per_message", "p50_ms", "p99_ms"}
            | {"relay_messages_per_second", "share_of_limit"},
        ),
        (["reconnect", "--devices", "2"], {"reconnects_per_second", "p50_ms", "p99_ms"}),
    ],
)
def test_bench_prints_its_figures(
    words: list[str], promised: set[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*words, "--rounds", "1", "--seconds", "1", "--json"]) == 0
    figures = json.loads(capsys.readouterr().out)
    assert promised <= set(figures)
    assert all(figures[name] > 0 for name in promised)


def test_bench_weighs_idle_connections(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["idle", "--connections", "40", "--json"]) == 0
    figures = json.loads(capsys.readouterr().out)
    assert figures["connections"] == 40
    assert figures["kb_per_connection"] > 0


def test_bench_prints_a_table(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["pairs", "--pairs", "2", "--rounds", "2", "--seconds", "1"]) == 0
    printed = capsys.readouterr().out
    assert "messages_per_second" in printed
    assert ".." in printed


@pytest.mark.parametrize("words", [["pairs", "--in-flight", "33"], ["idle", "--connections", "1"]])
def test_bench_refuses_what_is_out_of_bounds(words: list[str]) -> None:
    with pytest.raises(SystemExit) as refused:
        main(words)
    assert refused.value.code == 2


@pytest.mark.parametrize("peer", ["", "juliet"])
@pytest.mark.parametrize("size", [0, 100, 255, 256, 61_440])
def test_template_makes_the_send_that_the_codec_reads(peer: str, size: int) -> None:
    frame = SendTemplate(CID, bytes(size), b"twelve bytes", peer).frame(70_000)
    assert int.from_bytes(frame[:4], "big") == len(frame) - 4
    message_id = b"twelve bytes" + (70_000).to_bytes(4, "big")
    expected = Send(70_000, CID, 70_000, message_id, b"\x90", bytes(size), peer or None)
    assert DECODERS[frame[4]](frame[5:]) == expected


def test_template_makes_the_ack_that_the_codec_reads() -> None:
    frame = AckTemplate(CID).frame(9)
    assert int.from_bytes(frame[:4], "big") == len(frame) - 4
    assert DECODERS[frame[4]](frame[5:]) == Acks((Ack(CID, 9),))


@pytest.mark.parametrize("number", NUMBERS)
@pytest.mark.parametrize("user", ["r", "r" * 31, "r" * 32, "r" * 64])
def test_offsets_find_what_the_codec_wrote(number: int, user: str) -> None:
    assert receipt_delivered(b"before" + encode(Receipt(CID, user, number, 0)), 6) == number
    entry = Entry(number, user, 1, 1, 1, b"\x90", bytes(16), b"body")
    assert read_int(encode(Event(CID, entry)), EVENT_SEQ_OFFSET)[0] == number
