"""The client: what a program that chats holds in its hand.

    async with Client.open(home) as client:
        await client.send("juliet", "But, soft!")
        async for event in client.events():
            ...

Everything here may be called on one event loop, from any task. A message handed to :meth:`send` is
durable when the call returns; it leaves when there is a connection, also after a restart.
"""

import asyncio
from pathlib import Path
from types import TracebackType
from typing import Self

from clients.sdk import conversations, join, keystore, outbox
from clients.sdk.account import Account, Tls
from clients.sdk.accounts_api import AccountCalls
from clients.sdk.body import encode_text
from clients.sdk.connector import Connector
from clients.sdk.conversations import Conversation
from clients.sdk.environment import Environment
from clients.sdk.errors import ChatError, ClientClosed, Stopped, Unreachable
from clients.sdk.events import Message
from clients.sdk.history import Historian
from clients.sdk.home import AccountFolder, Home
from clients.sdk.identity import prepare_user
from clients.sdk.session import Session
from clients.sdk.store import Store
from clients.sdk.streams import Announcer, EventStream, MessageHandle
from clients.sdk.worker import StoreWorker
from protocol import derive
from protocol.header import PLAIN


class Client(AccountCalls):
    """One device of one account. Use it as an async context manager."""

    def __init__(
        self, folder: AccountFolder, key: bytes, environment: Environment, *, connect: bool = True
    ) -> None:
        """Prepare; nothing is opened before ``async with``. Most callers want :meth:`open`."""
        self._folder, self._key, self._environment = folder, key, environment
        self._connect = connect
        self._announcer: Announcer
        self._worker: StoreWorker
        self._connector: Connector
        self._historian: Historian
        self._task: asyncio.Task[None] | None = None
        self._is_open = False

    @classmethod
    def open(
        cls,
        home: Path,
        account: str | None = None,
        *,
        passphrase: str | None = None,
        ring: keystore.Keyring | None = None,
        connect: bool = True,
        environment: Environment | None = None,
    ) -> Self:
        """Return a client for an account of this machine; enter it to start.

        Blocks for a tenth of a second to stretch the passphrase.

        Args:
            home: The folder of accounts.
            account: A user name or folder name; may be left out when there is one account.
            passphrase: Of the store, if it is locked with one.
            ring: The system keyring, from :func:`clients.sdk.keystore.system_keyring`.
            connect: False: only what is stored here; nothing is sent or received.
            environment: Another world than the real one.

        Raises:
            NoAccount: There is none, or several fit.
            NoKey: The store's key cannot be had; says what to do.
        """
        folder = Home(home).find(account)
        header = folder.header
        key = keystore.load_key(header.key_kind, header.key_hint, passphrase, ring)
        return cls(folder, key, environment or Environment(), connect=connect)

    @classmethod
    async def join(
        cls,
        home: Path,
        link: str,
        user: str,
        password: str,
        *,
        device_name: str = "terminal",
        existing: bool = False,
        tls: Tls = "pinned",
        passphrase: str | None = None,
        ring: keystore.Keyring | None = None,
        environment: Environment | None = None,
    ) -> Self:
        """Register a new account with an invite, and return its client; enter it to start.

        Args:
            home: The folder of accounts; made if it is not there.
            link: The invite, ``chatd://…``.
            user: The user name wished for.
            password: 8 to 1,024 characters; the server never sees it.
            device_name: What this device is called in the list of devices.
            existing: The account exists: enrol this machine as a further device (:meth:`enrol`).
            tls: ``pinned`` to the link's key; ``ca``: the certificate must hold as well; ``off``:
                plaintext, on loopback alone.
            passphrase: Protects the local store; needed when there is no keyring.
            ring: The system keyring.
            environment: Another world than the real one.

        Raises:
            ChatError: See :func:`clients.sdk.join.join`.
        """
        world = environment or Environment()
        wish = join.Wish(link, user, password, device_name, existing, tls, passphrase, ring)
        joined = await join.join(world, Home(home), wish)
        return cls(joined.folder, joined.key, world)

    @classmethod
    async def enrol(cls, home: Path, link: str, user: str, password: str, **more: object) -> Self:
        """Enrol this machine as a further device of an existing account; see :meth:`join`."""
        return await cls.join(home, link, user, password, existing=True, **more)  # type: ignore[arg-type]  # join's own keywords

    async def __aenter__(self) -> Self:
        environment = self._environment
        store = await environment.run_in_thread(lambda: Store(self._folder.store_path, self._key))
        self._announcer = Announcer()
        self._worker = StoreWorker(environment, store)
        self._connector = Connector(
            environment, self._worker, self._announcer.announce, self._stopped
        )
        self._historian = Historian(self._worker)
        self._is_open = True
        if self._connect:
            self._task = asyncio.create_task(self._connector.run())
            self._task.add_done_callback(self._connector_done)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Leave the server, close the store. What is queued stays queued. Idempotent."""
        if not self._is_open:
            return
        self._is_open = False
        closed = ClientClosed("the client was closed; queued messages leave next time")
        try:
            if self._connector.session is not None:
                await self._connector.session.leave()
            if self._task is not None:
                self._task.cancel()
                await asyncio.gather(self._task, return_exceptions=True)
        finally:
            self._connector.close(closed)
            self._announcer.finish(None, closed)
            await self._worker.close()
            self._environment.close()

    def _stopped(self, error: ChatError) -> None:
        self._announcer.finish(error, error)

    def _connector_done(self, task: asyncio.Task[None]) -> None:
        # A fault of this program: whoever waits must not wait for ever.
        fault = None if task.cancelled() else task.exception()
        if fault is not None:
            error = Stopped(f"the client failed: {fault!r}")
            error.__cause__ = fault
            self._connector.close(error)
            self._stopped(error)

    # The connection.

    @property
    def online(self) -> bool:
        """Whether the server has accepted this device and the connection stands."""
        return self._connector.session is not None

    @property
    def last_error(self) -> ChatError | None:
        """Why there is no connection; None while there is one, or before the first try."""
        return self._connector.last_error

    @property
    def folder(self) -> AccountFolder:
        """Where the account lives on this machine."""
        return self._folder

    async def wait_online(self) -> None:
        """Wait for the current or next attempt to connect.

        Raises:
            ChatError: It failed, and why; the client goes on trying unless it is a ``Stopped``.
        """
        await self._connector.wait(synced=False)

    async def wait_synced(self) -> None:
        """Wait until everything that the server had when this device connected is stored here.

        Raises:
            ChatError: The connection failed, and why; the client goes on trying.
        """
        await self._connector.wait(synced=True)

    async def me(self) -> Account:
        """Return who this device is."""
        return await self._historian.me()

    async def _online(self) -> tuple[Session, Account]:
        session, mine = self._connector.session, self._connector.mine
        if session is None or mine is None:
            raise self._connector.last_error or Unreachable("there is no connection")
        return session, mine

    # Messages.

    async def send(self, peer: str, text: str) -> MessageHandle:
        """Queue a text durably; it is sent in order, exactly once, as soon as possible.

        Args:
            peer: The other's user name.
            text: 1 to 60,000 bytes of UTF-8.

        Raises:
            InvalidInput: The name or the text is out of its bounds.
            QuotaReached: Too many messages wait already.
        """
        peer, body = prepare_user(peer), encode_text(text)
        mine = await self.me()
        message_id = self._environment.token_bytes(16)
        handle = self._announcer.handle(peer, message_id)
        now_ms = self._environment.now_ms()
        conversation = await self._worker.run(
            lambda store: outbox.enqueue(store, mine.user, peer, message_id, PLAIN, body, now_ms)
        )
        if self._connector.session is not None:
            self._connector.session.sender.pump(conversation)
        elif isinstance(self.last_error, Stopped):
            handle.give_up(self.last_error)
        return handle

    def events(self) -> EventStream:
        """Return an iterator of what happens from now on; see ``events.py``."""
        return self._announcer.stream()

    async def unseen(self, limit: int = 100) -> list[Message]:
        """Return messages not yet marked by :meth:`mark_seen`, in order within a conversation.

        With it, a program handles each message at least once, however it is stopped and started.

        Args:
            limit: At most so many, from one conversation or several.
        """
        return await self._historian.unseen(limit)

    async def mark_seen(self, message: Message) -> None:
        """Record that this message, and all before it in its conversation, have been handled."""
        await self._historian.mark_seen(message)

    async def history(
        self,
        peer: str,
        *,
        before: int | None = None,
        after: int | None = None,
        at_ms: int | None = None,
        limit: int = 50,
    ) -> list[Message]:
        """Return messages of a conversation, ascending; those without a place come last.

        Older ones that are not stored here are fetched while online.

        Args:
            peer: The other's user name.
            before: Only seq below this.
            after: Only seq above this, the nearest ones.
            at_ms: From the first message that is not older, milliseconds since the epoch.
            limit: 1 to 1,000.

        Raises:
            NotFound: There is no conversation with ``peer``.
            InvalidInput: An argument is out of its bounds, or more than one place is given.
        """
        return await self._historian.history(
            self._connector.session, prepare_user(peer), before, after, at_ms, limit
        )

    async def conversations(self) -> list[Conversation]:
        """Return all conversations, the most recent first."""
        return await self._worker.run(conversations.everyone)

    async def waiting(self) -> int:
        """Return how many messages wait for the server."""
        return await self._worker.run(outbox.waiting)

    async def mark_read(self, peer: str, seq: int | None = None, *, public: bool = True) -> None:
        """Record durably that the user has read up to ``seq``, and tell the server when online.

        Args:
            peer: The other's user name.
            seq: Everything that is stored, if left out.
            public: Tell the other, too; otherwise only one's own devices learn it.

        Raises:
            NotFound: There is no conversation with ``peer``.
        """
        conversation, read = await self._historian.mark_read(prepare_user(peer), seq, public)
        if self._connector.session is not None:
            self._connector.session.send_read(conversation, read, public)

    async def typing(self, peer: str, active: bool = True) -> None:
        """Tell the other that the user is typing; nothing is kept of it, nothing is promised."""
        mine = await self.me()
        if self._connector.session is not None:
            conversation = derive.direct_id(mine.user, prepare_user(peer))
            self._connector.session.send_typing(conversation, active)

    async def delete_account(self, password: str) -> None:
        """Delete the account on the server for good, then everything of it on this machine.

        The name stays taken. Others keep the messages they have. The client is closed by this.

        Raises:
            AuthenticationFailed: The password is wrong; nothing was deleted.
        """
        await self._delete(password)
        await self.close()
        self._folder.remove()
