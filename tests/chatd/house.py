"""A whole server in this process, on a loopback port, with a clock that is moved by hand."""

import asyncio
import os
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from scramp import ScramClient, ScramMechanism

from chatd.folder import open_folder
from chatd.identity import load_or_create
from chatd.server import Core, Server
from chatd.session import Session
from chatd.settings import Accounts, Config, Limits, Storage, Tls
from chatd.settings import Server as ServerSettings
from protocol.derive import ZERO_HASH, chain_next
from protocol.links import Link, parse_link
from protocol.messages import account, session
from storage.commands import Enrolled, Enrolment, Register
from storage.engine import SqliteEngine
from storage.types import Verifier
from tests.chatd.actor import PATIENCE_S, Actor, Credentials, expect, public_bytes
from tests.chatd.clock import ManualEnvironment
from tests.chatd.disk import Disk, DiskEngine

SALT = bytes(range(16))


class House:
    """A running server, and the ways in."""

    def __init__(
        self, core: Core, server: Server, environment: ManualEnvironment, disk: Disk
    ) -> None:
        self.core, self.server, self.environment, self.disk = core, server, environment, disk
        self.hub = server.hub
        self.admin = core.admin(server.hub)
        self.actors: list[Actor] = []

    @property
    def tls(self) -> bool:
        return not self.core.config.server.plaintext

    async def stranger(
        self, user: str = "", *, receive_bytes: int = 0, port: int | None = None
    ) -> Actor:
        """A connection that has not said anything."""
        actor = await Actor.connect(
            self.server.ports[0] if port is None else port,
            Credentials(user),
            tls=self.tls,
            receive_bytes=receive_bytes,
        )
        self.actors.append(actor)
        return actor

    async def turns_away(self) -> None:
        """A new connection ends before it begins: nobody is spoken to, not even in TLS."""
        with pytest.raises((ConnectionError, ssl.SSLError)):
            await self.stranger()

    async def invite(self, uses: int = 1, expires_ms: int | None = None) -> bytes:
        """The token of a new invite."""
        return _token(parse_link(await self.admin.create_invite(uses, expires_ms)))

    async def reset(self, user: str) -> bytes:
        """A token that lets the user set a new password."""
        return _token(parse_link(await self.admin.reset_user(user)))

    async def arrives(self, user: str, *, receive_bytes: int = 0) -> Actor:
        """Register with an invite, and subscribe."""
        actor = await self.stranger(user, receive_bytes=receive_bytes)
        actor.hello()
        answer = await actor.asks(registration(actor, await self.invite()))
        actor.me.device = expect(session.Accepted, answer).device
        await actor.syncs()
        return actor

    async def adds(self, user: str) -> None:
        """Make an account without connecting."""
        enrolment = Enrolment("laptop", bytes(32), bytes(32))
        keys = Verifier(SALT, bytes(32), bytes(32))
        result = await self.core.committer.run(
            Register(user, user, None, True, keys, enrolment, 1, 1_000_000)
        )
        assert type(result) is Enrolled

    async def returns(self, who: Actor, *, sync: bool = True) -> Actor:
        """Log a known device in on a new connection."""
        actor = await self.stranger()
        actor.me = who.me
        actor._ns = who._ns
        actor.hello()
        expect(session.Accepted, await actor.asks(self.login(actor)))
        if sync:
            await actor.syncs()
        return actor

    async def enrols(self, who: Actor, *, secret: str = "") -> Actor:
        """Add another device of a user by password, and subscribe."""
        actor = await self.stranger(who.me.user)
        actor.me.secret = secret or who.me.secret
        actor.hello()
        expect(session.Accepted, await scram_login(actor))
        await actor.syncs()
        return actor

    def login(self, actor: Actor, counter: int | None = None) -> session.Login:
        """The LOGIN of an actor on its connection."""
        return actor.me.login(actor.request(), self.core.identity.server_id, actor.binding, counter)

    async def until(self, condition: Callable[[], bool]) -> None:
        """Let the loop turn until something holds that no message tells of."""
        async with asyncio.timeout(PATIENCE_S):
            while not condition():  # noqa: ASYNC110  no event tells of it
                await asyncio.sleep(0)

    def session(self, actor: Actor) -> Session:
        """The session of an actor, as the server sees it."""
        return next(
            live
            for live in self.hub.registry
            if (live.device.user.name, live.device.number) == (actor.me.user, actor.me.device)
        )

    async def queued(self, commands: int) -> None:
        """Wait until so many commands wait behind the batch that the disk holds."""
        await self.until(lambda: len(self.core.committer._commands) >= commands)

    async def empties(self, peers: int = 0) -> None:
        """Wait until no more than so many connections are left."""
        await self.until(lambda: len(self.hub.peers) <= peers)
        await self.core.idle()


def _token(link: Link) -> bytes:
    assert link.token is not None
    return link.token


