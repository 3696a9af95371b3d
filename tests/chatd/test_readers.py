"""Reads that fail: a fault is one request's, a failure of storage is the end."""

import pytest

from protocol.derive import direct_id
from protocol.errors import ErrorCode
from protocol.messages import account, messaging, session
from storage.errors import StorageFailed
from tests.chatd.actor import Actor, expect, refused
from tests.chatd.house import House, scram_client

pytestmark = pytest.mark.asyncio


def prove(actor: Actor) -> account.Prove:
    return account.Prove(actor.request(), scram_client(actor).get_client_first().encode())


async def test_fault_in_a_read_is_told_and_only_that_request_is_lost(
    house: House, caplog: pytest.LogCaptureFixture
) -> None:
    """threats.md class 9: an entry that cannot be read must not eat the connection's reads."""
    romeo = await house.arrives("romeo")
    cid = direct_id("romeo", "juliet")
    requests = [
        messaging.History(romeo.request(), cid, 0, 0, 1, 1),
        messaging.Sync(romeo.request(), 0, 0),
        account.GetProfile(romeo.request(), "romeo"),
        account.ListDevices(romeo.request()),
        prove(romeo),
    ]
    for message in requests:
        for _ in range(5):
            house.disk.read_errors.append(ZeroDivisionError("canary"))
            error = expect(session.Error, await romeo.asks(message))
            assert (error.code, error.retryable) == (ErrorCode.INTERNAL, True)
    romeo.tell(messaging.Typing(cid, True))
    house.disk.read_errors.append(ZeroDivisionError("canary"))
    await house.until(lambda: not house.disk.read_errors)
    await romeo.syncs()
    live = house.session(romeo)
    assert (live.reads, live.peer.in_flight) == (0, 0)
    assert caplog.text.count("read_failed") + caplog.text.count("request_failed") == 26


async def test_fault_in_a_login_is_told_and_ends_the_connection(house: House) -> None:
    romeo = await house.arrives("romeo")
    for by_key in (True, False):
        actor = await house.stranger("romeo")
        actor.me = romeo.me
        actor.hello()
        house.disk.read_errors.append(ZeroDivisionError("canary"))
        if by_key:
            actor.tell(house.login(actor))
        else:
            first = scram_client(actor).get_client_first().encode()
            actor.tell(session.ScramFirst(actor.request(), first))
        await actor.is_cut(ErrorCode.INTERNAL)
    await house.empties(1)


@pytest.mark.parametrize("how", ["history", "prove"])
async def test_read_that_storage_fails_is_the_end(house: House, how: str) -> None:
    romeo = await house.arrives("romeo")
    house.disk.read_errors.append(StorageFailed("the disk is gone"))
    if how == "prove":
        assert refused(await romeo.asks(prove(romeo))) is ErrorCode.INTERNAL
    else:
        romeo.tell(messaging.Sync(romeo.request(), 0, 0))
    await house.core.failed.wait()
