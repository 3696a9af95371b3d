"""The administrator's commands on a running server."""

import pytest

from chatd.admin_api import AdminError
from protocol.errors import ErrorCode
from protocol.links import parse_link
from tests.chatd.house import House

pytestmark = pytest.mark.asyncio


async def test_invite_is_a_link_to_this_server(house: House) -> None:
    link = parse_link(await house.admin.create_invite(3, 60_000))
    identity = house.core.identity
    assert (link.host, link.port) == ("chat.example", 7222)
    assert (link.server_key, link.server_id) == (identity.public_key, identity.server_id)


async def test_users_are_listed_with_their_state_and_devices(house: House) -> None:
    romeo = await house.arrives("romeo")
    await house.enrols(romeo)
    await house.arrives("juliet")
    await house.arrives("tybalt")
    await house.admin.disable_user("juliet")
    await house.admin.delete_user("tybalt")
    users = await house.admin.list_users()
    assert [(user.name, user.state, user.devices) for user in users] == [
        ("romeo", "active", 2),
        ("juliet", "disabled", 1),
        ("tybalt", "deleted", 0),
    ]
    assert users[0].created_ms == house.environment.now_ms()


async def test_disabled_user_is_cut_at_once_and_can_be_enabled(house: House) -> None:
    romeo, juliet = await house.arrives("romeo"), await house.arrives("juliet")
    await juliet.says("romeo", "before")
    await house.admin.disable_user("romeo")
    await romeo.receives("before")
    assert (await romeo.is_sent_away()).code == ErrorCode.ACCOUNT_CLOSED
    await juliet.says("romeo", "for when you are back")
    await house.admin.enable_user("romeo")
    romeo = await house.returns(romeo)
    assert (await romeo.syncs()).heads[0].head == 2


async def test_devices_are_listed_revoked_ones_included(house: House) -> None:
    romeo = await house.arrives("romeo")
    phone = await house.enrols(romeo)
    await house.admin.revoke_device("romeo", 1)
    assert (await romeo.is_sent_away()).code == ErrorCode.DEVICE_REVOKED
    await phone.ping()
    devices = await house.admin.list_devices("romeo")
    assert [(d.number, d.name, d.revoked, d.connected) for d in devices] == [
        (1, "laptop", True, False),
        (2, "phone", False, True),
    ]


async def test_last_seen_is_when_the_connection_ended(house: House) -> None:
    romeo = await house.arrives("romeo")
    await house.environment.advance(60_000)
    left_ms = house.environment.now_ms()
    await romeo.leave()
    await house.empties()
    (device,) = await house.admin.list_devices("romeo")
    assert device.last_seen_ms == left_ms


async def test_what_does_not_exist_is_named(house: House) -> None:
    await house.arrives("romeo")
    admin = house.admin
    for command in (
        admin.disable_user("nobody"),
        admin.enable_user("nobody"),
        admin.delete_user("nobody"),
        admin.reset_user("nobody"),
        admin.list_devices("nobody"),
        admin.revoke_device("romeo", 9),
    ):
        with pytest.raises(AdminError, match=r"there is no") as caught:
            await command
        assert caught.value.code == "not_found"


async def test_full_disk_is_told_to_the_administrator(house: House) -> None:
    await house.core.idle()
    house.disk.fills_up(commits=2)
    with pytest.raises(AdminError, match="storage is full") as caught:
        await house.admin.create_invite(1, None)
    assert caught.value.code == "refused"


async def test_check_finds_a_sound_database(house: House) -> None:
    await house.arrives("romeo")
    (result,) = await house.admin.check()
    assert (result.name, result.ok) == ("database", True)