def verifier(secret: str) -> tuple[bytes, bytes, bytes]:
    """Salt, StoredKey and ServerKey of a stretched password."""
    salt, stored, server, _ = ScramMechanism("SCRAM-SHA-256").make_auth_info(
        secret, iteration_count=4_096, salt=SALT
    )
    return salt, stored, server


def registration(
    actor: Actor, token: bytes | None, *, device_name: str = "laptop"
) -> session.Register:
    """REGISTER of an actor."""
    salt, stored_key, server_key = verifier(actor.me.secret)
    return session.Register(
        actor.request(),
        actor.me.user,
        token,
        salt,
        stored_key,
        server_key,
        device_name,
        public_bytes(actor.me.login_key),
        public_bytes(actor.me.signing_key),
    )


def scram_client(
    actor: Actor, *, binding: bytes | None = None, plus: bool = True, secret: str = ""
) -> ScramClient:
    """The real SCRAM client of an actor, bound to the certificate that it saw."""
    channel = binding if binding is not None else actor.binding
    if plus and channel != ZERO_HASH:
        mechanisms, cb = ["SCRAM-SHA-256-PLUS"], ("tls-server-end-point", channel)
    else:
        mechanisms, cb = ["SCRAM-SHA-256"], None
    return ScramClient(
        mechanisms,
        actor.me.user,
        secret or actor.me.secret,
        channel_binding=cb,
        c_nonce=os.urandom(12).hex(),
    )


def scram_final(actor: Actor, message: str, *, device_name: str = "phone") -> session.ScramFinal:
    """SCRAM_FINAL that enrols the actor's keys."""
    return session.ScramFinal(
        actor.request(),
        message.encode(),
        device_name,
        public_bytes(actor.me.login_key),
        public_bytes(actor.me.signing_key),
    )


async def scram_login(
    actor: Actor, client: ScramClient | None = None
) -> session.Accepted | session.Error:
    """Enrol by password; checks the server's signature."""
    client = client or scram_client(actor)
    first = client.get_client_first().encode()
    answer = await actor.asks(session.ScramFirst(actor.request(), first))
    if isinstance(answer, session.Error):
        return answer
    challenge = expect(session.ScramChallenge, answer)
    client.set_server_first(challenge.message.decode())
    answer = await actor.asks(scram_final(actor, client.get_client_final()))
    if isinstance(answer, session.Error):
        return answer
    accepted = expect(session.Accepted, answer)
    assert accepted.scram is not None
    client.set_server_final(accepted.scram.decode())
    actor.me.device = accepted.device
    return accepted


async def proves(actor: Actor, secret: str = "") -> ScramClient:
    """Begin a proof of the password on a connection that is logged in."""
    client = scram_client(actor, secret=secret)
    first = client.get_client_first().encode()
    answer = await actor.asks(account.Prove(actor.request(), first))
    client.set_server_first(expect(session.ScramChallenge, answer).message.decode())
    return client


async def changes_password(
    actor: Actor, new_secret: str, *, secret: str = ""
) -> account.Proved | session.Error:
    """Prove the password and replace it; checks the server's signature."""
    client = await proves(actor, secret)
    final = client.get_client_final().encode()
    answer = await actor.asks(account.ChangePassword(actor.request(), final, *verifier(new_secret)))
    if isinstance(answer, session.Error):
        return answer
    proved = expect(account.Proved, answer)
    client.set_server_final(proved.scram.decode())
    return proved


@asynccontextmanager
async def open_house(
    folder: Path,
    *,
    server: ServerSettings | None = None,
    tls: Tls | None = None,
    accounts: Accounts | None = None,
    limits: Limits | None = None,
    storage: Storage | None = None,
    plaintext: bool = False,
) -> AsyncIterator[House]:
    """Start a server in ``folder`` and take it down behind the block."""
    settings = server or ServerSettings(
        str(folder), ("127.0.0.1:0",), "chat.example:7222", plaintext, drain_ms=4_000
    )
    config = Config(
        settings,
        tls or Tls(),
        accounts or Accounts(),
        limits or Limits(),
        storage or Storage(reserve_mib=1, cache_mib=4),
    )
    open_folder(folder)
    environment = ManualEnvironment()
    disk = Disk()
    core = _open_core(config, environment, folder, disk)
    house = House(core, Server(core), environment, disk)
    try:
        await house.server.start()
        yield house
    finally:
        disk.release_all()
        for actor in house.actors:
            actor.drop()
        await house.server.drain()
        core.close()


def _open_core(config: Config, environment: ManualEnvironment, folder: Path, disk: Disk) -> Core:
    identity = load_or_create(folder, environment)
    engine = SqliteEngine(
        folder,
        now_ms=environment.now_ms,
        chain=chain_next,
        cache_mib=config.storage.cache_mib,
        reserve_mib=config.storage.reserve_mib,
    )
    return Core(config, environment, identity, DiskEngine(engine, disk))
