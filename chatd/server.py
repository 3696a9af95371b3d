"""Builds everything, in order, and takes it down again.

Start: folder, lock, identity, certificate, database, reserve, services, sockets. Stop (SIGTERM,
SIGINT): accept no more, tell clients to reconnect, finish what is queued, close, exit 0. When
storage fails nothing more is answered and the process ends with status 1 within a second.
"""

import asyncio
import gc
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final, Self

import uvloop

from chatd.admin import LocalAdmin
from chatd.admin_api import Admin, handlers
from chatd.certificate import CertificateError, ensure_self_signed
from chatd.committer import Committer
from chatd.control import SOCKET_NAME, ControlServer
from chatd.delivery import Delivery
from chatd.environment import Environment, Listener
from chatd.errors import ListenError
from chatd.folder import InstanceLock, open_folder
from chatd.hub import RECONNECT_MS, Hub
from chatd.identity import Identity, load_or_create
from chatd.log import configure, get
from chatd.readers import Readers
from chatd.registry import Registry
from chatd.services.accounts import Accounts
from chatd.services.messaging import Messaging
from chatd.services.relay import Relay
from chatd.services.sessions import Sessions
from chatd.settings import Config
from chatd.tls import TlsContexts
from protocol.derive import chain_next
from protocol.errors import ErrorCode
from protocol.links import Link
from storage.engine import SqliteEngine
from storage.errors import StorageError, StorageFull
from storage.interface import StorageEngine

log = get(__name__)

READERS: Final = 2
_RESERVE_MS: Final = 1_000
"""How often a full disk is looked at again."""
_POLL_MS: Final = 10


class Core:
    """What is durable, and the way to it: everything but connections."""

    def __init__(
        self,
        config: Config,
        environment: Environment,
        identity: Identity,
        engine: StorageEngine,
    ) -> None:
        self.config = config
        self.environment = environment
        self.identity = identity
        self.engine = engine
        self.failed = asyncio.Event()
        self.committer = Committer(
            environment, engine, most_queued=config.storage.queue, on_failure=self.fail
        )
        self.readers = Readers(environment, [engine.reader() for _ in range(READERS)], self.fail)

    @classmethod
    def open(cls, config: Config, environment: Environment) -> Self:
        """Open what lies in the data folder, making what is not there, under the instance lock.

        Raises:
            IdentityError: The identity is damaged or missing.
            FolderError: A file cannot be written.
            StorageError: The database cannot be opened.
        """
        folder = Path(config.server.data_dir)
        identity = load_or_create(folder, environment)
        engine = SqliteEngine(
            folder,
            now_ms=environment.now_ms,
            chain=chain_next,
            cache_mib=config.storage.cache_mib,
            reserve_mib=config.storage.reserve_mib,
        )
        return cls(config, environment, identity, engine)

    def admin(self, hub: Hub | None) -> Admin:
        """Return the administrator's commands."""
        return LocalAdmin(self.environment, self.committer, self.readers, self.link, hub)

    def link(self, token: bytes) -> str:
        """Return the link for a token, with this server's public address and key."""
        address = self.config.public_address
        identity = self.identity
        return str(Link(address.host, address.port, identity.public_key, identity.server_id, token))

    def fail(self, error: StorageError) -> None:
        """Storage failed: whatever was not answered stays unanswered."""
        if not self.failed.is_set():
            log.error("storage_failed", error)
            self.failed.set()

    async def idle(self) -> None:
        """Wait until nothing is queued for the writer, or storage has failed."""
        while not self.committer.idle and not self.failed.is_set():
            await self.environment.sleep(_POLL_MS)

    def close(self) -> None:
        """Close the database. Call it when :meth:`idle` has returned."""
        self.committer.stop()
        self.environment.close()
        self.readers.close()
        try:
            self.engine.close()
        except StorageError as error:
            log.error("close_failed", error)


