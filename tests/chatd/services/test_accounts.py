"""Registration, enrolment by password, and what a user does to the own account."""

from pathlib import Path

import pytest

from chatd.ratelimit import FREE_FAILURES, MIN_DELAY_MS
from chatd.settings import Accounts
from protocol import limits
from protocol.errors import ErrorCode
from protocol.messages import account, session
from tests.chatd.actor import expect, refused
from tests.chatd.house import (
    House,
    changes_password,
    open_house,
    registration,
    scram_client,
    scram_final,
    scram_login,
)

pytestmark = pytest.mark.asyncio


async def registers(
    house: House, user: str, token: bytes | None, *, device_name: str = "laptop"
) -> session.Accepted | ErrorCode:
    """Try to register; an actor that is refused is also disconnected."""
    actor = await house.stranger(user)
    actor.hello()
    answer = await actor.asks(registration(actor, token, device_name=device_name))
    if isinstance(answer, session.Accepted):
        return answer
    await actor.ends()
    return refused(answer)


async def tries_password(house: House, user: str, secret: str = "wrong") -> session.Error:
    actor = await house.stranger(user)
    actor.me.secret = secret
    actor.hello()
    error = expect(session.Error, await scram_login(actor))
    await actor.ends()
    return error


# Registration.


async def test_guest_registers_with_an_invite_once(house: House) -> None:
    token = await house.invite(uses=2)
    first = await registers(house, "romeo", token)
    assert first == session.Accepted(1, "romeo", 1, None)
    assert isinstance(await registers(house, "juliet", token), session.Accepted)
    assert await registers(house, "tybalt", token) is ErrorCode.INVITE_INVALID


async def test_guest_without_a_valid_invite_is_refused(house: House) -> None:
    expired = await house.invite(expires_ms=1_000)
    await house.environment.advance(1_000)
    for token in (None, bytes(16), expired):
        assert await registers(house, "romeo", token) is ErrorCode.INVITE_INVALID


async def test_invite_is_not_used_up_by_a_name_that_is_taken(house: House) -> None:
    await house.arrives("romeo")
    token = await house.invite()
    assert await registers(house, "romeo", token) is ErrorCode.NAME_UNAVAILABLE
    assert isinstance(await registers(house, "juliet", token), session.Accepted)


async def test_name_of_a_deleted_account_stays_taken(house: House) -> None:
    await house.arrives("romeo")
    await house.admin.delete_user("romeo")
    token = await house.invite()
    assert await registers(house, "romeo", token) is ErrorCode.NAME_UNAVAILABLE


@pytest.mark.parametrize(
    "name", ["Romeo", "ro meo", "romeo\u200b", "ＲＯＭＥＯ", "a\u0308", "\u202eoemor"]
)
async def test_user_name_must_be_prepared(house: House, name: str) -> None:
    token = await house.invite()
    assert await registers(house, name, token) is ErrorCode.NAME_INVALID
    assert isinstance(await registers(house, "rómeö", token), session.Accepted)


async def test_device_name_must_be_fit_to_show(house: House) -> None:
    token = await house.invite()
    refusal = await registers(house, "romeo", token, device_name="\x1b[2J")
    assert refusal is ErrorCode.NAME_INVALID


async def test_anybody_registers_when_registration_is_open(folder: Path) -> None:
    async with open_house(folder, accounts=Accounts(registration="open", max_users=2)) as house:
        assert isinstance(await registers(house, "romeo", None), session.Accepted)
        assert isinstance(await registers(house, "juliet", None), session.Accepted)
        assert await registers(house, "tybalt", None) is ErrorCode.REGISTRATION_CLOSED


async def test_nobody_registers_when_registration_is_closed(folder: Path) -> None:
    async with open_house(folder, accounts=Accounts(registration="invite")) as house:
        token = await house.invite()
        romeo = await house.arrives("romeo")
    async with open_house(folder, accounts=Accounts(registration="closed")) as house:
        assert await registers(house, "tybalt", None) is ErrorCode.REGISTRATION_CLOSED
        assert await registers(house, "tybalt", token) is ErrorCode.REGISTRATION_CLOSED
        romeo = await house.returns(romeo)
        invite = account.CreateInvite(romeo.request(), 1, 60_000)
        assert refused(await romeo.asks(invite)) is ErrorCode.NOT_ALLOWED
        # Who has an account may be given a new password all the same.
        reset = await registers(house, "romeo", await house.reset("romeo"))
        assert isinstance(reset, session.Accepted)


async def test_reset_token_sets_a_new_password_and_enrols(house: House) -> None:
    romeo = await house.arrives("romeo")
    await house.arrives("juliet")
    token = await house.reset("romeo")
    assert await registers(house, "juliet", token) is ErrorCode.INVITE_INVALID
    forgetful = await house.stranger("romeo")
    forgetful.me.secret = "a new one"
    forgetful.hello()
    answer = await forgetful.asks(registration(forgetful, token))
    assert expect(session.Accepted, answer).device == 2
    assert await registers(house, "romeo", token) is ErrorCode.INVITE_INVALID
    assert (await tries_password(house, "romeo", romeo.me.secret)).code == 10
    await house.enrols(romeo, secret="a new one")
    await romeo.ping()  # the devices that were there stay


