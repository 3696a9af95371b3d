"""The store: real files, their modes, the lock, the key, versions."""

import stat
from pathlib import Path

import apsw
import pytest

from clients.sdk import conversations, outbox, schema
from clients.sdk.body import encode_text
from clients.sdk.errors import (
    AccountExists,
    InvalidInput,
    NoAccount,
    QuotaReached,
    StoreDamaged,
    StoreLocked,
    StoreNewer,
    WrongKey,
)
from clients.sdk.home import Header, Home
from clients.sdk.store import Store

KEY = b"k" * 32


def queue(store: Store, text: bytes, number: int) -> None:
    outbox.enqueue(store, "romeo", "juliet", number.to_bytes(16, "big"), b"\x90", text, 0)


def test_store_is_locked_against_a_second_writer(tmp_path: Path) -> None:
    store = Store(tmp_path / "store.db", KEY)
    with pytest.raises(StoreLocked, match=str(tmp_path)):
        Store(tmp_path / "store.db", KEY)
    store.close()
    Store(tmp_path / "store.db", KEY).close()


def test_store_refuses_a_wrong_key_and_stays_usable(tmp_path: Path) -> None:
    Store(tmp_path / "store.db", KEY).close()
    with pytest.raises(WrongKey):
        Store(tmp_path / "store.db", b"x" * 32)
    Store(tmp_path / "store.db", KEY).close()


def test_store_files_are_private_and_hold_no_plain_text(tmp_path: Path) -> None:
    header = Header("romeo", "h", 1, "00" * 16, "passphrase", "00" * 16)
    folder = Home(tmp_path / "home").create(header)
    store = Store(folder.store_path, KEY)
    with store.transaction():
        queue(store, b"It is the east", 1)
    for path in (folder.path, folder.path.parent, tmp_path / "home"):
        assert stat.S_IMODE(path.stat().st_mode) == 0o700
    files = list(folder.path.iterdir())
    assert {path.name for path in files} >= {"store.db", "store.db-wal", "store.lock"}
    for path in files:
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert b"It is the east" not in path.read_bytes()
        assert b"SQLite format" not in path.read_bytes()
    store.close()


def test_store_undoes_a_transaction_when_part_of_it_fails(tmp_path: Path) -> None:
    store = Store(tmp_path / "store.db", KEY)
    with store.transaction():
        queue(store, b"kept", 1)

    def fail() -> None:
        with store.transaction():
            queue(store, b"lost", 2)
            encode_text("")

    with pytest.raises(InvalidInput):
        fail()
    store.close()
    store = Store(tmp_path / "store.db", KEY)
    c = conversations.ensure(store, "romeo", "juliet")
    assert [(row.n, row.body) for row in outbox.all_of(store, c.conversation)] == [(1, b"kept")]
    store.close()


def test_store_refuses_a_newer_version(tmp_path: Path) -> None:
    store = Store(tmp_path / "store.db", KEY)
    store.db.pragma("user_version", schema.VERSION + 1)
    store.close()
    with pytest.raises(StoreNewer):
        Store(tmp_path / "store.db", KEY)


def test_store_refuses_a_folder_in_its_place(tmp_path: Path) -> None:
    (tmp_path / "store.db").mkdir()
    with pytest.raises(StoreDamaged):
        Store(tmp_path / "store.db", KEY)


def test_outbox_takes_its_bound_and_not_one_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outbox, "MAX_QUEUED", 3)
    store = Store(tmp_path / "store.db", KEY)
    with store.transaction():
        for number in range(3):
            queue(store, b"x", number)
        with pytest.raises(QuotaReached):
            queue(store, b"x", 3)
    assert outbox.waiting(store) == 3
    store.close()


def test_outbox_numbers_from_one_in_each_conversation(tmp_path: Path) -> None:
    store = Store(tmp_path / "store.db", KEY)
    with store.transaction():
        for number in range(4):
            peer = "juliet" if number % 2 else "nurse"
            outbox.enqueue(store, "romeo", peer, bytes([number] * 16), b"\x90", b"x", 0)
        refused = outbox.refuse(store, bytes([1] * 16), "not_allowed")
    assert refused is not None
    c = conversations.ensure(store, "romeo", "juliet")
    assert [row.n for row in outbox.following(store, c.conversation, 0, 9)] == [1]
    assert c.next_n == 2
    store.close()


def test_store_translates_every_error_of_its_library(tmp_path: Path) -> None:
    store = Store(tmp_path / "store.db", KEY)
    with pytest.raises(StoreDamaged) as caught, store.transaction():
        store.db.execute("SELECT 'a secret' FROM nowhere")
    assert isinstance(caught.value.__cause__, apsw.Error)
    assert "secret" not in str(caught.value)
    store.close()


def test_home_escapes_what_a_file_system_would_understand(tmp_path: Path) -> None:
    home = Home(tmp_path)
    for user in ("..", "a/b", "~", "nul\\x", "é"):
        folder = home.create(Header(user, "h", 1, "00" * 16, "passphrase", "00" * 16))
        assert folder.path.parent == tmp_path / "accounts"
        assert home.find(user).header.user == user
    assert len(home.accounts()) == 5


def test_home_names_what_to_do_when_the_account_is_not_clear(tmp_path: Path) -> None:
    home = Home(tmp_path)
    with pytest.raises(NoAccount, match="chat join LINK"):
        home.find()
    home.create(Header("romeo", "h", 1, "00" * 16, "passphrase", "00" * 16))
    home.create(Header("romeo", "h", 1, "11" * 16, "passphrase", "00" * 16))
    with pytest.raises(NoAccount, match="--account: romeo@00000000, romeo@11111111"):
        home.find("romeo")
    assert home.find("romeo@11111111").header.server_id == "11" * 16
    with pytest.raises(NoAccount, match="nurse"):
        home.find("nurse")
    with pytest.raises(AccountExists):
        home.create(Header("romeo", "h", 1, "00" * 16, "passphrase", "00" * 16))


@pytest.mark.parametrize("text", ["", "{", "[]", '{"user": 1}', '{"version": 1}'])
def test_home_refuses_a_damaged_header(tmp_path: Path, text: str) -> None:
    folder = Home(tmp_path).create(Header("r", "h", 1, "00" * 16, "passphrase", "00" * 16))
    (folder.path / "account.json").write_text(text)
    with pytest.raises(StoreDamaged, match=r"account\.json is damaged"):
        Home(tmp_path).accounts()
