"""Logins by key, fencing, devices: over real TLS, step by step."""

from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from chatd.hub import TICK_MS
from chatd.ratelimit import FREE_FAILURES, MIN_DELAY_MS
from chatd.settings import Limits
from protocol.derive import direct_id, welcome_text
from protocol.errors import ErrorCode
from protocol.header import PLAIN
from protocol.messages import account, messaging, session
from tests.chatd.actor import Actor, expect, refused
from tests.chatd.house import House, open_house, scram_client

pytestmark = pytest.mark.asyncio


async def knocks(house: House, who: Actor) -> Actor:
    """A new connection of a known device that has said HELLO."""
    actor = await house.stranger()
    actor.me = who.me
    actor.hello()
    return actor


async def test_server_says_who_it_is_signed_over_the_key_that_tls_shows(house: House) -> None:
    romeo = await house.arrives("romeo")
    welcome, identity = romeo.welcome, house.core.identity
    assert welcome is not None
    assert romeo.certificate is not None
    assert (welcome.server_id, welcome.server_key) == (identity.server_id, identity.public_key)
    assert welcome.tls_key_hash == romeo.certificate.spki_hash
    text = welcome_text(
        welcome.server_id, welcome.tls_key_hash, welcome.not_before_s, welcome.not_after_s
    )
    Ed25519PublicKey.from_public_bytes(welcome.server_key).verify(welcome.signature, text)
    now_s = house.environment.now_ms() // 1000
    assert welcome.not_before_s < now_s < welcome.not_after_s


@pytest.mark.parametrize("passed_ms", [3_600_000, -3_600_000])
async def test_welcome_is_signed_anew_when_the_clock_moved(house: House, passed_ms: int) -> None:
    first = await house.arrives("romeo")
    if passed_ms > 0:
        await house.environment.advance(passed_ms)
    else:
        house.environment.set_back(-passed_ms)
    second = await house.arrives("juliet")
    assert first.welcome is not None
    assert second.welcome is not None
    moved_s = second.welcome.not_after_s - first.welcome.not_after_s
    assert moved_s == passed_ms // 1000


async def test_client_of_another_version_is_told(house: House) -> None:
    romeo = await house.stranger("romeo")
    romeo.tell(session.Hello(2, "tests", ()), session.Login(1, "romeo", 1, 1, bytes(64)))
    await romeo.is_cut(ErrorCode.UNSUPPORTED_VERSION)


async def test_hello_login_sync_and_a_send_leave_in_one_flight(house: House) -> None:
    romeo, juliet = await house.arrives("romeo"), await house.arrives("juliet")
    await juliet.leave()
    await romeo.says("juliet", "while you were away")
    back = await house.stranger()
    back.me = juliet.me
    login = house.login(back)
    sync = messaging.Sync(back.request(), 0, 0)
    cid = direct_id("juliet", "romeo")
    send = messaging.Send(back.request(), cid, 1, bytes(16), PLAIN, b"I am back", "romeo")
    back.tell(session.Hello(1, "tests", ()), login, sync, send)
    assert expect(session.Accepted, await back.answer(login.request)).device == 1
    page = expect(messaging.SyncPage, await back.answer(sync.request))
    assert page.heads[0].head in (1, 2)  # the send may have been stored before the read
    assert (await back.sent(send.request)).seq == 2
    await romeo.receives("I am back", seq=2)


async def test_bytes_behind_a_login_wait_for_its_outcome(house: House) -> None:
    romeo = await house.arrives("romeo")
    await house.core.idle()
    house.disk.hold()
    romeo.sends("nobody", "keeps the writer busy")
    await romeo.ping()
    back = await knocks(house, romeo)
    login = house.login(back)
    back.tell(login)
    back.tell(session.Ping(7))
    await romeo.ping()
    assert not back.has_answer(7)
    house.disk.release()
    expect(session.Accepted, await back.answer(login.request))
    await back.answer(7)


async def test_bytes_behind_a_refused_login_are_never_parsed(house: House) -> None:
    romeo = await house.arrives("romeo")
    back = await knocks(house, romeo)
    wrong = session.Login(back.request(), "romeo", 1, 99, bytes(64))
    back.tell(wrong, messaging.Sync(back.request(), 0, 0))
    assert refused(await back.answer(wrong.request)) is ErrorCode.AUTHENTICATION_FAILED
    await back.ends()
    assert back.final is None


@pytest.mark.parametrize("behind", [0, -1])
async def test_login_is_refused_when_its_counter_does_not_rise(house: House, behind: int) -> None:
    romeo = await house.arrives("romeo")
    romeo = await house.returns(romeo)
    romeo = await house.returns(romeo)
    back = await knocks(house, romeo)
    answer = await back.asks(house.login(back, romeo.me.counter + behind))
    assert refused(answer) is ErrorCode.CREDENTIAL_ROLLED_BACK
    await back.ends()