async def test_guessing_tokens_is_delayed_like_guessing_passwords(house: House) -> None:
    for _ in range(FREE_FAILURES + 1):
        assert await registers(house, "romeo", bytes(16)) is ErrorCode.INVITE_INVALID
    assert await registers(house, "romeo", bytes(16)) is ErrorCode.LOGIN_DELAYED


# Enrolment by password.


async def test_new_device_enrols_by_password_and_both_sides_are_proven(house: House) -> None:
    romeo = await house.arrives("romeo")
    phone = await house.enrols(romeo)  # checks the server's signature
    assert phone.me.device == 2
    phone = await house.returns(phone)
    await phone.ping()


async def test_wrong_password_and_unknown_user_look_the_same(house: House) -> None:
    """threats.md class 12: the same steps, codes and sizes; the same salt at each try."""
    await house.arrives("romeo")
    await house.arrives("mercutio")
    await house.admin.disable_user("mercutio")
    seen = []
    for user in ("romeo", "nobody", "mercutio", "nobody"):
        actor = await house.stranger(user)
        actor.me.secret = "wrong"
        actor.hello()
        client = scram_client(actor)
        first = session.ScramFirst(actor.request(), client.get_client_first().encode())
        challenge = expect(session.ScramChallenge, await actor.asks(first)).message.decode()
        client.set_server_first(challenge)
        error = await actor.asks(scram_final(actor, client.get_client_final()))
        await actor.ends()
        seen.append((len(challenge), challenge.split(",")[1:], error))
        await house.environment.advance(15 * 60_000)
    sizes, challenges, errors = zip(*seen, strict=True)
    assert len(set(sizes)) == 1
    assert all(error == errors[0] for error in errors)
    assert errors[0].code == ErrorCode.AUTHENTICATION_FAILED
    assert challenges[1] == challenges[3]
    assert len({challenge[0] for challenge in challenges}) == 3
    assert {challenge[1] for challenge in challenges} == {f"i={limits.SCRAM_ITERATIONS}"}


async def test_right_password_does_not_open_a_disabled_account(house: House) -> None:
    romeo = await house.arrives("romeo")
    await house.admin.disable_user("romeo")
    assert (await tries_password(house, "romeo", romeo.me.secret)).code == 10
    await house.admin.enable_user("romeo")
    await house.enrols(romeo)


@pytest.mark.parametrize("command", ["disable", "delete", "password"])
async def test_account_that_changes_between_the_steps_does_not_let_in(
    house: House, command: str
) -> None:
    """threats.md class 20."""
    romeo = await house.arrives("romeo")
    phone = await house.stranger("romeo")
    phone.me.secret = romeo.me.secret
    phone.hello()
    client = scram_client(phone)
    first = session.ScramFirst(phone.request(), client.get_client_first().encode())
    client.set_server_first(
        expect(session.ScramChallenge, await phone.asks(first)).message.decode()
    )
    if command == "disable":
        await house.admin.disable_user("romeo")
    elif command == "delete":
        await house.admin.delete_user("romeo")
    else:
        await changes_password(romeo, "a new one")
    answer = await phone.asks(scram_final(phone, client.get_client_final()))
    assert refused(answer) is ErrorCode.AUTHENTICATION_FAILED
    await phone.ends()


async def test_scram_without_channel_binding_is_refused_over_tls(house: House) -> None:
    romeo = await house.arrives("romeo")
    for flag in (b"n", b"y"):
        actor = await house.stranger("romeo")
        actor.hello()
        client = scram_client(romeo, plus=False)
        first = flag + client.get_client_first().encode()[1:]
        answer = await actor.asks(session.ScramFirst(actor.request(), first))
        assert refused(answer) is ErrorCode.AUTHENTICATION_FAILED
        await actor.ends()


async def test_scram_for_another_certificate_is_refused(house: House) -> None:
    romeo = await house.arrives("romeo")
    phone = await house.stranger("romeo")
    phone.me.secret = romeo.me.secret
    phone.hello()
    error = await scram_login(phone, scram_client(phone, binding=bytes(range(32))))
    assert refused(error) is ErrorCode.AUTHENTICATION_FAILED


async def test_plain_scram_works_where_there_is_no_tls(folder: Path) -> None:
    async with open_house(folder, plaintext=True) as house:
        romeo = await house.arrives("romeo")
        phone = await house.enrols(romeo)
        await house.returns(phone)
        actor = await house.stranger("romeo")
        actor.hello()
        first = session.ScramFirst(actor.request(), b"p=tls-server-end-point,,n=romeo,r=abc")
        assert refused(await actor.asks(first)) is ErrorCode.AUTHENTICATION_FAILED


