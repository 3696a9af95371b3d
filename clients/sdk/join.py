"""Making an account on a server, or enrolling this machine as a further device of one.

The keys and the intent are on disk before the first request that uses them: if the answer is lost,
repeating the same call finishes what the server has already done.
"""

from dataclasses import dataclass, replace

from clients.sdk import account, keystore, login, password
from clients.sdk.account import Account, Server, Tls
from clients.sdk.environment import Environment
from clients.sdk.errors import (
    AccountExists,
    AuthenticationFailed,
    InvalidInput,
    NoAccount,
    Refused,
    ServerNotTrusted,
)
from clients.sdk.home import AccountFolder, Header, Home
from clients.sdk.identity import DeviceKeys, prepare_device_name, prepare_user
from clients.sdk.keystore import Keyring
from clients.sdk.store import Store
from clients.sdk.worker import StoreWorker
from protocol.links import Link, LinkError, parse_link
from protocol.messages.session import Bye


@dataclass(frozen=True, slots=True)
class Wish:
    """What joining needs to know. Never printed: it holds the password."""

    link: str
    user: str
    password: str
    device_name: str
    existing: bool
    """Enrol a further device instead of registering."""
    tls: Tls = "pinned"
    passphrase: str | None = None
    ring: Keyring | None = None

    def __repr__(self) -> str:
        return f"Wish(user={self.user!r}, existing={self.existing})"


@dataclass(frozen=True, slots=True)
class Joined:
    """An account that is ready to be opened."""

    folder: AccountFolder
    key: bytes
    user: str
    device: int

    def __repr__(self) -> str:
        return f"Joined({self.folder.name!r}, device={self.device})"


def as_existing(wish: Wish) -> Wish:
    """Return the same wish, for an account that exists."""
    return replace(wish, existing=True)


def read_link(text: str) -> Link:
    """Parse an invite or contact link.

    Raises:
        InvalidInput: It is none, or it is damaged.
    """
    try:
        return parse_link(text)
    except LinkError as error:
        raise InvalidInput(str(error)) from error


async def join(environment: Environment, home: Home, wish: Wish) -> Joined:
    """Register, or enrol, and leave a store behind that can be opened.

    Raises:
        InvalidInput: The link, a name or a password cannot be used.
        AccountExists: This home has that account, and it works.
        Refused: The server says no: the name is taken, the invite is used up …
        AuthenticationFailed: Enrolling: wrong password or no such user.
        ChatError: See the tree; after a ``Temporary`` one the same call may be repeated.
    """
    link = read_link(wish.link)
    user = prepare_user(wish.user)
    device_name = prepare_device_name(wish.device_name)
    password.prepare_password(wish.password)
    server = Server(link.host, link.port, link.server_id, link.server_key, wish.tls)
    folder, key, is_new = await _folder(environment, home, wish, server, user)
    store = await environment.run_in_thread(lambda: Store(folder.store_path, key))
    worker = StoreWorker(environment, store)
    refused = True
    try:
        mine = await _begin(environment, worker, wish, server, user, device_name)
        secret = await environment.run_in_thread(
            lambda: password.stretch(wish.password, link.server_id, user)
        )
        if wish.existing:
            done = await login.enrol(environment, server, user, secret, device_name, mine.keys)
        else:
            done = await _register(environment, worker, mine, link, secret)
        refused = False
        await worker.run(lambda store: account.activate(store, done.device))
        await done.link.close(Bye())
    except (Refused, AuthenticationFailed, InvalidInput, ServerNotTrusted):
        raise  # nothing came of it, or nothing was sent: leave nothing behind
    except BaseException:
        refused = False  # the outcome is unknown: keep what a repeated call needs
        raise
    finally:
        await worker.close()
        if refused and is_new:
            folder.remove()
            keystore.forget_key(folder.header.key_kind, folder.header.key_hint, wish.ring)
    return Joined(folder, key, user, done.device)


async def _folder(
    environment: Environment, home: Home, wish: Wish, server: Server, user: str
) -> tuple[AccountFolder, bytes, bool]:
    found = home.get(user, server.server_id)
    if found is not None:
        header = found.header
        key = await environment.run_in_thread(
            lambda: keystore.load_key(header.key_kind, header.key_hint, wish.passphrase, wish.ring)
        )
        return found, key, False
    fresh = environment.token_bytes(48)
    key, kind, hint = await environment.run_in_thread(
        lambda: keystore.make_key(wish.passphrase, wish.ring, fresh)
    )
    made = home.create(Header(user, server.host, server.port, server.server_id.hex(), kind, hint))
    return made, key, True


async def _begin(
    environment: Environment,
    worker: StoreWorker,
    wish: Wish,
    server: Server,
    user: str,
    device_name: str,
) -> Account:
    """Record the intent, or find the one that an interrupted call has left."""
    seeds = environment.token_bytes(64)
    keys = DeviceKeys(seeds[:32], seeds[32:])

    def record(store: Store) -> Account:
        try:
            before = account.load(store)
        except NoAccount:
            before = None
        if before is not None and before.state == "active":
            raise AccountExists(
                f"{user} is joined here already: chat status; to enrol it anew, revoke this "
                "device first: chat devices"
            )
        if before is None or before.state != "registering" or wish.existing:
            state: account.State = "enrolling" if wish.existing else "registering"
            account.begin(store, user, server, device_name, keys, state)
        return account.load(store)

    return await worker.run(record)


async def _register(
    environment: Environment, worker: StoreWorker, mine: Account, link: Link, secret: str
) -> login.LoggedIn:
    verifier = password.make_verifier(secret, environment.token_bytes(16))
    try:
        return await login.register(
            environment, mine.server, mine.user, link.token, verifier, mine.device_name, mine.keys
        )
    except Refused as error:
        if error.reason not in ("name_unavailable", "invite_invalid"):
            raise
        # Perhaps an earlier call of ours was accepted, and only the answer was lost.
        try:
            return await login.login(environment, worker, replace(mine, device=1))
        except AuthenticationFailed:
            raise error from None
