"""What a logged-in user does to the own account: password, deletion, profile, invites."""

from pathlib import Path

import pytest

from chatd.ratelimit import FREE_FAILURES, MIN_DELAY_MS
from chatd.services.accounts import MOST_OPEN_INVITES
from chatd.settings import Accounts
from protocol.errors import ErrorCode
from protocol.messages import account, session
from tests.chatd.actor import Actor, expect, refused
from tests.chatd.house import (
    House,
    changes_password,
    open_house,
    proves,
    registration,
    scram_client,
    scram_login,
    verifier,
)

pytestmark = pytest.mark.asyncio


async def enrolment(house: House, user: str, secret: str) -> session.Accepted | session.Error:
    actor = await house.stranger(user)
    actor.me.secret = secret
    actor.hello()
    return await scram_login(actor)


async def display_name(actor: Actor, user: str) -> str:
    answer = await actor.asks(account.GetProfile(actor.request(), user))
    return expect(account.Profile, answer).display_name


# Password.


async def test_password_is_changed_with_a_proof_of_the_old_one(house: House) -> None:
    romeo = await house.arrives("romeo")
    old = romeo.me.secret
    expect(account.Proved, await changes_password(romeo, "a new one"))
    expect(session.Accepted, await enrolment(house, "romeo", "a new one"))
    assert refused(await enrolment(house, "romeo", old)) is ErrorCode.AUTHENTICATION_FAILED


async def test_password_stays_when_the_proof_is_wrong(house: House) -> None:
    romeo = await house.arrives("romeo")
    answer = await changes_password(romeo, "a new one", secret="wrong")
    assert refused(answer) is ErrorCode.AUTHENTICATION_FAILED
    await romeo.ping()  # the connection stays
    expect(session.Accepted, await enrolment(house, "romeo", romeo.me.secret))


async def test_proof_is_good_for_one_change(house: House) -> None:
    romeo = await house.arrives("romeo")
    client = await proves(romeo)
    final = client.get_client_final().encode()
    change = account.ChangePassword(romeo.request(), final, *verifier("second"))
    expect(account.Proved, await romeo.asks(change))
    again = account.ChangePassword(romeo.request(), final, *verifier("third"))
    assert refused(await romeo.asks(again)) is ErrorCode.AUTHENTICATION_FAILED


async def test_change_without_a_proof_is_refused(house: House) -> None:
    romeo = await house.arrives("romeo")
    change = account.ChangePassword(romeo.request(), b"c=biws,r=a,p=AA", *verifier("x"))
    assert refused(await romeo.asks(change)) is ErrorCode.AUTHENTICATION_FAILED
    delete = account.DeleteAccount(romeo.request(), b"c=biws,r=a,p=AA")
    assert refused(await romeo.asks(delete)) is ErrorCode.AUTHENTICATION_FAILED


async def test_own_password_proves_nothing_about_another_account(house: House) -> None:
    romeo, juliet = await house.arrives("romeo"), await house.arrives("juliet")
    stolen = scram_client(juliet)  # romeo's connection, juliet's name and password
    prove = account.Prove(romeo.request(), stolen.get_client_first().encode())
    assert refused(await romeo.asks(prove)) is ErrorCode.AUTHENTICATION_FAILED
    broken = account.Prove(romeo.request(), b"x")
    assert refused(await romeo.asks(broken)) is ErrorCode.AUTHENTICATION_FAILED


async def test_two_changes_from_one_password_do_not_both_win(house: House) -> None:
    romeo = await house.arrives("romeo")
    phone = await house.enrols(romeo)
    first, second = await proves(romeo), await proves(phone)
    won = account.ChangePassword(
        romeo.request(), first.get_client_final().encode(), *verifier("first")
    )
    lost = account.ChangePassword(
        phone.request(), second.get_client_final().encode(), *verifier("second")
    )
    expect(account.Proved, await romeo.asks(won))
    assert refused(await phone.asks(lost)) is ErrorCode.AUTHENTICATION_FAILED
    expect(session.Accepted, await enrolment(house, "romeo", "first"))


async def test_guesses_at_the_password_from_within_are_delayed(house: House) -> None:
    """A thief of an unlocked device does not get to try all passwords."""
    romeo = await house.arrives("romeo")
    for _ in range(FREE_FAILURES):
        answer = await changes_password(romeo, "x", secret="wrong")
        assert refused(answer) is ErrorCode.AUTHENTICATION_FAILED
    begun = await proves(romeo)
    phone = await house.enrols(romeo)
    answer = await changes_password(phone, "x", secret="wrong")
    assert refused(answer) is ErrorCode.AUTHENTICATION_FAILED
    final = begun.get_client_final().encode()
    change = account.ChangePassword(romeo.request(), final, *verifier("x"))
    error = expect(session.Error, await romeo.asks(change))
    assert (error.code, error.retry_after_ms) == (ErrorCode.LOGIN_DELAYED, MIN_DELAY_MS)
    first = scram_client(romeo).get_client_first().encode()
    prove = account.Prove(romeo.request(), first)
    assert refused(await romeo.asks(prove)) is ErrorCode.LOGIN_DELAYED
    await house.environment.advance(MIN_DELAY_MS)
    expect(account.Proved, await changes_password(romeo, "x"))


