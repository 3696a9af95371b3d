"""What an account can do besides chatting: devices, password, profile, invites, its own end.

Each method is one request (a password change two), answered by the server while online.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar, cast

from clients.sdk import password as passwords
from clients.sdk.account import Account
from clients.sdk.environment import Environment
from clients.sdk.identity import prepare_device_name, prepare_user
from clients.sdk.session import Session
from protocol.declare import Message
from protocol.links import Link as InviteLink
from protocol.messages import account as wire
from protocol.messages.session import ScramChallenge

M = TypeVar("M", bound=Message)

DAY_MS = 86_400_000


@dataclass(frozen=True, slots=True)
class Device:
    """One device of the account."""

    number: int
    name: str
    created_ms: int
    last_seen_ms: int | None
    connected: bool
    this: bool


@dataclass(frozen=True, slots=True)
class Profile:
    """What a user shows."""

    user: str
    display_name: str


@dataclass(frozen=True, slots=True)
class Invite:
    """An invite; the link holds the token and is all that a friend needs."""

    link: str
    uses: int
    expires_ms: int

    def __repr__(self) -> str:
        return f"Invite(uses={self.uses}, expires_ms={self.expires_ms})"


class AccountCalls:
    """Mixed into the client, which provides the three below."""

    _environment: Environment

    async def _online(self) -> tuple[Session, Account]:
        """Return the session and the account.

        Raises:
            ChatError: There is no connection now, and why.
        """
        raise NotImplementedError

    async def _ask(self, build: Callable[[int], Message], kind: type[M]) -> M:
        session, _ = await self._online()
        return cast(M, await session.call(build))

    async def devices(self) -> list[Device]:
        """Return the account's active devices, by number.

        Raises:
            Unreachable: There is no connection.
        """
        session, mine = await self._online()
        found = cast(wire.DeviceList, await session.call(wire.ListDevices))
        return [
            Device(
                d.number, d.name, d.created_ms, d.last_seen_ms, d.connected, d.number == mine.device
            )
            for d in found.devices
        ]

    async def rename_device(self, number: int, name: str) -> None:
        """Give one of the account's devices another name, 1 to 64 bytes.

        Raises:
            NotFound: There is no such device.
            InvalidInput: The name is out of its bounds.
        """
        session, _ = await self._online()
        name = prepare_device_name(name)
        await session.call(lambda request: wire.RenameDevice(request, number, name))

    async def revoke_device(self, number: int) -> None:
        """Cut one of the account's devices off for good.

        Raises:
            NotFound: There is no such device.
        """
        session, _ = await self._online()
        await session.call(lambda request: wire.RevokeDevice(request, number))

    async def profile(self, user: str) -> Profile:
        """Look a user up by the exact name.

        Raises:
            NotFound: There is no such user.
        """
        session, _ = await self._online()
        user = prepare_user(user)
        found = cast(
            wire.Profile, await session.call(lambda request: wire.GetProfile(request, user))
        )
        return Profile(found.user, found.display_name)

    async def set_display_name(self, name: str) -> None:
        """Change the own display name, 0 to 128 bytes.

        Raises:
            Refused: The server does not take it.
        """
        session, _ = await self._online()
        await session.call(lambda request: wire.SetDisplayName(request, name))

    async def create_invite(self, uses: int = 1, expires_in_ms: int = 7 * DAY_MS) -> Invite:
        """Make an invite.

        Args:
            uses: How many may register with it, 1 to 100.
            expires_in_ms: 60,000 to 30 days.

        Raises:
            Refused: This server does not let users invite, or a bound is reached.
        """
        session, mine = await self._online()
        made = cast(
            wire.Invite,
            await session.call(lambda request: wire.CreateInvite(request, uses, expires_in_ms)),
        )
        server = mine.server
        link = InviteLink(server.host, server.port, server.server_key, server.server_id, made.token)
        return Invite(str(link), made.uses, made.expires_ms)

    async def change_password(self, old: str, new: str) -> None:
        """Replace the password; every device stays logged in by its own key.

        Raises:
            AuthenticationFailed: The old one is wrong; the server then closes the connection.
            InvalidInput: The new one is out of its bounds.
        """
        session, mine = await self._online()
        server_id = mine.server.server_id
        secret = await self._environment.run_in_thread(
            lambda: passwords.stretch(new, server_id, mine.user)
        )
        verifier = passwords.make_verifier(secret, self._environment.token_bytes(16))
        proof, final = await self._prove(session, mine, old)
        done = cast(
            wire.Proved,
            await session.call(
                lambda request: wire.ChangePassword(
                    request, final, verifier.salt, verifier.stored_key, verifier.server_key
                )
            ),
        )
        proof.check(done.scram)

    async def _delete(self, password: str) -> None:
        session, mine = await self._online()
        proof, final = await self._prove(session, mine, password)
        done = cast(
            wire.Proved,
            await session.call(lambda request: wire.DeleteAccount(request, final)),
        )
        proof.check(done.scram)

    async def _prove(
        self, session: Session, mine: Account, password: str
    ) -> tuple[passwords.Proof, bytes]:
        secret = await self._environment.run_in_thread(
            lambda: passwords.stretch(password, mine.server.server_id, mine.user)
        )
        nonce = self._environment.token_bytes(24).hex()
        proof = passwords.Proof(mine.user, secret, session.link.peer.binding, nonce)
        first = proof.first()
        challenge = cast(
            ScramChallenge, await session.call(lambda request: wire.Prove(request, first))
        )
        return proof, proof.answer(challenge.message)