@pytest.mark.parametrize(
    "first",
    [
        b"\xff",
        b"x",
        b"p=tls-server-end-point,,",
        b"p=tls-server-end-point,,n=romeo",
        b"p=tls-unique,,n=romeo,r=abc",
        b"p=tls-server-end-point,,m=ext,n=romeo,r=abc",
        b"p=tls-server-end-point,a=juliet,n=romeo,r=abc",
        b"p=tls-server-end-point,,n=romeo,r=" + b"x" * 470,
        b"p=tls-server-end-point,,n=,r=abc",
    ],
)
async def test_broken_first_message_fails_like_a_wrong_password(
    house: House, first: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    actor = await house.stranger("romeo")
    actor.hello()
    answer = await actor.asks(session.ScramFirst(actor.request(), first))
    if isinstance(answer, session.ScramChallenge):
        answer = await actor.asks(scram_final(actor, "c=biws,r=abc,p=AAAA"))
    assert refused(answer) is ErrorCode.AUTHENTICATION_FAILED
    await actor.ends()
    assert [record for record in caplog.records if record.levelname == "ERROR"] == []


@pytest.mark.parametrize(
    "final", [b"\xff", b"x", b"c=biws", b"c=!,r=abc,p=!", b"c=biws,r=abc,p=AAAA", b"c=biws,r=,p="]
)
async def test_broken_final_message_fails_like_a_wrong_password(
    house: House, final: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    await house.arrives("romeo")
    actor = await house.stranger("romeo")
    actor.hello()
    first = scram_client(actor).get_client_first().encode()
    expect(session.ScramChallenge, await actor.asks(session.ScramFirst(actor.request(), first)))
    message = scram_final(actor, "x")
    message.message = final  # type: ignore[misc]  # messages are frozen to the type checker
    assert refused(await actor.asks(message)) is ErrorCode.AUTHENTICATION_FAILED
    await actor.ends()
    assert [record for record in caplog.records if record.levelname == "ERROR"] == []


async def test_final_without_a_first_is_refused(house: House) -> None:
    actor = await house.stranger("romeo")
    actor.hello()
    answer = await actor.asks(scram_final(actor, "c=biws,r=abc,p=AAAA"))
    assert refused(answer) is ErrorCode.AUTHENTICATION_FAILED


async def test_enrolled_device_name_must_be_fit_to_show(house: House) -> None:
    romeo = await house.arrives("romeo")
    client = scram_client(romeo)
    phone = await house.stranger("romeo")
    phone.hello()
    first = session.ScramFirst(phone.request(), client.get_client_first().encode())
    expect(session.ScramChallenge, await phone.asks(first))
    answer = await phone.asks(scram_final(phone, "x", device_name="\x07"))
    assert refused(answer) is ErrorCode.NAME_INVALID


async def test_account_takes_so_many_devices_and_no_more(folder: Path) -> None:
    async with open_house(folder, accounts=Accounts(max_devices=2)) as house:
        romeo = await house.arrives("romeo")
        phone = await house.enrols(romeo)
        third = await house.stranger("romeo")
        third.me.secret = romeo.me.secret
        third.hello()
        assert refused(await scram_login(third)) is ErrorCode.TOO_MANY_DEVICES
        expect(session.Ok, await phone.asks(account.RevokeDevice(phone.request(), 1)))
        await house.enrols(phone)


async def test_guesses_made_at_once_are_delayed_like_those_made_in_turn(house: House) -> None:
    await house.arrives("romeo")
    thieves = []
    for guess in range(FREE_FAILURES + 4):
        thief = await house.stranger("romeo")
        thief.me.secret = f"guess {guess}"
        thief.hello()
        client = scram_client(thief)
        first = session.ScramFirst(thief.request(), client.get_client_first().encode())
        challenge = expect(session.ScramChallenge, await thief.asks(first))
        client.set_server_first(challenge.message.decode())
        thieves.append((thief, client))
    codes = [
        refused(await thief.asks(scram_final(thief, client.get_client_final())))
        for thief, client in thieves
    ]
    failed = FREE_FAILURES + 1
    assert codes[:failed] == [ErrorCode.AUTHENTICATION_FAILED] * failed
    assert codes[failed:] == [ErrorCode.LOGIN_DELAYED] * 3


async def test_delayed_enrolment_is_told_the_time_to_wait(house: House) -> None:
    romeo = await house.arrives("romeo")
    for _ in range(FREE_FAILURES + 1):
        assert (await tries_password(house, "nobody")).code == ErrorCode.AUTHENTICATION_FAILED
    error = await tries_password(house, "romeo", romeo.me.secret)
    assert (error.code, error.retry_after_ms) == (ErrorCode.LOGIN_DELAYED, MIN_DELAY_MS)
    await house.environment.advance(MIN_DELAY_MS)
    await house.enrols(romeo)
