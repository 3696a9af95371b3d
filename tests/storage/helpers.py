"""A store with a clock that tests turn, and short words for what people do to it."""

from hashlib import sha256
from pathlib import Path

from protocol.derive import chain_next, direct_id
from storage.commands import (
    Acknowledge,
    Append,
    Appended,
    Command,
    CreateToken,
    Enrol,
    Enrolled,
    Enrolment,
    MarkRead,
    Moved,
    Refusal,
    Refused,
    Register,
    Result,
)
from storage.engine import SqliteEngine
from storage.reader import Reader
from storage.state import Device
from storage.types import HistoryPage, Verifier

PLAIN = b"\x90"
DELETION = b"\x92\x01\x01"
START_MS = 1_700_000_000_000
LOTS = 1_000_000


class Clock:
    """Stands still until it is turned."""

    def __init__(self) -> None:
        self.ms = START_MS

    def __call__(self) -> int:
        return self.ms


def verifier(secret: str) -> Verifier:
    """A verifier that differs for each secret."""
    digest = sha256(secret.encode()).digest()
    return Verifier(digest[:16], digest, digest[::-1])


def message_id(text: str) -> bytes:
    return sha256(text.encode()).digest()[:16]


def token(text: str) -> bytes:
    return sha256(text.encode()).digest()


def enrolment(name: str = "phone") -> Enrolment:
    return Enrolment(name, sha256(name.encode()).digest(), sha256(name.encode()).digest())


def registration(
    user: str,
    *,
    invite: str | None = None,
    is_open: bool = True,
    secret: str = "secret",
    max_devices: int = 16,
    max_users: int = 1_000,
) -> Register:
    return Register(
        user,
        user.title(),
        None if invite is None else token(invite),
        is_open,
        verifier(secret),
        enrolment(),
        max_devices,
        max_users,
    )


def new_token(
    text: str,
    user: str | None = None,
    *,
    reset: bool = False,
    uses: int = 1,
    expires_ms: int | None = None,
    max_open: int = 10,
) -> CreateToken:
    return CreateToken(token(text), user, reset, uses, expires_ms, max_open)


def can_act(device: Device) -> bool:
    """Whether the writer takes commands of this device."""
    return device.usable


class Store:
    """An engine on real files, one reader, and the clock."""

    def __init__(self, folder: Path, *, reserve_mib: int = 1) -> None:
        self.folder = folder
        self.clock = Clock()
        self._reserve_mib = reserve_mib
        self.open()

    def open(self) -> None:
        self.engine = SqliteEngine(
            self.folder,
            now_ms=self.clock,
            chain=chain_next,
            cache_mib=4,
            reserve_mib=self._reserve_mib,
        )
        self.reader = self.engine.reader()

    def close(self) -> None:
        self.reader.close()
        self.engine.close()

    def reopen(self) -> None:
        """As a restart does; every device must be found anew."""
        self.close()
        self.open()

    def batch(self, *commands: Command) -> list[Result]:
        """One batch, committed."""
        results = self.engine.writer.apply(commands)
        self.engine.writer.commit()
        return results

    def do(self, command: Command) -> Result:
        """A batch of one."""
        return self.batch(command)[0]

    def refused(self, command: Command) -> Refusal:
        """The reason why a command was not carried out."""
        result = self.do(command)
        assert isinstance(result, Refused), result
        return result.reason

    def register(self, user: str) -> Device:
        result = self.do(registration(user))
        assert isinstance(result, Enrolled), result
        return result.device

    def enrol(self, user: str, name: str = "laptop") -> Device:
        result = self.do(Enrol(user, verifier("secret"), enrolment(name), 16))
        assert isinstance(result, Enrolled), result
        return result.device

    def send(self, device: Device, peer: str, n: int, text: str = "") -> Appended:
        result = self.do(append(device, peer, n, text))
        assert isinstance(result, Appended), result
        return result

    def talk(self, device: Device, peer: str, count: int, first: int = 1) -> None:
        """Send ``count`` entries, one batch."""
        for result in self.batch(*[append(device, peer, first + i) for i in range(count)]):
            assert isinstance(result, Appended), result

    def ack(self, device: Device, peer: str, seq: int) -> Moved:
        result = self.do(Acknowledge(device, ((direct_id(device.user.name, peer), seq),)))
        assert isinstance(result, Moved), result
        return result

    def read(self, device: Device, peer: str, seq: int, *, public: bool = True) -> Moved:
        command = MarkRead(device, direct_id(device.user.name, peer), seq, public)
        result = self.do(command)
        assert isinstance(result, Moved), result
        return result

    def history(self, device: Device, peer: str, after: int = 0) -> HistoryPage:
        page = self.reader.history(
            direct_id(device.user.name, peer),
            device.user.id,
            after=after,
            max_entries=LOTS,
            max_bytes=100 * LOTS,
        )
        assert page is not None
        return page

    def bytes_on_disk(self, needle: bytes) -> list[str]:
        """The names of the files in the folder that hold ``needle``."""
        return sorted(
            path.name
            for path in self.folder.iterdir()
            if path.name != "reserve" and needle in path.read_bytes()
        )


def append(
    device: Device,
    peer: str,
    n: int,
    text: str = "",
    *,
    header: bytes = PLAIN,
    body: bytes | None = None,
    removes: int = 0,
    names_peer: bool = True,
) -> Append:
    """A send whose message id follows from sender, device, n and ``text``."""
    name = device.user.name
    return Append(
        device,
        direct_id(name, peer),
        n,
        message_id(f"{name}/{device.number}/{n}/{text}"),
        header,
        body if body is not None else (text or f"entry {n} of {name}").encode(),
        peer if names_peer else None,
        removes,
    )


def heads_of(reader: Reader, device: Device, since: int = 0) -> dict[bytes, tuple[int, int, int]]:
    """(head, acked, read) by conversation, as SYNC tells a device."""
    page = reader.sync(device.user.id, device.id, since, 0, most=LOTS)
    return {head.cid: (head.head, head.acked, head.read) for head in page.heads}


def pending(store: Store) -> bool:
    """Whether the log file is still to be emptied."""
    return store.engine.writer.bodies_removed
