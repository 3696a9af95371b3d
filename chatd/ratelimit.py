"""How much one key may do: token buckets for ordinary work, growing delays for failed logins.

Pure arithmetic on a clock that is passed in: nothing here waits, the caller tells the peer how
long to. Memory is bounded whatever the number of keys that an attacker invents.
Source: threats.md classes 1 and 12.
"""

from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

Key = TypeVar("Key", bound=Hashable)

MAX_KEYS = 65_536
"""About 20 MB of keys at worst: more than the connections of a full server."""

MIN_DELAY_MS = 500
MAX_DELAY_MS = 15 * 60_000
FREE_FAILURES = 3
"""Typing errors of an honest person cost nothing."""
DECAY_MS = 15 * 60_000
"""A quiet time of this length forgives one failure."""
_MAX_FAILURES = 64
"""Failures counted: far past the cap of the delay, yet hammering grows no debt of years."""


class TokenBuckets(Generic[Key]):
    """One bucket for each key: `burst` at once, then `per_second` sustained.

    The map holds at most `max_keys`, least recently used first out. A key that was dropped starts
    with a full bucket again; to profit from that, an attacker must own more than `max_keys` keys
    and would then have as many buckets anyway.
    """

    def __init__(
        self,
        per_second: int,
        burst: int,
        clock_ms: Callable[[], int],
        max_keys: int = MAX_KEYS,
    ) -> None:
        """
        Args:
            per_second: Tokens that come back each second, 1 <= per_second.
            burst: Tokens of a full bucket, 1 <= burst.
            clock_ms: A clock in milliseconds. One that jumps back gives no tokens meanwhile.
            max_keys: Keys remembered, 1 <= max_keys.
        """
        if min(per_second, burst, max_keys) < 1:
            raise ValueError("per_second, burst and max_keys are at least 1")
        # In thousandths of a token, so that a millisecond brings `per_second` of them: all exact.
        self._per_ms = per_second
        self._full = burst * 1000
        self._clock_ms = clock_ms
        self._max_keys = max_keys
        self._buckets: OrderedDict[Key, tuple[int, int]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._buckets)

    def take(self, key: Key, tokens: int = 1) -> int:
        """Take tokens if they are there.

        Args:
            key: Who asks.
            tokens: From 1 to the burst; more could never be given.

        Returns:
            0 when they were taken; else the milliseconds after which they would be there, at
            least 1, and nothing was taken.

        Raises:
            ValueError: `tokens` is out of bounds.
        """
        cost = tokens * 1000
        if not 1000 <= cost <= self._full:
            raise ValueError(f"tokens must be from 1 to {self._full // 1000}")
        now = self._clock_ms()
        level, at = self._buckets.pop(key, (self._full, now))
        if now > at:
            level += (now - at) * self._per_ms
            if level > self._full:
                level = self._full
        wait_ms = 0
        if level >= cost:
            level -= cost
        else:
            wait_ms = -((level - cost) // self._per_ms)
        self._buckets[key] = (level, now)
        if len(self._buckets) > self._max_keys:
            self._buckets.popitem(last=False)
        return wait_ms

    def forget(self, key: Key) -> None:
        """Drop a key that will not come back, such as a closed connection's."""
        self._buckets.pop(key, None)


class LoginDelays:
    """Growing delays after failed logins, by address and by account at once.

    After `FREE_FAILURES` the delay doubles from `MIN_DELAY_MS` to `MAX_DELAY_MS`; each
    `DECAY_MS` without a failure forgives one. Unknown accounts are counted like known ones, so
    the answer tells nothing. An account's delay falls only on addresses that have not logged in to
    it before: a stranger who guesses cannot lock its owner out.
    """

    def __init__(self, clock_ms: Callable[[], int], max_keys: int = MAX_KEYS) -> None:
        self._clock_ms = clock_ms
        self._max_keys = max_keys
        # Key → (failures, time of the last change, not before).
        self._addresses: OrderedDict[str, tuple[int, int, int]] = OrderedDict()
        self._accounts: OrderedDict[str, tuple[int, int, int]] = OrderedDict()
        self._trusted: OrderedDict[tuple[str, str], None] = OrderedDict()

    def __len__(self) -> int:
        return max(len(self._addresses), len(self._accounts), len(self._trusted))

    def wait_ms(self, address: str, account: str) -> int:
        """Milliseconds until a login may be tried from this address to this account; 0 is now.

        Args:
            address: The peer's IP address; cut IPv6 to its /64 first.
            account: The prepared user name, whether it exists or not.
        """
        now = self._clock_ms()
        waits = [self._wait(self._addresses, address, now)]
        if (address, account) not in self._trusted:
            waits.append(self._wait(self._accounts, account, now))
        return max(waits)

    def failed(self, address: str, account: str) -> None:
        """Count a failed login."""
        now = self._clock_ms()
        self._fail(self._addresses, address, now)
        if (address, account) not in self._trusted:
            self._fail(self._accounts, account, now)

    def succeeded(self, address: str, account: str) -> None:
        """Trust the pair from now on: the account's delay no longer falls on this address.

        No count is cleared. Otherwise each login of the owner would give strangers new guesses
        at the account, and an address that owns one account could wash off guesses at others.
        """
        self._trusted.pop((address, account), None)
        self._trusted[address, account] = None
        if len(self._trusted) > self._max_keys:
            self._trusted.popitem(last=False)

    def _wait(self, map_: OrderedDict[str, tuple[int, int, int]], key: str, now: int) -> int:
        entry = map_.get(key)
        # A clock that jumped back must not turn a short delay into a long one.
        return 0 if entry is None else min(max(0, entry[2] - now), MAX_DELAY_MS)

    def _fail(self, map_: OrderedDict[str, tuple[int, int, int]], key: str, now: int) -> None:
        failures, at, _ = map_.pop(key, (0, now, now))
        forgiven = max(0, now - at) // DECAY_MS
        failures = min(max(0, failures - forgiven) + 1, _MAX_FAILURES)
        over = failures - FREE_FAILURES
        delay = min(MIN_DELAY_MS << (over - 1), MAX_DELAY_MS) if over > 0 else 0
        map_[key] = (failures, now, now + delay)
        if len(map_) > self._max_keys:
            map_.popitem(last=False)
