"""Buckets and login delays on a clock that moves by hand."""

import pytest

from chatd.ratelimit import (
    DECAY_MS,
    FREE_FAILURES,
    MAX_DELAY_MS,
    MIN_DELAY_MS,
    LoginDelays,
    TokenBuckets,
)


class Clock:
    now = 1_000

    def __call__(self) -> int:
        return self.now


def test_bucket_gives_its_burst_and_not_one_more() -> None:
    clock = Clock()
    buckets: TokenBuckets[str] = TokenBuckets(50, 500, clock)
    assert [buckets.take("a") for _ in range(500)] == [0] * 500
    assert buckets.take("a") == 20
    clock.now += 19
    assert buckets.take("a") == 1
    clock.now += 1
    assert buckets.take("a") == 0
    assert buckets.take("b", 500) == 0


def test_bucket_sustains_its_rate_exactly() -> None:
    clock = Clock()
    buckets: TokenBuckets[int] = TokenBuckets(7, 1, clock)
    given = 0
    for _ in range(60_000):
        given += buckets.take(1) == 0
        clock.now += 1
    # A bucket of one never stores what came while it was full, so whole milliseconds are lost.
    assert given == 1 + (60_000 - 1) // 143


def test_bucket_never_fills_beyond_its_burst() -> None:
    clock = Clock()
    buckets: TokenBuckets[str] = TokenBuckets(50, 3, clock)
    buckets.take("a")
    clock.now += 10**9
    assert [buckets.take("a") for _ in range(4)] == [0, 0, 0, 20]


def test_bucket_takes_nothing_when_it_refuses() -> None:
    clock = Clock()
    buckets: TokenBuckets[str] = TokenBuckets(10, 10, clock)
    assert buckets.take("a", 8) == 0
    assert buckets.take("a", 5) == 300
    assert buckets.take("a", 2) == 0


def test_bucket_survives_a_clock_that_jumps_back() -> None:
    clock = Clock()
    buckets: TokenBuckets[str] = TokenBuckets(1, 1, clock)
    assert buckets.take("a") == 0
    clock.now -= 900
    assert buckets.take("a") == 1000
    clock.now += 1000
    assert buckets.take("a") == 0


def test_buckets_remember_n_keys_and_drop_the_least_recent_at_one_more() -> None:
    buckets: TokenBuckets[int] = TokenBuckets(1, 1, Clock(), max_keys=3)
    for key in (1, 2, 3):
        assert buckets.take(key) == 0
    assert buckets.take(1) > 0
    assert len(buckets) == 3
    assert buckets.take(4) == 0
    assert len(buckets) == 3
    assert buckets.take(1) > 0
    assert buckets.take(2) == 0
    buckets.forget(1)
    buckets.forget(99)
    assert buckets.take(1) == 0


@pytest.mark.parametrize("tokens", [0, -1, 6])
def test_bucket_refuses_what_it_could_never_give(tokens: int) -> None:
    with pytest.raises(ValueError, match="from 1 to 5"):
        TokenBuckets[str](1, 5, Clock()).take("a", tokens)


def test_bucket_refuses_senseless_bounds() -> None:
    for bounds in ((0, 1, 1), (1, 0, 1), (1, 1, 0)):
        with pytest.raises(ValueError, match="at least 1"):
            TokenBuckets[str](bounds[0], bounds[1], Clock(), bounds[2])


def test_delays_are_free_first_then_double_up_to_the_cap() -> None:
    clock = Clock()
    delays = LoginDelays(clock)
    seen = []
    for _ in range(FREE_FAILURES + 14):
        delays.failed("192.0.2.1", "ann")
        seen.append(delays.wait_ms("192.0.2.1", "ann"))
        clock.now += seen[-1]
        assert delays.wait_ms("192.0.2.1", "ann") == 0
    doubling = [min(MIN_DELAY_MS << n, MAX_DELAY_MS) for n in range(14)]
    assert seen[: FREE_FAILURES + 11] == [0] * FREE_FAILURES + doubling[:11]
    assert max(seen) <= MAX_DELAY_MS


def test_delays_hold_for_the_address_and_for_the_account() -> None:
    delays = LoginDelays(Clock())
    for n in range(FREE_FAILURES + 1):
        delays.failed("192.0.2.1", f"user{n}")
        delays.failed(f"198.51.100.{n}", "ann")
    assert delays.wait_ms("192.0.2.1", "never tried") == MIN_DELAY_MS
    assert delays.wait_ms("203.0.113.1", "ann") == MIN_DELAY_MS
    assert delays.wait_ms("203.0.113.1", "bob") == 0


def test_delays_let_an_owner_in_while_a_stranger_guesses() -> None:
    delays = LoginDelays(Clock())
    delays.succeeded("192.0.2.7", "ann")
    for n in range(40):
        delays.failed(f"198.51.100.{n}", "ann")
    assert delays.wait_ms("192.0.2.7", "ann") == 0
    assert delays.wait_ms("203.0.113.1", "ann") == MAX_DELAY_MS


def test_delays_give_strangers_no_new_guesses_when_the_owner_logs_in() -> None:
    delays = LoginDelays(Clock())
    for n in range(FREE_FAILURES + 2):
        delays.failed(f"198.51.100.{n}", "ann")
        delays.succeeded("192.0.2.7", "ann")
    assert delays.wait_ms("203.0.113.1", "ann") == MIN_DELAY_MS << 1


def test_delays_keep_an_address_that_logs_in_to_its_own_account() -> None:
    delays = LoginDelays(Clock())
    for _ in range(FREE_FAILURES + 1):
        delays.failed("192.0.2.1", "ann")
        delays.succeeded("192.0.2.1", "mallory")
    assert delays.wait_ms("192.0.2.1", "ann") == MIN_DELAY_MS


def test_delays_decay_one_failure_for_each_quiet_time() -> None:
    clock = Clock()
    delays = LoginDelays(clock)
    for _ in range(FREE_FAILURES + 3):
        delays.failed("192.0.2.1", "ann")
    clock.now += 2 * DECAY_MS
    delays.failed("192.0.2.1", "ann")
    assert delays.wait_ms("192.0.2.1", "ann") == MIN_DELAY_MS << 1


def test_delays_stay_short_when_the_clock_jumps_back() -> None:
    clock = Clock()
    delays = LoginDelays(clock)
    for _ in range(FREE_FAILURES + 1):
        delays.failed("192.0.2.1", "ann")
    clock.now -= 10**12
    assert delays.wait_ms("192.0.2.1", "ann") == MAX_DELAY_MS


def test_delays_forgive_hammering_after_bounded_time() -> None:
    clock = Clock()
    delays = LoginDelays(clock)
    for _ in range(10_000):
        delays.failed("192.0.2.1", "ann")
    clock.now += 64 * DECAY_MS
    delays.failed("192.0.2.1", "ann")
    assert delays.wait_ms("192.0.2.1", "ann") == 0


def test_delays_remember_n_keys_and_no_more() -> None:
    delays = LoginDelays(Clock(), max_keys=5)
    for n in range(6):
        delays.failed(f"192.0.2.{n}", f"user{n}")
        delays.succeeded(f"192.0.2.{n}", f"other{n}")
        assert len(delays) == min(n + 1, 5)