async def test_recorded_login_is_worth_nothing_after_a_restart(folder: Path) -> None:
    async with open_house(folder) as house:
        romeo = await house.returns(await house.arrives("romeo"))
        recorded = house.login(romeo, romeo.me.counter)
    async with open_house(folder) as house:
        thief = await knocks(house, romeo)
        assert refused(await thief.asks(recorded)) is ErrorCode.CREDENTIAL_ROLLED_BACK
        await house.returns(romeo)


async def test_every_wrong_login_gets_the_same_answer(house: House) -> None:
    romeo, juliet = await house.arrives("romeo"), await house.arrives("juliet")
    phone = await house.enrols(romeo)
    await house.admin.revoke_device("romeo", 2)
    await house.admin.disable_user("juliet")
    answers = []

    async def tries(who: Actor, **changes: object) -> None:
        actor = await knocks(house, who)
        login = house.login(actor)
        for name, value in changes.items():
            setattr(login, name, value)
        error = expect(session.Error, await actor.asks(login))
        await actor.ends()
        answers.append((error.code, error.text, error.retryable, error.retry_after_ms))
        await house.environment.advance(15 * 60_000)

    await tries(romeo, signature=bytes(64))
    await tries(romeo, user="nobody")
    await tries(romeo, user="Not Prepared!")
    await tries(romeo, device=9)
    await tries(phone)
    await tries(juliet)
    romeo.me.device = 2
    await tries(romeo)
    assert set(answers) == {(ErrorCode.AUTHENTICATION_FAILED, "authentication failed", False, 0)}
    assert len(answers) == 7


async def test_login_is_bound_to_the_certificate_that_was_seen(house: House) -> None:
    romeo = await house.arrives("romeo")
    back = await knocks(house, romeo)
    login = romeo.me.login(back.request(), house.core.identity.server_id, bytes(32))
    assert refused(await back.asks(login)) is ErrorCode.AUTHENTICATION_FAILED


async def test_login_is_for_one_server(house: House) -> None:
    romeo = await house.arrives("romeo")
    back = await knocks(house, romeo)
    login = romeo.me.login(back.request(), bytes(16), back.binding)
    assert refused(await back.asks(login)) is ErrorCode.AUTHENTICATION_FAILED


@pytest.mark.parametrize("command", ["disable", "delete", "revoke"])
async def test_account_that_is_closed_during_a_login_does_not_get_in(
    house: House, command: str
) -> None:
    """threats.md class 20: the signature was verified, the commit is under way."""
    romeo = await house.arrives("romeo")
    juliet = await house.arrives("juliet")
    await house.core.idle()
    house.disk.hold()
    juliet.sends("romeo", "keeps the writer busy")
    await juliet.ping()
    if command == "revoke":
        closing = house.environment.spawn(house.admin.revoke_device("romeo", 1))
    elif command == "disable":
        closing = house.environment.spawn(house.admin.disable_user("romeo"))
    else:
        closing = house.environment.spawn(house.admin.delete_user("romeo"))
    await juliet.ping()  # queued behind the batch that the disk holds
    back = await knocks(house, romeo)
    login = house.login(back)
    back.tell(login)
    await juliet.ping()
    house.disk.release()
    assert refused(await back.answer(login.request)) is ErrorCode.AUTHENTICATION_FAILED
    await back.ends()
    await closing
    code = ErrorCode.DEVICE_REVOKED if command == "revoke" else ErrorCode.ACCOUNT_CLOSED
    assert (await romeo.is_sent_away()).code == code


@pytest.mark.parametrize("command", ["disable", "delete", "revoke"])
async def test_account_that_is_closed_right_behind_a_login_is_cut(
    house: House, command: str
) -> None:
    romeo = await house.arrives("romeo")
    juliet = await house.arrives("juliet")
    await house.core.idle()
    house.disk.hold()
    juliet.sends("romeo", "keeps the writer busy")
    await juliet.ping()
    back = await knocks(house, romeo)
    login = house.login(back)
    back.tell(login)
    await house.queued(1)
    if command == "revoke":
        closing = house.environment.spawn(house.admin.revoke_device("romeo", 1))
    elif command == "disable":
        closing = house.environment.spawn(house.admin.disable_user("romeo"))
    else:
        closing = house.environment.spawn(house.admin.delete_user("romeo"))
    await house.queued(2)
    house.disk.release()
    expect(session.Accepted, await back.answer(login.request))
    code = ErrorCode.DEVICE_REVOKED if command == "revoke" else ErrorCode.ACCOUNT_CLOSED
    assert (await back.is_sent_away()).code == code
    assert (await romeo.is_sent_away()).code == ErrorCode.SESSION_REPLACED
    await closing


async def test_newest_session_of_a_device_wins(house: House) -> None:
    first = await house.arrives("romeo")
    second = await house.returns(first)
    goaway = await first.is_sent_away()
    assert (goaway.code, goaway.reconnect_after_ms) == (ErrorCode.SESSION_REPLACED, 0)
    await second.ping()
    phone = await house.enrols(second)  # another device replaces nobody
    await second.ping()
    await phone.ping()
    await house.empties(2)
    assert len(house.hub.registry) == 2


