"""What the administrator may ask: commands on one side, the store on the other.

The same handlers stand behind the control socket of a running daemon and behind a command that
opens the store itself, so both answer alike. Everything here crosses the socket as JSON.
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import asdict, dataclass, fields
from typing import Literal, Protocol, TypeVar

Json = None | bool | int | float | str | list["Json"] | dict[str, "Json"]
Handler = Callable[[Mapping[str, Json]], Awaitable[Json]]

AdminCode = Literal[
    "bad_request",  # the parameters are wrong
    "unknown_command",  # this daemon does not know the command
    "not_found",  # no such user or device
    "refused",  # understood, and not possible
    "busy",  # try again
    "timeout",  # no answer in time; the outcome is unknown
    "internal",  # a fault of the server; its log says more
]

MAX_USES = 1_000
MAX_EXPIRES_MS = 366 * 86_400_000
MAX_NAME = 256
"""Longer than any user name: a bound for the socket, the store applies its own."""


class AdminError(Exception):
    """An administrator's request was refused. `code` is one of AdminCode."""

    def __init__(self, code: AdminCode, message: str) -> None:
        super().__init__(code, message)
        self.code, self.message = code, message

    def __str__(self) -> str:
        return self.message


@dataclass(frozen=True, slots=True)
class UserInfo:
    """One account. Times in milliseconds since the Unix epoch."""

    name: str
    display_name: str
    state: Literal["active", "disabled", "deleted"]
    invited_by: str | None
    created_ms: int
    devices: int
    last_seen_ms: int | None


@dataclass(frozen=True, slots=True)
class DeviceInfo:
    """One device of a user. Times in milliseconds since the Unix epoch."""

    number: int
    name: str
    created_ms: int
    last_seen_ms: int | None
    revoked: bool
    connected: bool


@dataclass(frozen=True, slots=True)
class CheckResult:
    """One thing that was looked at: what, whether it is well, and what was found."""

    name: str
    ok: bool
    detail: str


class Admin(Protocol):
    """The store as an administrator uses it.

    Every method raises AdminError: `not_found` for an unknown user or device, `refused` for what
    is not possible in this state, `busy` when the writer's queue is full.
    """

    async def create_invite(self, uses: int, expires_ms: int | None) -> str:
        """Make an invite.

        Args:
            uses: Registrations it is good for, 1 <= uses <= MAX_USES.
            expires_ms: Milliseconds from now until it lapses; None is never.

        Returns:
            The whole link.
        """

    async def list_users(self) -> list[UserInfo]:
        """All accounts, tombstones included, in the order of their creation."""

    async def disable_user(self, name: str) -> None:
        """Cut the user's devices off and let none log in."""

    async def enable_user(self, name: str) -> None:
        """Undo `disable_user`."""

    async def reset_user(self, name: str) -> str:
        """A link whose one-time token lets the user set a new password."""

    async def delete_user(self, name: str) -> None:
        """Delete the account for good; the name stays taken."""

    async def list_devices(self, name: str) -> list[DeviceInfo]:
        """The user's devices by number, revoked ones included."""

    async def revoke_device(self, name: str, number: int) -> None:
        """Cut one device off for good."""

    async def check(self) -> list[CheckResult]:
        """Look the database over without changing it."""


Row = TypeVar("Row", UserInfo, DeviceInfo, CheckResult)


def decode(kind: type[Row], rows: Json) -> list[Row]:
    """The rows of an answer, as the types they were made from.

    Raises:
        AdminError: `internal`; the daemon is of a version that answers otherwise.
    """
    wrong = AdminError("internal", "the running daemon is of another version; restart it")
    if not isinstance(rows, list):
        raise wrong
    names = [field.name for field in fields(kind)]
    decoded = []
    for row in rows:
        if not isinstance(row, dict) or not row.keys() >= set(names):
            raise wrong
        known = {name: row[name] for name in names}
        decoded.append(kind(**known))  # type: ignore[arg-type]  # the handler below wrote them
    return decoded


def handlers(admin: Admin) -> dict[str, Handler]:
    """Every administrator's command, by name, with its parameters checked."""

    async def create_invite(params: Mapping[str, Json]) -> Json:
        uses = _integer(params, "uses", 1, MAX_USES)
        expires_ms = (
            None
            if params.get("expires_ms") is None
            else _integer(params, "expires_ms", 1, MAX_EXPIRES_MS)
        )
        return await admin.create_invite(uses, expires_ms)

    async def list_users(params: Mapping[str, Json]) -> Json:
        return [asdict(user) for user in await admin.list_users()]

    async def disable_user(params: Mapping[str, Json]) -> Json:
        await admin.disable_user(_name(params))
        return None

    async def enable_user(params: Mapping[str, Json]) -> Json:
        await admin.enable_user(_name(params))
        return None

    async def reset_user(params: Mapping[str, Json]) -> Json:
        return await admin.reset_user(_name(params))

    async def delete_user(params: Mapping[str, Json]) -> Json:
        await admin.delete_user(_name(params))
        return None

    async def list_devices(params: Mapping[str, Json]) -> Json:
        return [asdict(device) for device in await admin.list_devices(_name(params))]

    async def revoke_device(params: Mapping[str, Json]) -> Json:
        await admin.revoke_device(_name(params), _integer(params, "number", 0, 2**32 - 1))
        return None

    async def check(params: Mapping[str, Json]) -> Json:
        return [asdict(result) for result in await admin.check()]

    named: tuple[Handler, ...] = (
        create_invite,
        list_users,
        disable_user,
        enable_user,
        reset_user,
        delete_user,
        list_devices,
        revoke_device,
        check,
    )
    return {handler.__name__: handler for handler in named}


def _name(params: Mapping[str, Json]) -> str:
    name = params.get("name")
    if not isinstance(name, str) or not 0 < len(name) <= MAX_NAME:
        raise AdminError("bad_request", f"name must be a text of 1 to {MAX_NAME} characters")
    return name


def _integer(params: Mapping[str, Json], key: str, low: int, high: int) -> int:
    value = params.get(key)
    if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
        raise AdminError("bad_request", f"{key} must be an integer from {low} to {high}")
    return value
