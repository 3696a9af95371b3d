"""How the writer decides on accounts, devices, invites and logins."""

from __future__ import annotations

from typing import TYPE_CHECKING

from storage.commands import (
    Command,
    CreateToken,
    Done,
    Enrol,
    Enrolled,
    Enrolment,
    LoggedIn,
    Login,
    Refusal,
    Refused,
    Register,
    RenameDevice,
    ReplaceVerifier,
    Result,
    Revoked,
    RevokeDevice,
    SetDisplayName,
    SetUserState,
    Touch,
)
from storage.state import Device, User
from storage.types import InviteKind, UserState, Verifier

if TYPE_CHECKING:
    from storage.writer import Writer


def find_user(writer: Writer, name: str) -> User | None:
    """Return an account in any state."""
    row = writer.connection.execute("SELECT id, name, state FROM users WHERE name = ?", (name,)).get
    return None if row is None else _user(writer, *row)


def find_device(writer: Writer, user: str, number: int) -> Device | None:
    """Return a device by its user's name and its number, revoked or not."""
    row = writer.connection.execute(
        "SELECT d.id, d.counter, d.revoked_ms, u.id, u.name, u.state"
        " FROM devices d JOIN users u ON u.id = d.user_id WHERE u.name = ? AND d.number = ?",
        (user, number),
    ).get
    if row is None:
        return None
    device_id, counter, revoked_ms, user_id, name, state = row
    device = writer.devices.get(device_id)
    if device is None:
        owner = _user(writer, user_id, name, state)
        device = Device(device_id, owner, number, counter, revoked_ms is not None)
        writer.devices[device_id] = device
    return device


def reload(writer: Writer) -> None:
    """Read again every user and device that is in memory: a batch was rolled back.

    Those that the batch had made are forgotten, for their ids will be given again. Whoever still
    holds one finds it unusable.
    """
    for user in list(writer.users.values()):
        state = writer.connection.execute("SELECT state FROM users WHERE id = ?", (user.id,)).get
        if state is None:
            user.state = UserState.DELETED
            del writer.users[user.id]
        else:
            user.state = UserState(state)
    for device in list(writer.devices.values()):
        row = writer.connection.execute(
            "SELECT counter, revoked_ms FROM devices WHERE id = ?", (device.id,)
        ).get
        if row is None:
            device.revoked = True
            del writer.devices[device.id]
        else:
            device.counter, revoked_ms = row
            device.revoked = revoked_ms is not None


def register(writer: Writer, command: Command) -> Result:
    """Make an account with its first device, or use a reset token."""
    assert type(command) is Register
    invite = None
    if command.token_hash is not None:
        invite = writer.connection.execute(
            "SELECT i.kind, i.user_id, i.expires_ms, u.state FROM invites i"
            " LEFT JOIN users u ON u.id = i.user_id WHERE i.token_hash = ?",
            (command.token_hash,),
        ).get
        if invite is None or (invite[2] is not None and invite[2] <= writer.now_ms()):
            return Refused(Refusal.INVITE_INVALID)
        if invite[3] not in (None, UserState.ACTIVE):  # who was disabled lets nobody in
            return Refused(Refusal.INVITE_INVALID)
    existing = find_user(writer, command.user)
    if invite is not None and invite[0] == InviteKind.RESET:
        return _reset(writer, command, existing, owner=invite[1])
    if invite is None and not command.open:
        return Refused(Refusal.REGISTRATION_CLOSED)
    if existing is not None:
        return Refused(Refusal.NAME_UNAVAILABLE)
    if writer.connection.execute("SELECT count(*) FROM users").get >= command.max_users:
        return Refused(Refusal.REGISTRATION_CLOSED)
    if command.token_hash is not None:
        _use_token(writer, command.token_hash)
    writer.connection.execute(
        "INSERT INTO users (name, display_name, state, invited_by, created_ms, salt, stored_key,"
        " server_key, next_device) VALUES (?, ?, 0, ?, ?, ?, ?, ?, 1)",
        (
            command.user,
            command.display_name,
            invite[1] if invite else None,
            writer.now_ms(),
            command.verifier.salt,
            command.verifier.stored_key,
            command.verifier.server_key,
        ),
    )
    user = _user(writer, writer.connection.last_insert_rowid(), command.user, UserState.ACTIVE)
    return _add_device(writer, user, command.enrolment, command.max_devices)


