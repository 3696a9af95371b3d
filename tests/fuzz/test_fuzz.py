"""A short run of the fuzzer in the suite; ``python -m tests.fuzz`` does longer ones."""

from random import Random

import pytest

from tests.fuzz import run as fuzz
from tests.fuzz.mutate import corpus, mutate

FRAMES = 20_000


def test_peer_sees_only_documented_errors_when_it_sends_garbage() -> None:
    report = fuzz.run(FRAMES, seed=1)
    assert (report.unhandled, report.findings) == (0, [])
    assert report.frames == FRAMES
    # The mutations reach every error and still let much through.
    errors = {"malformed", "frame_too_large", "unknown_op", "unexpected_frame"}
    assert errors <= set(report.outcomes)
    assert report.outcomes["decoded"] > FRAMES / 10
    assert report.outcomes["malformed body"] > FRAMES / 10


def test_same_seed_gives_the_same_inputs() -> None:
    seeds = corpus()
    one, other = Random(7), Random(7)
    assert [mutate(one, seeds) for _ in range(50)] == [mutate(other, seeds) for _ in range(50)]


def test_fuzzer_reports_an_error_that_nobody_documented(monkeypatch: pytest.MonkeyPatch) -> None:
    def breaks(data: bytes) -> str:
        raise KeyError("not documented")

    monkeypatch.setattr(fuzz, "decode", breaks)
    report = fuzz.run(20, seed=1)
    assert report.unhandled == 20
    assert len(report.findings) == fuzz.MAX_KEPT
    assert report.findings[0].startswith("KeyError: 'not documented' <- ")
