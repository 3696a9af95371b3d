"""`chatd invite`, `users` and `devices`, alike with a daemon and without."""

import json
from collections.abc import Iterator
from contextlib import nullcontext
from unicodedata import category

import pytest

from chatd.admin_api import MAX_USES, UserInfo
from chatd.commands import render
from chatd.folder import InstanceLock, open_folder
from tests.chatd.commands.conftest import START_MS, CommandLine


@pytest.fixture(params=["daemon", "alone"])
def either(request: pytest.FixtureRequest, chatd: CommandLine) -> Iterator[CommandLine]:
    with chatd.daemon() if request.param == "daemon" else nullcontext():
        yield chatd
    assert bool(chatd.opened) == (request.param == "alone")


def test_invite_prints_the_link_alone_on_standard_output(either: CommandLine) -> None:
    done = either("invite")
    assert done.exit_code == 0, done.output
    assert done.stdout == "chatd://chat.example:7222/#1.token\n"
    assert "Good once" in done.stderr
    # Where the daemon's link leads, not where this command's own settings would.
    assert "It leads to chat.example:7222:" in done.stderr
    assert either.admin.invites == [(1, 7 * 86_400_000)]


def test_invite_draws_a_code_when_asked(either: CommandLine) -> None:
    done = either("invite", "--qr", "--uses", "5", "--expires", "never")
    assert done.exit_code == 0, done.output
    assert "█" in done.stdout
    assert either.admin.invites == [(5, None)]


def test_invite_refuses_bounds_at_one_more(chatd: CommandLine) -> None:
    assert chatd("invite", "--uses", str(MAX_USES), "--expires", "366d").exit_code == 0
    for wrong in (
        ("--uses", "0"),
        ("--uses", str(MAX_USES + 1)),
        ("--expires", "367d"),
        ("--expires", "0s"),
        ("--expires", "7"),
        ("--expires", "-1d"),
        ("--expires", "١d"),
    ):
        assert chatd("invite", *wrong).exit_code == 2
    assert len(chatd.admin.invites) == 1


def test_users_are_listed_under_their_inviters(either: CommandLine) -> None:
    done = either("users", "list")
    assert done.exit_code == 0, done.output
    lines = done.stdout.splitlines()
    assert [line.split("  Ann")[0].rstrip() for line in lines[1:]] == [
        "ann",
        "  bob",
        "    cat",
        "dan",
    ]
    assert "Ann\\x1b[2J\\u202e\\n" in lines[1]
    assert {category(c) for c in done.stdout} & {"Cc", "Cf"} <= {"Cc"}
    assert "\x1b" not in done.stdout


def test_users_are_listed_as_json(either: CommandLine) -> None:
    done = either("users", "list", "--json")
    rows = json.loads(done.stdout)
    assert [row["name"] for row in rows] == ["ann", "bob", "cat", "dan"]
    assert rows[1]["invited_by"] == "ann"
    assert done.stdout.isascii()
    assert "\x1b" not in done.stdout


def test_user_is_disabled_enabled_reset_and_deleted(either: CommandLine) -> None:
    def state() -> str:
        return either.admin.users["bob"].state

    assert either("users", "disable", "bob").exit_code == 0
    assert state() == "disabled"
    assert either("users", "enable", "bob").exit_code == 0
    refused = either("users", "enable", "bob")
    assert (refused.exit_code, refused.stderr) == (1, "chatd: bob is not disabled\n")
    assert either("users", "reset", "bob").stdout == "chatd://chat.example:7222/#1.reset-bob\n"
    assert either("users", "delete", "bob", input_="n\n").exit_code == 1
    assert state() == "active"
    assert either("users", "delete", "bob", "--yes").exit_code == 0
    assert state() == "deleted"


def test_commands_exit_3_when_there_is_no_such_user_or_device(either: CommandLine) -> None:
    for arguments in (
        ("users", "disable", "eve"),
        ("users", "reset", "eve"),
        ("devices", "list", "eve"),
        ("devices", "revoke", "ann", "9"),
    ):
        done = either(*arguments)
        assert done.exit_code == 3
        assert done.stderr.startswith("chatd: ")
        assert done.stdout == ""


def test_devices_are_listed_and_revoked(either: CommandLine) -> None:
    assert either("devices", "revoke", "ann", "1").exit_code == 0
    done = either("devices", "list", "ann")
    assert "revoked" in done.stdout
    assert "2027-01-15 08:00" in done.stdout
    assert "\x1b" not in done.stdout
    assert json.loads(either("devices", "list", "ann", "--json").stdout)[0]["revoked"] is True


def test_commands_exit_75_when_the_daemon_holds_the_lock_but_answers_not(
    chatd: CommandLine,
) -> None:
    open_folder(chatd.folder)
    with InstanceLock.acquire(chatd.folder):
        done = chatd("users", "list")
    assert done.exit_code == 75
    assert "in use by process" in done.stderr
    assert chatd.opened == 0


def test_commands_refuse_a_user_name_out_of_bounds(chatd: CommandLine) -> None:
    assert chatd("users", "disable", "x" * 257).exit_code == 2
    assert chatd("users", "disable", "").exit_code == 2
    assert chatd("users", "disable", "x" * 256).exit_code == 3


def test_user_tree_shows_everybody_when_inviters_form_a_ring_or_are_gone() -> None:
    def user(name: str, inviter: str | None) -> UserInfo:
        return UserInfo(name, name, "active", inviter, START_MS, 0, START_MS)

    infos = [user("a", "b"), user("b", "a"), user("c", "gone"), user("d", "d")]
    names = [line.split()[0] for line in render.users(infos).splitlines()[1:]]
    assert sorted(names) == ["a", "b", "c", "d"]
    chain = [user(str(n), str(n - 1) if n else None) for n in range(5_000)]
    assert len(render.users(chain).splitlines()) == 5_001