def enrol(writer: Writer, command: Command) -> Result:
    """Add a device, if the password that was proven is still the one."""
    assert type(command) is Enrol
    user = find_user(writer, command.user)
    if user is None or user.state is not UserState.ACTIVE:
        return Refused(Refusal.DEVICE_UNUSABLE)
    if _verifier(writer, user) != command.verifier:
        return Refused(Refusal.DEVICE_UNUSABLE)
    return _add_device(writer, user, command.enrolment, command.max_devices)


def login(writer: Writer, command: Command) -> Result:
    """Accept a counter above the last one."""
    assert type(command) is Login
    device = find_device(writer, command.user, command.number)
    if device is None or not device.usable:
        return Refused(Refusal.DEVICE_UNUSABLE)
    if command.counter <= device.counter:
        return Refused(Refusal.CREDENTIAL_ROLLED_BACK)
    device.counter = command.counter
    writer.connection.execute(
        "UPDATE devices SET counter = ?, last_seen_ms = ? WHERE id = ?",
        (command.counter, writer.now_ms(), device.id),
    )
    return LoggedIn(device)


def touch(writer: Writer, command: Command) -> Result:
    """Remember that a device was here."""
    assert type(command) is Touch
    if command.device.user.state is UserState.DELETED:
        return Done()
    writer.connection.execute(
        "UPDATE devices SET last_seen_ms = max(coalesce(last_seen_ms, 0), ?) WHERE id = ?",
        (writer.now_ms(), command.device.id),
    )
    return Done()


def rename_device(writer: Writer, command: Command) -> Result:
    """Give an active device another name."""
    assert type(command) is RenameDevice
    device = find_device(writer, command.user, command.number)
    if device is None or device.revoked:
        return Refused(Refusal.NOT_FOUND)
    writer.connection.execute("UPDATE devices SET name = ? WHERE id = ?", (command.name, device.id))
    return Done()


def revoke_device(writer: Writer, command: Command) -> Result:
    """Take a device's right to act, for good."""
    assert type(command) is RevokeDevice
    device = find_device(writer, command.user, command.number)
    if device is None or device.revoked:
        return Refused(Refusal.NOT_FOUND)
    _revoke(writer, device.id)
    return Revoked([device.id])


def replace_verifier(writer: Writer, command: Command) -> Result:
    """Change a password, if the proven one is still the one."""
    assert type(command) is ReplaceVerifier
    user = find_user(writer, command.user)
    if user is None or user.state is not UserState.ACTIVE or _verifier(writer, user) != command.old:
        return Refused(Refusal.DEVICE_UNUSABLE)
    _set_verifier(writer, user, command.new)
    return Done()


def set_display_name(writer: Writer, command: Command) -> Result:
    """Change what others see beside the user name."""
    assert type(command) is SetDisplayName
    user = find_user(writer, command.user)
    if user is None or user.state is not UserState.ACTIVE:
        return Refused(Refusal.NOT_FOUND)
    writer.connection.execute(
        "UPDATE users SET display_name = ? WHERE id = ?", (command.display_name, user.id)
    )
    return Done()


def set_user_state(writer: Writer, command: Command) -> Result:
    """Disable, enable or delete an account.

    A deleted one keeps its name, so that it is never given again, who invited it, and its devices'
    numbers and signing keys, which its entries in others' conversations name.
    """
    assert type(command) is SetUserState
    user = find_user(writer, command.user)
    if user is None or user.state is UserState.DELETED:
        return Refused(Refusal.NOT_FOUND)
    user.state = command.state
    writer.connection.execute("UPDATE users SET state = ? WHERE id = ?", (command.state, user.id))
    device_ids = [
        row[0]
        for row in writer.connection.execute(
            "SELECT id FROM devices WHERE user_id = ? AND revoked_ms IS NULL", (user.id,)
        )
    ]
    if command.state is UserState.DELETED:
        writer.flush()
        writer.conversations.clear()  # direct chats with this user are closed
        for device_id in device_ids:
            _revoke(writer, device_id)
        writer.connection.execute(
            "UPDATE users SET display_name = '', salt = x'', stored_key = x'', server_key = x''"
            " WHERE id = ?",
            (user.id,),
        )
        writer.connection.execute(
            "UPDATE devices SET name = '', login_key = x'', last_seen_ms = NULL WHERE user_id = ?",
            (user.id,),
        )
        writer.connection.execute("DELETE FROM invites WHERE user_id = ?", (user.id,))
        writer.bodies_removed = True  # no bodies, but what is to leave the log file as well
    return Revoked([] if command.state is UserState.ACTIVE else device_ids)


