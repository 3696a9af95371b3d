"""The account's own row in the store: who this device is, where its server is, its keys.

Plain functions on an open store, called inside a transaction.
"""

from dataclasses import dataclass
from typing import Literal

from clients.sdk.errors import NoAccount
from clients.sdk.identity import DeviceKeys
from clients.sdk.store import Store

State = Literal["registering", "enrolling", "active", "restored", "revoked", "closed"]
Tls = Literal["pinned", "ca", "off"]


@dataclass(frozen=True, slots=True)
class Server:
    """Where the server is, and how it is recognised."""

    host: str
    port: int
    server_id: bytes
    server_key: bytes
    tls: Tls


@dataclass(frozen=True, slots=True)
class Account:
    """A snapshot of the row."""

    user: str
    device: int
    """0 until the server has given a number."""
    state: State
    server: Server
    device_name: str
    keys: DeviceKeys
    tls_key_hash: bytes | None
    since: int


_COLUMNS = (
    "user, device, state, host, port, server_id, server_key, tls, device_name, login_key, "
    "signing_key, tls_key_hash, since"
)


def load(store: Store) -> Account:
    """Return the account.

    Raises:
        NoAccount: The store holds none yet: joining was interrupted at its very beginning.
    """
    row = store.row(f"SELECT {_COLUMNS} FROM account")  # noqa: S608  a constant
    if row is None:
        raise NoAccount("joining did not finish: repeat chat join with the same link")
    user, device, state, host, port, server_id, server_key, tls, *rest = row
    device_name, login_key, signing_key, tls_key_hash, since = rest
    return Account(
        user,
        device or 0,
        state,
        Server(host, port, server_id, server_key, tls),
        device_name,
        DeviceKeys(login_key, signing_key),
        tls_key_hash,
        since,
    )


def begin(
    store: Store, user: str, server: Server, device_name: str, keys: DeviceKeys, state: State
) -> None:
    """Record keys and intent before the first request that uses them is sent.

    A new device of a kept store keeps the history; what its predecessor had not seen answered is
    marked as refused, since another copy may have sent it.
    """
    store.db.execute(
        "INSERT OR REPLACE INTO account (id, user, device, state, host, port, tls, server_id, "
        "server_key, device_name, login_key, signing_key, counter, tls_key_hash, since) "
        "VALUES (1, ?, NULL, ?, ?, ?, ?, ?, ?, ?, ?, ?, 0, NULL, 0)",
        (
            user,
            state,
            server.host,
            server.port,
            server.tls,
            server.server_id,
            server.server_key,
            device_name,
            keys.login,
            keys.signing,
        ),
    )
    store.db.execute("UPDATE outbox SET n = 0, reason = 'device_replaced' WHERE reason IS NULL")
    store.db.execute("UPDATE conversations SET next_n = 1, acked = 0")


def activate(store: Store, device: int) -> None:
    """Record that the server has accepted this device under this number."""
    store.db.execute("UPDATE account SET state = 'active', device = ?", (device,))


def stop(store: Store, state: State) -> None:
    """Record that this device cannot go on."""
    store.db.execute("UPDATE account SET state = ?", (state,))


def next_counter(store: Store) -> int:
    """Return a login counter that was never used; usable once the transaction is on disk."""
    store.db.execute("UPDATE account SET counter = counter + 1")
    row = store.row("SELECT counter FROM account")
    if row is None:
        raise NoAccount("the store holds no account")
    counter: int = row[0]
    return counter


def remember_tls(store: Store, tls_key_hash: bytes) -> None:
    """Record the TLS key of a verified WELCOME: the next connection may pipeline its login."""
    store.db.execute("UPDATE account SET tls_key_hash = ?", (tls_key_hash,))


def set_since(store: Store, commit: int) -> None:
    """Record a complete SYNC."""
    store.db.execute("UPDATE account SET since = ?", (commit,))


def move(store: Store, host: str, port: int) -> None:
    """Record a new address of the same server."""
    store.db.execute("UPDATE account SET host = ?, port = ?", (host, port))
