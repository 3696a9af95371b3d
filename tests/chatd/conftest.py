"""What the daemon's tests share: a seeded world with a clock that stands still."""

import random

import pytest


class SeededWorld:
    """An environment whose clock moves only by hand and whose randomness repeats."""

    def __init__(self, seed: int = 7222, now_ms: int = 1_800_000_000_000) -> None:
        self.time_ms = now_ms
        self._random = random.Random(seed)

    def now_ms(self) -> int:
        return self.time_ms

    def token_bytes(self, n: int) -> bytes:
        return self._random.randbytes(n)


@pytest.fixture
def world() -> SeededWorld:
    return SeededWorld()