class Server:
    """The daemon: the core and its connections."""

    def __init__(self, core: Core) -> None:
        """Build the services.

        Raises:
            CertificateError: The certificate cannot be used.
            FolderError: The self-signed certificate cannot be written.
        """
        config, environment = core.config, core.environment
        self.core = core
        self.ports: list[int] = []
        self._environment = environment
        self._listeners: list[Listener] = []
        self._tls = None if config.server.plaintext else _contexts(config, environment)
        registry = Registry()
        self.hub = Hub(environment, core.committer, registry, config.limits, self._tls)
        delivery = Delivery(registry)
        sessions = Sessions(self.hub, core.committer, core.readers, core.identity)
        Accounts(self.hub, core.committer, core.readers, sessions, core.identity, config.accounts)
        Messaging(self.hub, core.committer, delivery, core.readers)
        Relay(self.hub, core.readers)
        self._control = ControlServer(
            environment,
            handlers(core.admin(self.hub)),
            Path(config.server.data_dir) / SOCKET_NAME,
        )

    async def start(self) -> None:
        """Open the control socket and the listening ones.

        Raises:
            ListenError: An address cannot be bound.
            FolderError: The control socket cannot be opened.
        """
        config = self.core.config
        self._keep_reserve()
        await self._control.start()
        for address in config.listen:
            try:
                listener, port = await self._environment.listen(
                    self.hub, address.host, address.port
                )
            except OSError as error:
                reason = os.strerror(error.errno) if error.errno else str(error)
                raise ListenError(
                    f"cannot listen on {address}: {reason}; end what listens there, or set "
                    "server.listen to another address or port"
                ) from error
            self._listeners.append(listener)
            self.ports.append(port)
            log.info("listening", address=address.host, port=port)

    def reload(self) -> None:
        """Read the certificate again (SIGHUP); a bad one leaves the old in place."""
        if self._tls is None:
            return
        try:
            info = self._tls.reload()
        except CertificateError as error:
            log.error("certificate_refused", reason=str(error))
        else:
            log.info("certificate_loaded", not_after=info.not_after_s)

    async def drain(self) -> None:
        """Stop: accept no more, tell clients, finish what is queued, close; bounded in time."""
        environment = self._environment
        deadline_ms = environment.monotonic_ms() + self.core.config.server.drain_ms
        self.hub.draining = True
        for listener in self._listeners:
            listener.close()
        for peer in list(self.hub.peers):
            # A pending login may be stored already: its answer comes first, GOAWAY behind it.
            if not peer.connection.held:
                peer.go_away(ErrorCode.DRAINING, RECONNECT_MS, close=False)
        await self._control.close()
        await self.core.idle()
        for peer in list(self.hub.peers):
            peer.close()
        while self.hub.peers and environment.monotonic_ms() < deadline_ms:
            await environment.sleep(_POLL_MS)
        self.abort()
        await self.core.idle()

    def abort(self) -> None:
        """Cut every connection without a word."""
        for listener in self._listeners:
            listener.close()
        for peer in list(self.hub.peers):
            peer.abort()

    def _keep_reserve(self) -> None:
        self._environment.call_later(_RESERVE_MS, self._keep_reserve)
        self.core.committer.maintain()

        def done(held: bool, error: BaseException | None) -> None:
            if isinstance(error, StorageError) and not isinstance(error, StorageFull):
                self.core.fail(error)
            elif error is None and held:
                self.core.committer.set_full(False)

        self._environment.upkeep.submit(self.core.engine.hold_reserve, done)


def _contexts(config: Config, environment: Environment) -> TlsContexts:
    if config.tls.certificate:
        certificate = Path(config.tls.certificate)
        key = Path(config.tls.key) if config.tls.key else None
        return TlsContexts(certificate, key, config.tls.minimum_version)
    host = config.public_address.host
    made = ensure_self_signed(Path(config.server.data_dir), host, environment)
    return TlsContexts(made, None, config.tls.minimum_version)


def run(config: Config) -> int:
    """Run the daemon in this process until it is told to stop.

    Returns:
        The process's exit status: 0 after a stop, 1 when storage failed.

    Raises:
        FolderError, IdentityError, CertificateError, StorageError, ListenError: It cannot start.
    """
    folder = Path(config.server.data_dir)
    repaired = open_folder(folder)
    with InstanceLock.acquire(folder):
        return uvloop.run(_serve(config, repaired))


@asynccontextmanager
async def open_admin(config: Config) -> AsyncIterator[Admin]:
    """Offer the administrator's commands without a daemon; the caller holds the instance lock.

    Raises:
        FolderError, IdentityError, StorageError: The store cannot be opened.
    """
    core = Core.open(config, Environment(READERS))
    try:
        yield core.admin(None)
    finally:
        await core.idle()
        core.close()


async def _serve(config: Config, repaired: list[str]) -> int:
    environment = Environment(READERS)
    configure(config.log.level, config.log.format, sys.stderr, environment.now_ms)
    if repaired:
        log.warning("modes_repaired", count=len(repaired), detail=", ".join(repaired))
    core = Core.open(config, environment)
    try:
        server = Server(core)
        await server.start()
    except BaseException:
        await core.idle()
        core.close()
        raise
    gc.collect()
    gc.freeze()  # what was made so far stays: walking it again would keep the loop for 20 ms
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    loop.add_signal_handler(signal.SIGHUP, server.reload)
    stopping = environment.spawn(_until(stop))
    failing = environment.spawn(_until(core.failed))
    await asyncio.wait((stopping, failing), return_when=asyncio.FIRST_COMPLETED)
    stopping.cancel()
    failing.cancel()
    if not core.failed.is_set():
        log.info("draining", connections=len(server.hub.peers))
        await server.drain()
    if core.failed.is_set():
        server.abort()
        return 1  # the process ends here: the disk must not be waited for
    core.close()
    log.info("stopped")
    return 0


async def _until(event: asyncio.Event) -> None:
    await event.wait()