# Deletion.


async def test_deleted_account_is_gone_for_good(house: House) -> None:
    romeo, juliet = await house.arrives("romeo"), await house.arrives("juliet")
    phone = await house.enrols(romeo)
    await romeo.says("juliet", "farewell")
    client = await proves(romeo)
    final = client.get_client_final().encode()
    answer = await romeo.asks(account.DeleteAccount(romeo.request(), final))
    client.set_server_final(expect(account.Proved, answer).scram.decode())
    for device in (romeo, phone):
        assert (await device.is_sent_away()).code == ErrorCode.ACCOUNT_CLOSED
    code = refused(await enrolment(house, "romeo", romeo.me.secret))
    assert code is ErrorCode.AUTHENTICATION_FAILED
    assert refused(await juliet.answer(juliet.sends("romeo", "?"))) is ErrorCode.NOT_FOUND
    profile = account.GetProfile(juliet.request(), "romeo")
    assert refused(await juliet.asks(profile)) is ErrorCode.NOT_FOUND
    assert [entry.user for entry in await juliet.log_of("romeo")] == ["romeo"]


async def test_requests_queued_behind_a_deletion_change_nothing(
    house: House, caplog: pytest.LogCaptureFixture
) -> None:
    romeo, juliet = await house.arrives("romeo"), await house.arrives("juliet")
    client = await proves(romeo)
    await house.core.idle()
    house.disk.hold()
    juliet.sends("romeo", "keeps the writer busy")
    await juliet.ping()
    deleting = house.environment.spawn(house.admin.delete_user("romeo"))
    await house.queued(1)
    final = client.get_client_final().encode()
    delete = account.DeleteAccount(romeo.request(), final)
    name = account.SetDisplayName(romeo.request(), "Romeo")
    invite = account.CreateInvite(romeo.request(), 1, 60_000)
    revoke = account.RevokeDevice(romeo.request(), 1)
    romeo.tell(delete, name, invite, revoke)
    await house.queued(5)
    house.disk.release()
    assert (await romeo.is_sent_away()).code == ErrorCode.ACCOUNT_CLOSED
    await deleting
    assert next(iter(await house.admin.list_users())).display_name == ""
    assert [record for record in caplog.records if record.levelname == "ERROR"] == []


# Profile.


async def test_display_name_is_changed_and_looked_up(house: House) -> None:
    romeo, juliet = await house.arrives("romeo"), await house.arrives("juliet")
    assert await display_name(juliet, "romeo") == "romeo"
    expect(session.Ok, await romeo.asks(account.SetDisplayName(romeo.request(), "Romeo Montague")))
    assert await display_name(juliet, "romeo") == "Romeo Montague"
    for absent in ("tybalt", "Romeo", "rome"):
        profile = account.GetProfile(juliet.request(), absent)
        assert refused(await juliet.asks(profile)) is ErrorCode.NOT_FOUND


@pytest.mark.parametrize("name", ["\x1b]0;owned\x07", " Romeo", "oemoR\u202e"])
async def test_display_name_that_cannot_be_shown_is_refused(house: House, name: str) -> None:
    romeo = await house.arrives("romeo")
    message = account.SetDisplayName(romeo.request(), name)
    assert refused(await romeo.asks(message)) is ErrorCode.NAME_INVALID


# Invites.


async def test_user_invites_a_friend_and_is_remembered(house: House) -> None:
    romeo = await house.arrives("romeo")
    answer = await romeo.asks(account.CreateInvite(romeo.request(), 1, 60_000))
    invite = expect(account.Invite, answer)
    assert (invite.uses, invite.expires_ms) == (1, house.environment.now_ms() + 60_000)
    juliet = await house.stranger("juliet")
    juliet.hello()
    expect(session.Accepted, await juliet.asks(registration(juliet, invite.token)))
    users = await house.admin.list_users()
    assert [(user.name, user.invited_by) for user in users] == [
        ("romeo", None),
        ("juliet", "romeo"),
    ]


async def test_user_has_so_many_open_invites_and_no_more(house: House) -> None:
    romeo = await house.arrives("romeo")
    for _ in range(MOST_OPEN_INVITES):
        expect(account.Invite, await romeo.asks(account.CreateInvite(romeo.request(), 1, 60_000)))
    over = account.CreateInvite(romeo.request(), 1, 60_000)
    assert refused(await romeo.asks(over)) is ErrorCode.QUOTA_EXCEEDED
    await house.environment.advance(60_000)  # they have expired
    again = account.CreateInvite(romeo.request(), 1, 60_000)
    expect(account.Invite, await romeo.asks(again))


async def test_users_do_not_invite_where_that_is_not_wanted(folder: Path) -> None:
    async with open_house(folder, accounts=Accounts(user_invites=False)) as house:
        romeo = await house.arrives("romeo")  # the administrator always may
        invite = account.CreateInvite(romeo.request(), 1, 60_000)
        assert refused(await romeo.asks(invite)) is ErrorCode.NOT_ALLOWED
