"""When to try again: full jitter, doubling, so that a restarted server is not met by a crowd."""

from typing import Final

from clients.sdk.environment import Environment

FIRST_MS: Final = 250
MOST_MS: Final = 60_000
STABLE_MS: Final = 10_000
"""A connection that lasted this long starts the series anew."""


class Backoff:
    """The delays of one series of failures."""

    def __init__(self, environment: Environment) -> None:
        self._environment = environment
        self._ceiling_ms = FIRST_MS

    def next_ms(self, at_least_ms: int = 0) -> int:
        """Return the next delay, 0 < delay <= the ceiling, which doubles up to ``MOST_MS``.

        Args:
            at_least_ms: The server's advice; it is spread upwards by up to a half.
        """
        ceiling, self._ceiling_ms = self._ceiling_ms, min(self._ceiling_ms * 2, MOST_MS)
        jittered = self._environment.random() * ceiling
        advised = at_least_ms * (1 + self._environment.random() / 2)
        return max(1, int(jittered), int(advised))

    def reset(self) -> None:
        """Begin a new series."""
        self._ceiling_ms = FIRST_MS
