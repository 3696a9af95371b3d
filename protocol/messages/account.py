"""Devices, password, profile and invites of the account that is logged in."""

from typing import Annotated

from protocol import limits
from protocol.declare import Message, StructOf, message, struct
from protocol.fields import (
    U16,
    Bool,
    DeviceName,
    DeviceNumber,
    Key,
    ListOf,
    OptionalU53,
    RequestId,
    Salt,
    ScramMessage,
    Text,
    TimeMs,
    Token,
    UInt,
    User,
)
from protocol.ops import Op, Role

DisplayName = Annotated[str, Text(0, limits.MAX_DISPLAY_NAME_BYTES)]


@message(Op.LIST_DEVICES, Role.CLIENT)
class ListDevices(Message):
    """List the account's devices. Answer: DEVICE_LIST."""

    request: RequestId


@struct
class Device:
    """One device of the account."""

    number: DeviceNumber  # from 1, never reused
    name: DeviceName
    created_ms: TimeMs
    last_seen_ms: OptionalU53  # nil: never logged in again
    connected: Bool


@message(Op.DEVICE_LIST, Role.SERVER)
class DeviceList(Message):
    """The active devices, by number."""

    request: RequestId
    devices: Annotated[tuple[Device, ...], ListOf(StructOf(Device), limits.MAX_DEVICES)]


@message(Op.RENAME_DEVICE, Role.CLIENT)
class RenameDevice(Message):
    """Give one of the account's devices another name. Answer: OK."""

    request: RequestId
    number: DeviceNumber
    name: DeviceName


@message(Op.REVOKE_DEVICE, Role.CLIENT)
class RevokeDevice(Message):
    """Cut one of the account's devices off for good. Answer: OK."""

    request: RequestId
    number: DeviceNumber


@message(Op.PROVE, Role.CLIENT)
class Prove(Message):
    """Begin to prove the password once more, for what follows. Answer: SCRAM_CHALLENGE."""

    request: RequestId
    message: ScramMessage  # client-first-message


@message(Op.CHANGE_PASSWORD, Role.CLIENT)
class ChangePassword(Message):
    """Replace the SCRAM verifier. Answer: PROVED."""

    request: RequestId
    message: ScramMessage  # client-final-message of the exchange that PROVE began
    salt: Salt  # of the new verifier, as in REGISTER; so are the keys
    stored_key: Key
    server_key: Key


@message(Op.DELETE_ACCOUNT, Role.CLIENT)
class DeleteAccount(Message):
    """Delete this account; its name stays taken. Answer: PROVED, then GOAWAY."""

    request: RequestId
    message: ScramMessage  # client-final-message of the exchange that PROVE began


@message(Op.PROVED, Role.SERVER)
class Proved(Message):
    """The change is on disk; and the server knew the verifier, too."""

    request: RequestId
    scram: ScramMessage  # server-final-message


@message(Op.GET_PROFILE, Role.CLIENT)
class GetProfile(Message):
    """Look one user up by the exact name. Answer: PROFILE."""

    request: RequestId
    user: User


@message(Op.PROFILE, Role.SERVER)
class Profile(Message):
    """What a user shows."""

    request: RequestId
    user: User
    display_name: DisplayName


@message(Op.SET_DISPLAY_NAME, Role.CLIENT)
class SetDisplayName(Message):
    """Change the own display name. Answer: OK."""

    request: RequestId
    display_name: DisplayName


@message(Op.CREATE_INVITE, Role.CLIENT)
class CreateInvite(Message):
    """Make an invite, if the server lets users invite. Answer: INVITE."""

    request: RequestId
    uses: Annotated[int, UInt(1, 100)]  # accounts that may be made with it
    expires_in_ms: Annotated[int, UInt(60_000, 30 * 86_400_000)]


@message(Op.INVITE, Role.SERVER)
class Invite(Message):
    """A token for a link; see "Links"."""

    request: RequestId
    token: Token
    uses: U16
    expires_ms: TimeMs