def create_token(writer: Writer, command: Command) -> Result:
    """Make an invite or a reset token."""
    assert type(command) is CreateToken
    user = None
    if command.user is not None:
        user = find_user(writer, command.user)
        if user is None or user.state is not UserState.ACTIVE:
            return Refused(Refusal.NOT_FOUND)
    now_ms = writer.now_ms()
    writer.connection.execute("DELETE FROM invites WHERE expires_ms <= ?", (now_ms,))
    if user is not None and not command.reset:
        count = writer.connection.execute(
            "SELECT count(*) FROM invites WHERE user_id = ? AND kind = 0", (user.id,)
        ).get
        if count >= command.max_open:
            return Refused(Refusal.QUOTA_EXCEEDED)
    writer.connection.execute(
        "INSERT INTO invites VALUES (?, ?, ?, ?, ?, ?)",
        (
            command.token_hash,
            InviteKind.RESET if command.reset else InviteKind.ACCOUNT,
            user.id if user else None,
            command.uses,
            command.expires_ms,
            now_ms,
        ),
    )
    return Done()


def _user(writer: Writer, user_id: int, name: str, state: int) -> User:
    user = writer.users.get(user_id)
    if user is None:
        user = writer.users[user_id] = User(user_id, name, UserState(state))
    return user


def _reset(writer: Writer, command: Register, user: User | None, *, owner: int) -> Result:
    if user is None or user.id != owner or user.state is not UserState.ACTIVE:
        return Refused(Refusal.INVITE_INVALID)
    result = _add_device(writer, user, command.enrolment, command.max_devices)
    if type(result) is Enrolled:
        assert command.token_hash is not None
        _use_token(writer, command.token_hash)
        _set_verifier(writer, user, command.verifier)
    return result


def _use_token(writer: Writer, token_hash: bytes) -> None:
    writer.connection.execute(
        "UPDATE invites SET uses_left = uses_left - 1 WHERE token_hash = ?", (token_hash,)
    )
    writer.connection.execute("DELETE FROM invites WHERE uses_left <= 0")


def _add_device(
    writer: Writer, user: User, enrolment: Enrolment, max_devices: int
) -> Refused | Enrolled:
    count = writer.connection.execute(
        "SELECT count(*) FROM devices WHERE user_id = ? AND revoked_ms IS NULL", (user.id,)
    ).get
    if count >= max_devices:
        return Refused(Refusal.TOO_MANY_DEVICES)
    number = writer.connection.execute(
        "UPDATE users SET next_device = next_device + 1 WHERE id = ? RETURNING next_device - 1",
        (user.id,),
    ).get
    writer.connection.execute(
        "INSERT INTO devices (user_id, number, name, login_key, signing_key, counter, created_ms)"
        " VALUES (?, ?, ?, ?, ?, 0, ?)",
        (
            user.id,
            number,
            enrolment.name,
            enrolment.login_key,
            enrolment.signing_key,
            writer.now_ms(),
        ),
    )
    device_id = writer.connection.last_insert_rowid()
    # A new device's cursors are the heads at its registration; older entries come by HISTORY.
    writer.flush()
    writer.places.index()
    writer.connection.execute(
        "INSERT INTO cursors SELECT conv_id, ?,"
        " coalesce((SELECT max(seq) FROM log_index i WHERE i.conv_id = m.conv_id), 0), 0, 0"
        " FROM members m WHERE user_id = ?",
        (device_id, user.id),
    )
    device = writer.devices[device_id] = Device(device_id, user, number, 0, False)
    return Enrolled(device)


def _revoke(writer: Writer, device_id: int) -> None:
    device = writer.devices.get(device_id)
    if device is not None:
        device.revoked = True
    writer.connection.execute(
        "UPDATE devices SET revoked_ms = ? WHERE id = ?", (writer.now_ms(), device_id)
    )


def _verifier(writer: Writer, user: User) -> Verifier:
    return Verifier(
        *writer.connection.execute(
            "SELECT salt, stored_key, server_key FROM users WHERE id = ?", (user.id,)
        ).get
    )


def _set_verifier(writer: Writer, user: User, verifier: Verifier) -> None:
    writer.connection.execute(
        "UPDATE users SET salt = ?, stored_key = ?, server_key = ? WHERE id = ?",
        (verifier.salt, verifier.stored_key, verifier.server_key, user.id),
    )
