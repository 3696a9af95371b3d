"""A client's world whose clock stands still until the test moves it; and a client in it."""

from collections.abc import Callable
from pathlib import Path

from clients.sdk.account import Server, activate, begin
from clients.sdk.client import Client
from clients.sdk.environment import Environment, Timer
from clients.sdk.home import AccountFolder, Header, Home
from clients.sdk.identity import DeviceKeys
from clients.sdk.store import Store
from tests.clients.peer import SERVER_ID, Peer

KEY = b"k" * 32
KEYS = DeviceKeys(b"l" * 32, b"s" * 32)


class _Due:
    def __init__(self, at_ms: float, callback: Callable[[], None]) -> None:
        self.at_ms, self.callback = at_ms, callback
        self.cancelled = False

    def cancel(self) -> None:
        self.cancelled = True


class World(Environment):
    """Real sockets and threads; virtual clock, timers and randomness."""

    def __init__(self) -> None:
        super().__init__()
        self.clock_ms = 0.0
        self._due: list[_Due] = []
        self._counter = 0

    def now_ms(self) -> int:
        return 1_000_000_000_000 + int(self.clock_ms)

    def monotonic_ms(self) -> float:
        return self.clock_ms

    def random(self) -> float:
        return 0.5

    def token_bytes(self, count: int) -> bytes:
        self._counter += 1
        return self._counter.to_bytes(4, "big") * (count // 4)

    def call_later(self, delay_ms: float, callback: Callable[[], None]) -> Timer:
        due = _Due(self.clock_ms + delay_ms, callback)
        self._due.append(due)
        return due

    def advance(self, by_ms: float) -> None:
        """Move the clock; every timer that falls due is called, in order."""
        end_ms = self.clock_ms + by_ms
        while True:
            waiting = [due for due in self._due if not due.cancelled and due.at_ms <= end_ms]
            if not waiting:
                break
            first = min(waiting, key=lambda due: due.at_ms)
            self._due.remove(first)
            self.clock_ms = first.at_ms
            first.callback()
        self.clock_ms = end_ms


def make_folder(root: Path, peer: Peer, user: str = "romeo", device: int = 1) -> AccountFolder:
    """Make an account that has joined ``peer`` already."""
    server = Server("127.0.0.1", peer.port, SERVER_ID, peer.public_key, "off")
    header = Header(user, server.host, server.port, SERVER_ID.hex(), "passphrase", "00" * 16)
    folder = Home(root).create(header)
    store = Store(folder.store_path, KEY)
    with store.transaction():
        begin(store, user, server, "terminal", KEYS, "registering")
        activate(store, device)
    store.close()
    return folder


def client_of(folder: AccountFolder, world: Environment | None = None) -> Client:
    """Return the client of an account made by :func:`make_folder`."""
    return Client(folder, KEY, world or World())
