"""Accounts, invites, devices and logins: what the writer accepts and refuses."""

from dataclasses import replace

import pytest

from storage.commands import (
    Done,
    Enrol,
    Enrolled,
    LoggedIn,
    Login,
    Refusal,
    Refused,
    RenameDevice,
    ReplaceVerifier,
    Revoked,
    RevokeDevice,
    SetDisplayName,
    SetUserState,
    Touch,
)
from storage.types import UserInfo, UserState
from tests.storage.helpers import (
    START_MS,
    Store,
    can_act,
    enrolment,
    new_token,
    registration,
    verifier,
)


def user(store: Store, name: str) -> UserInfo:
    (found,) = [info for info in store.reader.users() if info.name == name]
    return found


def enrolled(result: object) -> Enrolled:
    assert isinstance(result, Enrolled), result
    return result


def test_stranger_registers_when_registration_is_open(store: Store) -> None:
    device = enrolled(store.do(registration("romeo"))).device
    assert (device.user.name, device.number, device.usable) == ("romeo", 1, True)
    assert user(store, "romeo") == UserInfo(
        "romeo", "Romeo", UserState.ACTIVE, None, START_MS, 1, None
    )
    assert store.reader.verifier("romeo") == verifier("secret")
    assert store.reader.login_key("romeo", 1) == enrolment().login_key


def test_stranger_needs_a_token_when_registration_is_not_open(store: Store) -> None:
    assert store.refused(registration("romeo", is_open=False)) is Refusal.REGISTRATION_CLOSED
    for is_open in (False, True):
        command = registration("romeo", invite="made up", is_open=is_open)
        assert store.refused(command) is Refusal.INVITE_INVALID
    assert store.reader.users() == []


def test_name_is_given_once_when_two_ask_in_one_batch(store: Store) -> None:
    first, second = store.batch(registration("romeo"), registration("romeo"))
    enrolled(first)
    assert second == Refused(Refusal.NAME_UNAVAILABLE)
    assert len(store.reader.users()) == 1


def test_invite_lets_in_as_many_as_it_says_when_used_in_one_batch(store: Store) -> None:
    store.register("friar")
    store.do(new_token("invite", "friar", uses=2))
    results = store.batch(
        *[registration(name, invite="invite", is_open=False) for name in ("romeo", "juliet", "x")]
    )
    enrolled(results[0])
    enrolled(results[1])
    assert results[2] == Refused(Refusal.INVITE_INVALID)
    assert user(store, "romeo").invited_by == "friar"


def test_invite_is_not_used_up_when_registration_is_refused(store: Store) -> None:
    store.register("romeo")
    store.do(new_token("invite"))
    taken = registration("romeo", invite="invite", is_open=False)
    assert store.refused(taken) is Refusal.NAME_UNAVAILABLE
    enrolled(store.do(registration("juliet", invite="invite", is_open=False)))
    assert user(store, "juliet").invited_by is None


def test_invite_is_good_until_it_expires(store: Store) -> None:
    store.do(new_token("invite", uses=2, expires_ms=START_MS + 1_000))
    store.clock.ms += 999
    enrolled(store.do(registration("romeo", invite="invite", is_open=False)))
    store.clock.ms += 1
    late = registration("juliet", invite="invite", is_open=False)
    assert store.refused(late) is Refusal.INVITE_INVALID


def test_invite_lets_nobody_in_while_its_maker_is_disabled(store: Store) -> None:
    store.register("tybalt")
    store.do(new_token("invite", "tybalt"))
    store.do(SetUserState("tybalt", UserState.DISABLED))
    command = registration("friend", invite="invite", is_open=False)
    assert store.refused(command) is Refusal.INVITE_INVALID
    store.do(SetUserState("tybalt", UserState.ACTIVE))
    enrolled(store.do(command))


def test_invites_go_with_the_account_when_it_is_deleted(store: Store) -> None:
    store.register("tybalt")
    store.do(new_token("invite", "tybalt"))
    store.do(SetUserState("tybalt", UserState.DELETED))
    command = registration("friend", invite="invite", is_open=False)
    assert store.refused(command) is Refusal.INVITE_INVALID


