"""From a fresh connection to a session: HELLO, WELCOME, then a key, a password or a registration.

Straight-line coroutines, one attempt for each connection: whatever fails closes it.
Source: docs/protocol.md, "Login".
"""

from dataclasses import dataclass
from typing import Final

from clients.sdk import account
from clients.sdk.account import Account, Server
from clients.sdk.environment import Environment
from clients.sdk.errors import ServerBroke, Unreachable, from_wire
from clients.sdk.identity import DeviceKeys, verify_welcome
from clients.sdk.link import Link
from clients.sdk.password import Proof, Verifier
from clients.sdk.tls import context
from clients.sdk.worker import StoreWorker
from protocol.declare import Message
from protocol.messages.messaging import Sync
from protocol.messages.session import (
    Accepted,
    Error,
    GoAway,
    Hello,
    Login,
    Register,
    ScramChallenge,
    ScramFinal,
    ScramFirst,
    Welcome,
)

PROTOCOL_VERSION: Final = 1
SOFTWARE: Final = "chatd-sdk/0.1"
LOGIN_TIMEOUT_MS: Final = 20_000
"""From the first byte to ACCEPTED; the server's own deadline is shorter."""


@dataclass(frozen=True, slots=True)
class LoggedIn:
    """A connection that the server has accepted."""

    link: Link
    device: int
    keepalive_ms: int
    tls_key_hash: bytes
    sync_request: int
    """Of the SYNC that has been sent behind LOGIN; 0 if none was."""


async def dial(environment: Environment, server: Server) -> Link:
    """Connect to the server; WELCOME is not verified yet.

    Raises:
        Unreachable: Nobody answers.
        ServerNotTrusted: TLS failed.
        InvalidInput: Plaintext to another machine.
    """
    return await Link.open(environment, server.host, server.port, context(server.tls, server.host))


class _Attempt:
    """The deadline of one login, and its connection: closed unless it succeeds."""

    def __init__(self, environment: Environment, link: Link) -> None:
        self._link = link
        self._timer = environment.call_later(
            LOGIN_TIMEOUT_MS, lambda: link.abort(Unreachable("the server did not answer in time"))
        )

    async def __aenter__(self) -> None:
        return None

    async def __aexit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self._timer.cancel()
        if kind is not None:
            self._link.abort(Unreachable("the login failed"))


async def _expect(link: Link, kind: type[Message]) -> Message:
    message = await link.receive_one()
    match message:
        case Error():
            raise from_wire(message.code, message.text, message.retryable, message.retry_after_ms)
        case GoAway():
            raise from_wire(message.code, "server is going away", True, message.reconnect_after_ms)
        case _ if isinstance(message, kind):
            return message
    link.abort(ServerBroke("unexpected answer"))
    raise ServerBroke(f"the server answered {message.OP.name} to a login")


def _hello(link: Link) -> None:
    link.send(Hello(PROTOCOL_VERSION, SOFTWARE, ()))


async def _welcome(environment: Environment, link: Link, server: Server) -> Welcome:
    welcome = await _expect(link, Welcome)
    assert isinstance(welcome, Welcome)
    verify_welcome(
        welcome,
        server.server_id,
        server.server_key,
        link.peer,
        environment.now_ms() // 1000,
    )
    return welcome


async def _accepted(link: Link) -> Accepted:
    accepted = await _expect(link, Accepted)
    assert isinstance(accepted, Accepted)
    return accepted


async def login(environment: Environment, worker: StoreWorker, mine: Account) -> LoggedIn:
    """Log an enrolled device in by its key.

    HELLO, LOGIN and SYNC leave in one flight when TLS shows the key that was verified last time:
    only the pinned server can have it. Otherwise WELCOME is verified before anything is signed.

    Raises:
        ChatError: See the tree; ``Temporary`` ones are worth another try.
    """
    server = mine.server
    counter = await worker.run(account.next_counter)
    link = await dial(environment, server)
    async with _Attempt(environment, link):
        _hello(link)
        trusted = server.tls == "off" or link.peer.key_hash == mine.tls_key_hash
        sync_request = 0
        if trusted:
            sync_request = _log_in(link, mine, counter)
        welcome = await _welcome(environment, link, server)
        if not trusted:
            sync_request = _log_in(link, mine, counter)
        accepted = await _accepted(link)
        if (accepted.user, accepted.device) != (mine.user, mine.device):
            raise ServerBroke("the server logged another device in than the one that asked")
    return LoggedIn(link, accepted.device, welcome.keepalive_ms, link.peer.key_hash, sync_request)


def _log_in(link: Link, mine: Account, counter: int) -> int:
    signature = mine.keys.sign_login(
        mine.server.server_id, link.peer.certificate_hash, mine.user, mine.device, counter
    )
    link.send(Login(link.next_request(), mine.user, mine.device, counter, signature))
    request = link.next_request()
    link.send(Sync(request, mine.since, 0))
    return request


async def register(
    environment: Environment,
    server: Server,
    user: str,
    token: bytes | None,
    verifier: Verifier,
    device_name: str,
    keys: DeviceKeys,
) -> LoggedIn:
    """Make an account and its first device.

    Raises:
        Refused: The name is taken, the invite is not valid, registration is closed …
        ChatError: See the tree.
    """
    link = await dial(environment, server)
    async with _Attempt(environment, link):
        _hello(link)
        welcome = await _welcome(environment, link, server)
        link.send(
            Register(
                link.next_request(),
                user,
                token,
                verifier.salt,
                verifier.stored_key,
                verifier.server_key,
                device_name,
                keys.login_public,
                keys.signing_public,
            )
        )
        accepted = await _accepted(link)
    return LoggedIn(link, accepted.device, welcome.keepalive_ms, link.peer.key_hash, 0)


async def enrol(
    environment: Environment,
    server: Server,
    user: str,
    secret: str,
    device_name: str,
    keys: DeviceKeys,
) -> LoggedIn:
    """Enrol a further device of an existing account by its (stretched) password.

    Raises:
        AuthenticationFailed: Wrong password or unknown user; or the server could not prove itself.
        ChatError: See the tree.
    """
    link = await dial(environment, server)
    async with _Attempt(environment, link):
        _hello(link)
        welcome = await _welcome(environment, link, server)
        proof = Proof(user, secret, link.peer.binding, environment.token_bytes(24).hex())
        link.send(ScramFirst(link.next_request(), proof.first()))
        challenge = await _expect(link, ScramChallenge)
        assert isinstance(challenge, ScramChallenge)
        link.send(
            ScramFinal(
                link.next_request(),
                proof.answer(challenge.message),
                device_name,
                keys.login_public,
                keys.signing_public,
            )
        )
        accepted = await _accepted(link)
        proof.check(accepted.scram)
    return LoggedIn(link, accepted.device, welcome.keepalive_ms, link.peer.key_hash, 0)
