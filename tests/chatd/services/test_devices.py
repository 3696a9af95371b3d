"""A user's devices: listed, named, revoked, and out of the reach of others."""

import pytest

from protocol.errors import ErrorCode
from protocol.messages import account, session
from tests.chatd.actor import expect, refused
from tests.chatd.house import House

pytestmark = pytest.mark.asyncio


async def test_devices_are_listed_named_and_revoked(house: House) -> None:
    romeo = await house.arrives("romeo")
    phone = await house.enrols(romeo)
    await phone.leave()
    await house.empties(1)
    listed = expect(account.DeviceList, await romeo.asks(account.ListDevices(romeo.request())))
    assert [(d.number, d.name, d.connected) for d in listed.devices] == [
        (1, "laptop", True),
        (2, "phone", False),
    ]
    rename = account.RenameDevice(romeo.request(), 2, "old phone")
    expect(session.Ok, await romeo.asks(rename))
    phone = await house.returns(phone)
    listed = expect(account.DeviceList, await phone.asks(account.ListDevices(phone.request())))
    assert [(d.number, d.name, d.connected) for d in listed.devices] == [
        (1, "laptop", True),
        (2, "old phone", True),
    ]
    expect(session.Ok, await romeo.asks(account.RevokeDevice(romeo.request(), 2)))
    assert (await phone.is_sent_away()).code == ErrorCode.DEVICE_REVOKED
    listed = expect(account.DeviceList, await romeo.asks(account.ListDevices(romeo.request())))
    assert [d.number for d in listed.devices] == [1]


async def test_device_that_revokes_itself_is_answered_then_sent_away(house: House) -> None:
    romeo = await house.arrives("romeo")
    expect(session.Ok, await romeo.asks(account.RevokeDevice(romeo.request(), 1)))
    assert (await romeo.is_sent_away()).code == ErrorCode.DEVICE_REVOKED


async def test_devices_of_others_are_out_of_reach(house: House) -> None:
    romeo = await house.arrives("romeo")
    juliet = await house.arrives("juliet")
    await house.enrols(juliet)
    absent = [
        account.RevokeDevice(romeo.request(), 2),
        account.RenameDevice(romeo.request(), 2, "mine"),
    ]
    for message in absent:
        assert refused(await romeo.asks(message)) is ErrorCode.NOT_FOUND


@pytest.mark.parametrize("name", ["tab\tbed", " led", "trailed ", "es\x1b[31mcape", "bidi\u202e"])
async def test_device_name_that_cannot_be_shown_is_refused(house: House, name: str) -> None:
    romeo = await house.arrives("romeo")
    message = account.RenameDevice(romeo.request(), 1, name)
    assert refused(await romeo.asks(message)) is ErrorCode.NAME_INVALID