def test_user_has_as_many_open_invites_as_allowed(store: Store) -> None:
    store.register("friar")
    for i in range(3):
        command = new_token(f"t{i}", "friar", max_open=3, expires_ms=START_MS + 10)
        assert store.do(command) == Done()
    assert store.refused(new_token("t3", "friar", max_open=3)) is Refusal.QUOTA_EXCEEDED
    store.clock.ms += 10  # expired ones do not count, and leave
    assert store.do(new_token("t3", "friar", max_open=3)) == Done()


def test_nobody_invites_when_unknown_or_disabled(store: Store) -> None:
    assert store.refused(new_token("t", "nobody")) is Refusal.NOT_FOUND
    store.register("tybalt")
    store.do(SetUserState("tybalt", UserState.DISABLED))
    assert store.refused(new_token("t", "tybalt")) is Refusal.NOT_FOUND


def test_server_takes_as_many_users_as_allowed(store: Store) -> None:
    enrolled(store.do(registration("one", max_users=2)))
    enrolled(store.do(registration("two", max_users=2)))
    assert store.refused(registration("three", max_users=2)) is Refusal.REGISTRATION_CLOSED


def test_reset_token_sets_a_new_password_once_for_its_user_only(store: Store) -> None:
    store.register("romeo")
    store.register("tybalt")
    store.do(new_token("reset", "romeo", reset=True))
    other = registration("tybalt", invite="reset", secret="mine now")
    assert store.refused(other) is Refusal.INVITE_INVALID
    command = registration("romeo", invite="reset", is_open=False, secret="new")
    device = enrolled(store.do(command)).device
    assert device.number == 2
    assert store.reader.verifier("romeo") == verifier("new")
    assert store.refused(command) is Refusal.INVITE_INVALID


def test_reset_token_makes_no_account_when_name_is_free(store: Store) -> None:
    store.register("romeo")
    store.do(new_token("reset", "romeo", reset=True))
    command = registration("stranger", invite="reset")
    assert store.refused(command) is Refusal.INVITE_INVALID
    assert len(store.reader.users()) == 1


def test_account_has_as_many_devices_as_allowed_not_counting_revoked(store: Store) -> None:
    store.register("romeo")
    command = Enrol("romeo", verifier("secret"), enrolment("laptop"), 2)
    assert enrolled(store.do(command)).device.number == 2
    assert store.refused(command) is Refusal.TOO_MANY_DEVICES
    store.do(RevokeDevice("romeo", 2))
    assert enrolled(store.do(command)).device.number == 3  # a number is never given again
    assert store.refused(command) is Refusal.TOO_MANY_DEVICES


def test_reset_token_stays_good_when_account_has_too_many_devices(store: Store) -> None:
    store.register("romeo")
    store.do(new_token("reset", "romeo", reset=True))
    command = registration("romeo", invite="reset", secret="new", max_devices=1)
    assert store.refused(command) is Refusal.TOO_MANY_DEVICES
    assert store.reader.verifier("romeo") == verifier("secret")
    enrolled(store.do(replace(command, max_devices=2)))


def test_enrolment_loses_when_password_changed_meanwhile(store: Store) -> None:
    store.register("romeo")
    proven = store.reader.verifier("romeo")
    assert proven is not None
    changed, late = store.batch(
        ReplaceVerifier("romeo", proven, verifier("new")),
        Enrol("romeo", proven, enrolment(), 16),
    )
    assert changed == Done()
    assert late == Refused(Refusal.DEVICE_UNUSABLE)


def test_one_password_change_wins_when_two_prove_the_old(store: Store) -> None:
    store.register("romeo")
    old = verifier("secret")
    first, second = store.batch(
        ReplaceVerifier("romeo", old, verifier("a")), ReplaceVerifier("romeo", old, verifier("b"))
    )
    assert (first, second) == (Done(), Refused(Refusal.DEVICE_UNUSABLE))
    assert store.reader.verifier("romeo") == verifier("a")


def test_login_counter_only_rises(store: Store) -> None:
    device = store.register("romeo")
    assert store.do(Login("romeo", 1, 5)) == LoggedIn(device)
    for counter in (5, 4, 0):
        assert store.refused(Login("romeo", 1, counter)) is Refusal.CREDENTIAL_ROLLED_BACK
    results = store.batch(Login("romeo", 1, 7), Login("romeo", 1, 7), Login("romeo", 1, 6))
    assert results[1:] == [Refused(Refusal.CREDENTIAL_ROLLED_BACK)] * 2
    store.reopen()
    assert store.refused(Login("romeo", 1, 7)) is Refusal.CREDENTIAL_ROLLED_BACK
    assert isinstance(store.do(Login("romeo", 1, 2**53 - 1)), LoggedIn)


