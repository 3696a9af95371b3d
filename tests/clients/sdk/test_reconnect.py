"""The pauses between attempts: doubling, jittered, bounded, obeying the server's advice."""

from clients.sdk.reconnect import FIRST_MS, MOST_MS, Backoff
from tests.clients.world import World


def test_backoff_doubles_up_to_its_bound() -> None:
    backoff = Backoff(World())  # its random number is always a half
    pauses = [backoff.next_ms() for _ in range(12)]
    assert pauses[:3] == [FIRST_MS // 2, FIRST_MS, FIRST_MS * 2]
    assert pauses[-1] == MOST_MS // 2
    backoff.reset()
    assert backoff.next_ms() == FIRST_MS // 2


def test_backoff_waits_at_least_as_long_as_the_server_asks() -> None:
    assert Backoff(World()).next_ms(10_000) == 12_500


def test_backoff_never_returns_nothing() -> None:
    world = World()
    world.random = lambda: 0.0  # type: ignore[method-assign]  # the least it can draw
    assert Backoff(world).next_ms() == 1
