"""Every setting of the daemon, declared once: section, key, type, default, bounds and meaning.

The loader (`chatd/config.py`), the output of `chatd config` and the table in docs/operations.md
are all made from these declarations. A default must be safe: no file is needed to start.
"""

import ipaddress
from collections.abc import Callable
from dataclasses import dataclass, field, fields
from typing import Literal, NamedTuple, Self

DEFAULT_PORT = 7222
KEY = "setting"

Kind = Literal["integer", "boolean", "text", "list"]
Value = int | bool | str | tuple[str, ...]


class Address(NamedTuple):
    """A host (a name, or an IP address without brackets) and a TCP port."""

    host: str
    port: int

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read `host:port` or `[ipv6]:port`.

        Raises:
            ValueError: `text` is neither; the message says what is wrong.
        """
        host, colon, port_text = text.rpartition(":")
        if not colon or not host:
            raise ValueError(f"{text!r} is not host:port")
        if not (port_text.isascii() and port_text.isdigit() and int(port_text) <= 65_535):
            raise ValueError(f"{text!r} has no port from 0 to 65535")
        if host.startswith("[") and host.endswith("]"):
            host = host[1:-1]
            try:
                ipaddress.IPv6Address(host)
            except ValueError:
                raise ValueError(f"{text!r} has no IPv6 address in its brackets") from None
        elif ":" in host:
            raise ValueError(f"{text!r}: write an IPv6 address in brackets, as [::1]:7222")
        elif not _is_host(host):
            raise ValueError(f"{text!r} has no valid host name or address")
        return cls(host, int(port_text))

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @property
    def is_loopback(self) -> bool:
        """Whether only programs on this machine can reach it."""
        if self.host == "localhost":
            return True
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return False


def _is_host(host: str) -> bool:
    """Whether `host` is an ASCII host name or an IPv4 address (RFC 1123 §2.1, RFC 1034 §3.1)."""
    labels = host.removesuffix(".").split(".")
    return len(host) <= 253 and all(
        0 < len(label) <= 63
        and label.isascii()
        and label.replace("-", "").replace("_", "").isalnum()
        and not label.startswith("-")
        and not label.endswith("-")
        for label in labels
    )


def _check_listen(text: str) -> str | None:
    try:
        Address.parse(text)
    except ValueError as error:
        return str(error)
    return None


def _check_public(text: str) -> str | None:
    if not text:
        return None
    problem = _check_listen(text)
    if problem is None and Address.parse(text).port == 0:
        return f"{text!r} needs a port from 1 to 65535, for links to lead to"
    return problem


@dataclass(frozen=True, slots=True)
class Setting:
    """What is known of one key beside its name."""

    kind: Kind
    default: Value
    doc: str
    low: int = 0
    high: int = 0
    choices: tuple[str, ...] = ()
    check: Callable[[str], str | None] | None = None
    """For texts and list items: what is wrong with one, or None."""


def _integer(default: int, low: int, high: int, doc: str) -> int:
    return field(default=default, metadata={KEY: Setting("integer", default, doc, low, high)})


def _boolean(default: bool, doc: str) -> bool:
    return field(default=default, metadata={KEY: Setting("boolean", default, doc)})


def _text(default: str, doc: str, check: Callable[[str], str | None] | None = None) -> str:
    return field(default=default, metadata={KEY: Setting("text", default, doc, check=check)})


def _choice(default: str, choices: tuple[str, ...], doc: str) -> str:
    return field(default=default, metadata={KEY: Setting("text", default, doc, choices=choices)})


def _list(
    default: tuple[str, ...], high: int, doc: str, check: Callable[[str], str | None]
) -> tuple[str, ...]:
    setting = Setting("list", default, doc, low=1, high=high, check=check)
    return field(default=default, metadata={KEY: setting})


@dataclass(frozen=True, slots=True)
class Server:
    """Where the data lies and where clients connect."""

    data_dir: str = _text(
        "", "Folder of everything durable, made 0700; empty: your user data folder."
    )
    listen: tuple[str, ...] = _list(
        (f"0.0.0.0:{DEFAULT_PORT}", f"[::]:{DEFAULT_PORT}"),
        16,
        "Addresses to listen on, `host:port` or `[ipv6]:port`; an IPv6 address takes IPv6 only.",
        _check_listen,
    )
    public_address: str = _text(
        "",
        "The `host:port` that links and the certificate name; empty: this host's name and "
        "the first port of `listen`.",
        _check_public,
    )
    plaintext: bool = _boolean(
        False, "No TLS. Accepted only if every `listen` address is loopback."
    )
    drain_ms: int = _integer(4_000, 0, 60_000, "Longest wait for work in hand when stopping.")


@dataclass(frozen=True, slots=True)
class Tls:
    """The certificate that clients see."""

    certificate: str = _text(
        "", "PEM file, leaf first; empty: a self-signed one made at first start."
    )
    key: str = _text(
        "", "PEM file of the certificate's private key, mode 0600; empty with `certificate`."
    )
    minimum_version: str = _choice("1.3", ("1.3", "1.2"), "Oldest TLS version spoken.")


@dataclass(frozen=True, slots=True)
class Accounts:
    """Who may have one."""

    registration: str = _choice(
        "invite",
        ("invite", "open", "closed"),
        "Who may register: holders of an invite, all, nobody.",
    )
    user_invites: bool = _boolean(True, "Whether users may invite others; the admin always may.")
    max_devices: int = _integer(16, 1, 256, "Devices of one user that are not revoked.")
    max_users: int = _integer(100_000, 1, 10_000_000, "Accounts on this server.")


@dataclass(frozen=True, slots=True)
class Limits:
    """What one connection, one address and all of them together may ask for."""

    sends_per_second: int = _integer(50, 1, 1_000_000, "Messages a device may send, sustained.")
    sends_burst: int = _integer(
        500, 1, 1_000_000, "Messages a device may send at once after a rest."
    )
    requests_per_second: int = _integer(50, 1, 1_000_000, "Other requests of a device, sustained.")
    requests_burst: int = _integer(
        500, 1, 1_000_000, "Other requests of a device at once after a rest."
    )
    acks_per_second: int = _integer(
        500,
        1,
        1_000_000,
        "Acknowledgements and pings of a device, sustained; over it, the device is read slower.",
    )
    acks_burst: int = _integer(2_000, 1, 1_000_000, "The same at once after a rest.")
    max_connections: int = _integer(20_000, 1, 1_000_000, "Open connections.")
    max_unauthenticated: int = _integer(1_000, 1, 1_000_000, "Open connections not yet logged in.")
    max_unauthenticated_per_address: int = _integer(
        64, 1, 1_000_000, "The same from one IPv4 address or IPv6 /64."
    )
    handshake_ms: int = _integer(10_000, 100, 600_000, "Deadline for the TLS handshake.")
    login_ms: int = _integer(15_000, 100, 600_000, "Deadline for the login after the handshake.")
    frame_ms: int = _integer(
        30_000, 100, 600_000, "Deadline for a frame from its first byte to its last."
    )
    keepalive_ms: int = _integer(
        60_000, 1_000, 3_600_000, "Silence after which the peer is probed."
    )
    outbox_bytes: int = _integer(
        65_536,
        4_096,
        16_777_216,
        "Unsent bytes of a connection before it falls back on its history.",
    )


@dataclass(frozen=True, slots=True)
class Storage:
    """How the database uses disk and memory."""

    reserve_mib: int = _integer(
        16, 1, 65_536, "Disk held back for reads and acknowledgements on a full disk."
    )
    cache_mib: int = _integer(64, 1, 65_536, "Page cache of the database.")
    queue: int = _integer(
        4_096, 64, 65_536, "Commands waiting for the writer before reading pauses."
    )


@dataclass(frozen=True, slots=True)
class Log:
    """What is told on standard error."""

    level: str = _choice(
        "info", ("debug", "info", "warning", "error"), "Least severity that is written."
    )
    format: str = _choice("text", ("json", "text"), "One JSON object a line, or readable text.")


@dataclass(frozen=True, slots=True)
class Config:
    """The whole configuration, one field for each section."""

    server: Server = field(default_factory=Server)
    tls: Tls = field(default_factory=Tls)
    accounts: Accounts = field(default_factory=Accounts)
    limits: Limits = field(default_factory=Limits)
    storage: Storage = field(default_factory=Storage)
    log: Log = field(default_factory=Log)

    @property
    def public_address(self) -> Address:
        """Where links lead; `load` fills it in when it was left empty."""
        return Address.parse(self.server.public_address)

    @property
    def listen(self) -> tuple[Address, ...]:
        """The addresses to bind. Set IPV6_V6ONLY on the IPv6 ones, or the two defaults collide."""
        return tuple(Address.parse(text) for text in self.server.listen)


SECTIONS: dict[str, type[Server | Tls | Accounts | Limits | Storage | Log]] = {
    "server": Server,
    "tls": Tls,
    "accounts": Accounts,
    "limits": Limits,
    "storage": Storage,
    "log": Log,
}

SETTINGS: dict[str, dict[str, Setting]] = {
    section: {entry.name: entry.metadata[KEY] for entry in fields(cls)}
    for section, cls in SECTIONS.items()
}
"""Section → key → declaration, in the order in which they are printed."""