def test_login_is_refused_alike_when_device_is_unknown_or_unusable(store: Store) -> None:
    store.register("romeo")
    store.do(RevokeDevice("romeo", 1))
    store.register("tybalt")
    store.do(SetUserState("tybalt", UserState.DISABLED))
    for name, number in (("romeo", 1), ("romeo", 2), ("tybalt", 1), ("nobody", 1)):
        assert store.refused(Login(name, number, 1)) is Refusal.DEVICE_UNUSABLE


def test_revoked_device_is_out_for_good_and_stays_listed_for_the_admin(store: Store) -> None:
    phone = store.register("romeo")
    store.enrol("romeo")
    assert store.do(RevokeDevice("romeo", 1)) == Revoked([phone.id])
    assert not can_act(phone)
    for command in (RevokeDevice("romeo", 1), RenameDevice("romeo", 1, "x")):
        assert store.refused(command) is Refusal.NOT_FOUND
    assert store.reader.login_key("romeo", 1) is None
    assert [d.number for d in store.reader.devices("romeo") or []] == [2]
    listed = store.reader.devices("romeo", revoked=True)
    assert [(d.number, d.revoked) for d in listed or []] == [(1, True), (2, False)]


def test_device_is_renamed_and_seen(store: Store) -> None:
    device = store.register("romeo")
    assert store.do(RenameDevice("romeo", 1, "old phone")) == Done()
    store.clock.ms += 10
    store.do(Touch(device))
    store.clock.ms -= 50
    store.do(Touch(device))  # never back
    (info,) = store.reader.devices("romeo") or []
    assert (info.name, info.last_seen_ms) == ("old phone", START_MS + 10)


def test_disabled_account_is_shut_until_enabled(store: Store) -> None:
    device = store.register("romeo")
    assert store.do(SetUserState("romeo", UserState.DISABLED)) == Revoked([device.id])
    assert not can_act(device)
    assert store.reader.verifier("romeo") is None
    assert store.reader.login_key("romeo", 1) is None
    assert store.reader.display_name("romeo") is None
    refused = Enrol("romeo", verifier("secret"), enrolment(), 16)
    assert store.refused(refused) is Refusal.DEVICE_UNUSABLE
    assert store.refused(SetDisplayName("romeo", "R")) is Refusal.NOT_FOUND
    assert store.do(SetUserState("romeo", UserState.ACTIVE)) == Revoked([])
    assert can_act(device)
    assert isinstance(store.do(Login("romeo", 1, 1)), LoggedIn)


def test_deleted_account_keeps_its_name_and_cannot_come_back(store: Store) -> None:
    device = store.register("romeo")
    store.do(Login("romeo", 1, 1))
    assert store.do(SetDisplayName("romeo", "Romeo Montague")) == Done()
    assert store.do(SetUserState("romeo", UserState.DELETED)) == Revoked([device.id])
    store.do(Touch(device))  # its session ends a moment later
    assert user(store, "romeo") == UserInfo("romeo", "", UserState.DELETED, None, START_MS, 0, None)
    assert not can_act(device)
    (info,) = store.reader.devices("romeo", revoked=True) or []
    assert (info.name, info.revoked, info.last_seen_ms) == ("", True, None)
    assert store.refused(registration("romeo")) is Refusal.NAME_UNAVAILABLE
    for state in UserState:
        assert store.refused(SetUserState("romeo", state)) is Refusal.NOT_FOUND


@pytest.mark.parametrize(
    "command",
    [
        RenameDevice("nobody", 1, "x"),
        RevokeDevice("nobody", 1),
        SetDisplayName("nobody", "x"),
        SetUserState("nobody", UserState.DISABLED),
    ],
    ids=lambda command: type(command).__name__,
)
def test_commands_about_nobody_are_refused(
    store: Store,
    command: RenameDevice | RevokeDevice | SetDisplayName | SetUserState,
) -> None:
    assert store.refused(command) is Refusal.NOT_FOUND


def test_readers_answer_none_about_nobody(store: Store) -> None:
    reader = store.reader
    assert reader.verifier("nobody") is None
    assert reader.login_key("nobody", 1) is None
    assert reader.display_name("nobody") is None
    assert reader.devices("nobody") is None
