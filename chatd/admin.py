"""What the administrator's commands do, over the committer and the readers of this process."""

from collections.abc import Callable
from hashlib import sha256
from typing import Literal

from chatd.admin_api import AdminError, CheckResult, DeviceInfo, UserInfo
from chatd.committer import Committer
from chatd.environment import Environment
from chatd.hub import Hub
from chatd.readers import Readers
from chatd.refusals import error_code
from protocol import limits
from protocol.errors import ERRORS, ErrorCode
from storage.commands import (
    Command,
    CreateToken,
    Refusal,
    Refused,
    Revoked,
    RevokeDevice,
    SetUserState,
)
from storage.types import UserState

RESET_MS = 7 * 86_400_000
"""How long a link for a new password is good."""


class LocalAdmin:
    """Implements :class:`chatd.admin_api.Admin`."""

    def __init__(
        self,
        environment: Environment,
        committer: Committer,
        readers: Readers,
        link: Callable[[bytes], str],
        hub: Hub | None,
    ) -> None:
        """Make it.

        Args:
            link: From a token to the whole link.
            hub: The connections to cut; None when the daemon is not running.
        """
        self._environment = environment
        self._committer = committer
        self._readers = readers
        self._link = link
        self._hub = hub

    async def create_invite(self, uses: int, expires_ms: int | None) -> str:
        """Make an invite of nobody's and return its link."""
        return await self._token(None, uses, expires_ms)

    async def list_users(self) -> list[UserInfo]:
        """All accounts, tombstones included, in the order of their creation."""
        return [
            UserInfo(
                user.name,
                user.display_name,
                _STATES[user.state],
                user.invited_by,
                user.created_ms,
                user.devices,
                user.last_seen_ms,
            )
            for user in await self._readers.run(lambda reader: reader.users())
        ]

    async def disable_user(self, name: str) -> None:
        """Cut the user's devices off and let none log in."""
        await self._run(SetUserState(name, UserState.DISABLED), ErrorCode.ACCOUNT_CLOSED)

    async def enable_user(self, name: str) -> None:
        """Undo :meth:`disable_user`."""
        await self._run(SetUserState(name, UserState.ACTIVE), ErrorCode.ACCOUNT_CLOSED)

    async def reset_user(self, name: str) -> str:
        """Return a link whose one-time token lets the user set a new password."""
        return await self._token(name, 1, RESET_MS)

    async def delete_user(self, name: str) -> None:
        """Delete the account for good; the name stays taken."""
        await self._run(SetUserState(name, UserState.DELETED), ErrorCode.ACCOUNT_CLOSED)

    async def list_devices(self, name: str) -> list[DeviceInfo]:
        """Return the user's devices by number, revoked ones included."""
        devices = await self._readers.run(lambda reader: reader.devices(name, revoked=True))
        if devices is None:
            raise AdminError("not_found", f"there is no user {name!r}")
        return [
            DeviceInfo(
                device.number,
                device.name,
                device.created_ms,
                device.last_seen_ms,
                device.revoked,
                self._hub is not None and self._hub.registry.of_device(device.id) is not None,
            )
            for device in devices
        ]

    async def revoke_device(self, name: str, number: int) -> None:
        """Cut one device off for good."""
        await self._run(RevokeDevice(name, number), ErrorCode.DEVICE_REVOKED)

    async def check(self) -> list[CheckResult]:
        """Look the database over without changing it."""
        wrong = await self._readers.run(lambda reader: reader.check())
        return [
            CheckResult(
                "database",
                not wrong,
                "; ".join(wrong) if wrong else "every page and index is sound",
            )
        ]

    async def _token(self, user: str | None, uses: int, expires_ms: int | None) -> str:
        token = self._environment.token_bytes(limits.TOKEN_BYTES)
        until_ms = None if expires_ms is None else self._environment.now_ms() + expires_ms
        await self._run(
            CreateToken(
                sha256(token).digest(),
                user,
                reset=user is not None,
                uses=uses,
                expires_ms=until_ms,
                max_open=0,
            ),
            ErrorCode.ACCOUNT_CLOSED,
        )
        return self._link(token)

    async def _run(self, command: Command, cut: ErrorCode) -> None:
        result = await self._committer.run(command)
        if type(result) is Refused:
            if result.reason is Refusal.NOT_FOUND:
                raise AdminError("not_found", "there is no such user or device")
            raise AdminError("refused", ERRORS[error_code(result.reason)].text)
        if type(result) is Revoked and self._hub is not None:
            self._hub.cut(result.device_ids, cut)


_STATES: dict[UserState, Literal["active", "disabled", "deleted"]] = {
    UserState.ACTIVE: "active",
    UserState.DISABLED: "disabled",
    UserState.DELETED: "deleted",
}
