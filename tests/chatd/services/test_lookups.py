"""Rows 12 and 13 of threats.md: who exists is told by the exact name alone, evenly, on a budget."""

import pytest

from chatd.hub import LOOKUPS_BURST
from protocol.errors import ErrorCode
from protocol.messages import account
from protocol.messages.session import Error
from tests.chatd.actor import Actor, expect, refused
from tests.chatd.house import House, registration

pytestmark = pytest.mark.asyncio


async def looks_up(who: Actor, user: str) -> account.Profile | ErrorCode:
    answer = await who.asks(account.GetProfile(who.request(), user))
    return answer if isinstance(answer, account.Profile) else refused(answer)


async def stage(house: House) -> Actor:
    """Romeo is there; juliet is, tybalt is disabled, mercutio deleted."""
    romeo = await house.arrives("romeo")
    for user in ("juliet", "tybalt", "mercutio"):
        await house.adds(user)
    await house.admin.disable_user("tybalt")
    await house.admin.delete_user("mercutio")
    return romeo


GONE = ["nobody", "tybalt", "mercutio", "Juliet", "juliet ", "julie", "jul%", "*"]


async def test_user_who_is_gone_looks_like_one_who_never_was(house: House) -> None:
    romeo = await stage(house)
    assert isinstance(await looks_up(romeo, "juliet"), account.Profile)
    said = []
    for user in GONE:
        answer = expect(Error, await romeo.asks(account.GetProfile(7, user)))
        said.append(all_of(answer))
        romeo.sends(user, "hello?", n=1, request=7)
        said.append(all_of(expect(Error, await romeo.answer(7))))
    assert set(said) == {said[0]}


def all_of(answer: Error) -> tuple[object, ...]:
    """Everything that an answer says."""
    return answer.request, answer.code, answer.text, answer.retryable, answer.retry_after_ms


async def test_guest_without_an_invite_learns_no_names(house: House) -> None:
    await stage(house)
    said = []
    for user in ("romeo", "nobody", "tybalt", "mercutio"):
        guest = await house.stranger(user)
        guest.hello()
        answer = expect(Error, await guest.asks(registration(guest, bytes(16))))
        await guest.ends()
        said.append(all_of(answer))
        await house.environment.advance(15 * 60_000)
    assert {one[1] for one in said} == {ErrorCode.INVITE_INVALID}
    assert set(said) == {said[0]}


async def test_account_looks_up_so_many_names_and_no_more_whatever_its_devices(
    house: House,
) -> None:
    romeo = await house.arrives("romeo")
    phone = await house.enrols(romeo)
    for number in range(LOOKUPS_BURST):
        who = (romeo, phone)[number % 2]
        assert await looks_up(who, f"user{number}") is ErrorCode.NOT_FOUND
    assert await looks_up(phone, "juliet") is ErrorCode.RATE_LIMITED
    await house.environment.advance(1_000)
    assert await looks_up(romeo, "juliet") is ErrorCode.NOT_FOUND
    assert await looks_up(romeo, "juliet") is ErrorCode.RATE_LIMITED


async def test_account_that_asks_by_writing_is_read_slower_over_the_same_budget(
    house: House,
) -> None:
    romeo = await house.arrives("romeo")
    peer = house.session(romeo).peer
    for number in range(LOOKUPS_BURST):
        answer = await romeo.answer(romeo.sends(f"user{number}", "hello?"))
        assert refused(answer) is ErrorCode.NOT_FOUND
    assert not peer.hasty
    answer = await romeo.answer(romeo.sends("juliet", "hello?"))
    assert refused(answer) is ErrorCode.NOT_FOUND
    await house.until(lambda: peer.hasty)
    await house.environment.advance(1_000)
    await house.until(lambda: not peer.hasty)
    await romeo.ping()