async def test_fenced_session_stores_what_it_had_sent_and_hears_no_more(house: House) -> None:
    first = await house.arrives("romeo")
    juliet = await house.arrives("juliet")
    await house.core.idle()
    house.disk.hold()
    first.sends("juliet", "from the old session")
    await first.ping()
    second = await knocks(house, first)
    login = house.login(second)
    second.tell(login)
    await house.queued(1)
    house.disk.release()
    expect(session.Accepted, await second.answer(login.request))
    await first.is_sent_away()
    await juliet.receives("from the old session", seq=1)
    assert (await second.syncs()).heads[0].last_n == 1


async def test_login_is_delayed_after_failures_and_says_for_how_long(house: House) -> None:
    romeo = await house.arrives("romeo")

    async def tries(**changes: object) -> session.Error:
        actor = await knocks(house, romeo)
        login = house.login(actor)
        for name, value in changes.items():
            setattr(login, name, value)
        error = expect(session.Error, await actor.asks(login))
        await actor.ends()
        return error

    for _ in range(FREE_FAILURES + 1):
        assert (await tries(signature=bytes(64))).code == ErrorCode.AUTHENTICATION_FAILED
    error = await tries(signature=bytes(64))
    assert (error.code, error.retryable) == (ErrorCode.LOGIN_DELAYED, True)
    assert error.retry_after_ms == MIN_DELAY_MS
    assert (await tries(user="nobody")).code == ErrorCode.LOGIN_DELAYED  # the address as well
    await house.environment.advance(MIN_DELAY_MS)
    await house.returns(romeo)


async def test_requests_over_the_rate_are_refused_each_with_its_answer(folder: Path) -> None:
    limits = Limits(requests_burst=5, requests_per_second=2)
    async with open_house(folder, limits=limits) as house:
        romeo = await house.arrives("romeo")  # whose SYNC took one
        await house.environment.advance(500)
        messages = [
            account.ListDevices(romeo.request()),
            account.RenameDevice(romeo.request(), 1, "a"),
            account.GetProfile(romeo.request(), "romeo"),
            account.SetDisplayName(romeo.request(), "R"),
            account.CreateInvite(romeo.request(), 1, 60_000),
        ]
        for message in messages:
            assert not isinstance(await romeo.asks(message), session.Error)
        cid = direct_id("romeo", "juliet")
        over = [
            account.ListDevices(romeo.request()),
            account.RenameDevice(romeo.request(), 1, "b"),
            account.RevokeDevice(romeo.request(), 1),
            account.GetProfile(romeo.request(), "romeo"),
            account.SetDisplayName(romeo.request(), "S"),
            account.CreateInvite(romeo.request(), 1, 60_000),
            account.Prove(romeo.request(), b"x"),
            account.ChangePassword(romeo.request(), b"x", bytes(16), bytes(32), bytes(32)),
            account.DeleteAccount(romeo.request(), b"x"),
            messaging.Sync(romeo.request(), 0, 0),
            messaging.History(romeo.request(), cid, 0, 0, 1, 1),
            messaging.Read(romeo.request(), cid, 0, True),
        ]
        for message in over:
            error = expect(session.Error, await romeo.asks(message))
            assert (error.code, error.retry_after_ms) == (ErrorCode.RATE_LIMITED, 500)
        await house.environment.advance(500)
        expect(account.DeviceList, await romeo.asks(account.ListDevices(romeo.request())))


async def test_client_that_says_bye_is_closed(house: House) -> None:
    romeo = await house.arrives("romeo")
    romeo.tell(session.Bye())
    await romeo.ends()
    await house.empties()
    assert len(house.hub.registry) == 0


@pytest.mark.parametrize("step", ["read", "commit", "scram"])
async def test_login_that_outlasts_its_deadline_gets_no_session(house: House, step: str) -> None:
    romeo = await house.arrives("romeo")
    await house.core.idle()
    back = await knocks(house, romeo)
    if step == "commit":
        house.disk.hold()
        romeo.sends("nobody", "keeps the writer busy")
        await romeo.ping()
    else:
        house.disk.hold_reads()
    done = house.disk.reads_done
    if step == "scram":
        first = scram_client(back).get_client_first().encode()
        back.tell(session.ScramFirst(back.request(), first))
    else:
        back.tell(house.login(back))
    await house.until(lambda: house.disk.reads_done > done)
    if step == "commit":
        await house.queued(1)
    await house.environment.advance(house.core.config.limits.login_ms + 2 * TICK_MS)
    await back.is_cut(ErrorCode.DEADLINE_EXCEEDED)
    house.disk.release_all()
    await house.empties(1)
    await romeo.ping()  # nobody has replaced him
    assert house.session(romeo).peer in house.hub.peers
