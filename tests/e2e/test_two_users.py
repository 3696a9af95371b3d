"""Romeo and Juliet chat through the real server with the real command."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from tests.e2e.chat_process import ROOT, Person
from tests.server_process import ServerProcess


def texts(rows: list[dict[str, object]]) -> list[object]:
    return [row["text"] for row in rows if row["type"] == "message"]


def test_romeo_and_juliet_talk_while_both_watch(romeo: Person, juliet: Person) -> None:
    with juliet.watch("--read") as watching:
        watching.until(lambda row: row["type"] == "connection" and row["online"])
        lines = [f"line {number}" for number in range(100)]
        sent = romeo.rows("send", "juliet", "--lines", stdin="\n".join(lines))
        assert [row["seq"] for row in sent] == list(range(1, 101))
        got = watching.until(lambda row: row.get("text") == "line 99")
        assert texts(got) == lines
        # Another command of hers, while the watch holds the account.
        (answer,) = juliet.rows("send", "romeo", "Ay me!")
        assert answer["seq"] == 101
        assert watching.until(lambda row: row.get("text") == "Ay me!")[-1]["mine"]
        status = juliet.rows("status")
        assert (status[0]["user"], status[0]["online"]) == ("juliet", True)
        assert watching.stop() == 143
    assert [row["state"] for row in romeo.history(juliet)] == ["read"] * 100 + ["received"]
    assert texts(romeo.history(juliet)) == texts(juliet.history(romeo))


def test_message_waits_for_the_server_and_is_stored_once(
    romeo: Person, juliet: Person, server: ServerProcess
) -> None:
    server.kill()
    (state, error) = romeo.rows("send", "juliet", "Are you there?", code=75)
    assert (state["state"], error["code"]) == ("queued", "temporary")
    assert romeo.rows("send", "juliet", "Still?", "--no-wait")[0]["state"] == "queued"
    assert romeo.run("history", "juliet", "--offline").stdout.count("…") == 2
    assert romeo.rows("devices", code=69)[-1]["code"] == "unreachable"
    server.start()
    assert romeo.rows("send", "juliet", "At last")[0]["seq"] == 3
    assert texts(juliet.rows("watch", "--once")) == ["Are you there?", "Still?", "At last"]
    assert juliet.rows("watch", "--once") == []


def test_second_device_reads_and_writes_the_same_log(
    tmp_path: Path, romeo: Person, juliet: Person, invite: Callable[[], str]
) -> None:
    romeo.rows("send", "juliet", "one")
    phone = Person(tmp_path / "phone", "romeo")
    phone.join(invite(), "--existing", "--device-name", "phone")
    phone.rows("send", "juliet", "two")
    juliet.rows("send", "romeo", "three")
    for person, peer in ((romeo, juliet), (phone, juliet), (juliet, romeo)):
        assert texts(person.history(peer)) == ["one", "two", "three"]
    names = [(row["number"], row["this"]) for row in phone.rows("devices")]
    assert names == [(1, False), (2, True)]
    phone.rows("devices", "rename", "2", "telephone")
    romeo.rows("devices", "revoke", "2")
    assert phone.rows("devices", code=4)[-1]["code"] == "device_revoked"
    assert texts(phone.rows("history", "juliet", "--offline")) == ["one", "two", "three"]


def test_wrong_use_gets_its_documented_exit_code(
    tmp_path: Path, romeo: Person, invite: Callable[[], str]
) -> None:
    nobody = Person(tmp_path / "nobody", "nobody")
    assert nobody.rows("status", code=4)[0]["code"] == "no_account"
    assert nobody.rows("join", "chatd://nowhere", code=2)[0]["code"] == "invalid_input"
    again = Person(tmp_path / "again", "romeo")
    taken = again.rows("join", invite(), "--user", "romeo", "--password-env", "PASSWORD", code=1)
    assert "--existing" in taken[0]["text"]
    wrong = again.run(
        "join", invite(), "--existing", "--user", "romeo", "--password-env", "OTHER",
        OTHER="not the password",
    )  # fmt: skip
    assert wrong.returncode == 5
    assert romeo.rows("send", "nobody", "x", code=3)[-1]["code"] == "not_found"
    assert romeo.rows("history", "juliet", code=3)[-1]["code"] == "not_found"
    assert romeo.run("status", CHAT_PASSPHRASE="wrong passphrase").returncode == 4
    assert romeo.run("send", "juliet").returncode == 2
    assert romeo.run("devices", "rename", "1", "\x1b[2J").returncode == 2


def test_terminal_that_lacks_a_sign_shows_something_else(romeo: Person, juliet: Person) -> None:
    romeo.rows("send", "juliet", "But, soft!")
    shown = romeo.run("history", "juliet", PYTHONIOENCODING="latin-1")
    assert shown.returncode == 0, shown
    assert shown.stdout.endswith("you ? juliet: But, soft! ?\n")


def test_password_changes_and_the_account_ends(romeo: Person, invite: Callable[[], str]) -> None:
    changed = romeo.run(
        "passwd", "--password-env", "PASSWORD", "--new-password-env", "NEW", NEW="another one"
    )
    assert changed.returncode == 0, changed
    delete = ("delete-account", "--yes", "--password-env")
    assert romeo.run(*delete, "PASSWORD").returncode == 5
    gone = romeo.run(*delete, "NEW", NEW="another one")
    assert gone.returncode == 0, gone
    assert "its name stays taken" in gone.stdout
    assert list((romeo.home / "accounts").iterdir()) == []
    again = romeo.rows("join", invite(), "--user", "romeo", "--password-env", "PASSWORD", code=1)
    assert again[0]["code"] == "refused"


def test_nothing_is_lost_doubled_or_reordered_when_server_and_sender_are_killed(
    romeo: Person, juliet: Person, server: ServerProcess
) -> None:
    lines = [f"line {number}" for number in range(400)]
    with romeo.start("send", "juliet", "--lines", "--timeout", "2") as sending:
        assert sending.stdin is not None
        assert sending.stdout is not None
        sending.stdin.write("\n".join(lines[:200]))
        sending.stdin.close()
        sending.stdout.readline()
        server.kill()
        for _ in sending.stdout:
            pass
        assert sending.wait() in (0, 75)
    server.start()
    with romeo.start("send", "juliet", "--lines") as sending:
        assert sending.stdin is not None
        assert sending.stdout is not None
        sending.stdin.write("\n".join(lines[200:]))
        sending.stdin.close()
        sending.stdout.readline()
        sending.kill()
    queued = texts(romeo.history(juliet))
    assert queued == lines[: len(queued)]
    assert len(queued) > 200
    romeo.rows("send", "juliet", "the end")
    assert texts(juliet.rows("watch", "--once")) == [*queued, "the end"]
    assert texts(romeo.history(juliet)) == texts(juliet.history(romeo))


def test_client_returns_when_its_account_is_enabled_again(
    romeo: Person, server: ServerProcess
) -> None:
    def admin(*arguments: str) -> None:
        config = str(server.folder / "chatd.toml")
        subprocess.run(
            [sys.executable, "-m", "chatd", "users", *arguments, "--config", config],
            cwd=ROOT,
            check=True,
            capture_output=True,
        )

    with romeo.watch() as watching:
        watching.until(lambda row: row["type"] == "connection" and row["online"])
        admin("disable", "romeo")
        assert watching.until(lambda row: row["type"] == "error")[-1]["exit"] == 4
    assert romeo.rows("devices", code=4)[-1]["code"] == "device_revoked"
    admin("enable", "romeo")
    assert len(romeo.rows("devices")) == 1
