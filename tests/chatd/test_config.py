"""The configuration refuses by name what it does not understand, and needs no file."""

import tomllib
from pathlib import Path

import pytest

from chatd.config import MAX_FILE_BYTES, ConfigError, default_toml, load, settings_table
from chatd.settings import SETTINGS, Address

ROOT = Path(__file__).resolve().parents[2]


def write(folder: Path, text: str | bytes) -> str:
    path = folder / "chatd.toml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return str(path)


def problems(*args: object, **kwargs: object) -> tuple[str, ...]:
    with pytest.raises(ConfigError) as caught:
        load(*args, **{"environ": {}, **kwargs})  # type: ignore[arg-type]  # forwarded as they come
    assert str(caught.value) == "\n".join(caught.value.problems)
    return caught.value.problems


def test_load_gives_safe_defaults_when_there_is_no_file() -> None:
    config = load(environ={})
    assert config.accounts.registration == "invite"
    assert not config.server.plaintext
    assert config.tls.minimum_version == "1.3"
    assert Path(config.server.data_dir).is_absolute()
    assert config.public_address.port == 7222
    assert config.listen == (Address("0.0.0.0", 7222), Address("::", 7222))


def test_load_reads_each_kind_of_value(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        '[server]\nlisten = ["127.0.0.1:0"]\nplaintext = true\ndata_dir = "/srv/chat"\n'
        'public_address = "[2001:db8::1]:99"\n[limits]\nsends_burst = 7\n',
    )
    config = load(path, environ={})
    assert config.server.plaintext
    assert config.listen == (Address("127.0.0.1", 0),)
    assert config.server.data_dir == "/srv/chat"
    assert config.public_address == Address("2001:db8::1", 99)
    assert str(config.public_address) == "[2001:db8::1]:99"
    assert config.limits.sends_burst == 7


def test_load_uses_the_variable_when_no_path_is_given(tmp_path: Path) -> None:
    path = write(tmp_path, "[limits]\nsends_burst = 9\n")
    assert load(environ={"CHATD_CONFIG": path}).limits.sends_burst == 9
    assert load(path, environ={"CHATD_CONFIG": "/absent"}).limits.sends_burst == 9


def test_load_lists_every_problem_at_once(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        'colour = 1\n[sever]\n[server]\nlisten = [1]\nplaintex = true\n[limits]\nlogin_ms = "5"\n'
        'frame_ms = 1\n[tls]\ncertificate = "a.pem"\n[log]\nlevel = "loud"\n',
    )
    text = "\n".join(problems(path, ["log.format", "nope.x=1", "log.colour=1"]))
    for part in (
        "unknown section [colour]",
        "unknown section [sever]; did you mean server?",
        "server.listen must be a list of texts",
        "unknown key server.plaintex; did you mean plaintext?",
        "limits.login_ms must be an integer",
        "limits.frame_ms must be from 100 to 600000, not 1",
        "tls.key is missing",
        "log.level must be one of debug, info, warning, error; not 'loud'",
        "--set 'log.format': write section.key=value",
        "--set: unknown section [nope]",
        "--set: unknown key log.colour",
    ):
        assert part in text


def test_load_refuses_a_file_it_cannot_trust(tmp_path: Path) -> None:
    assert "--config is empty" in problems("")[0]
    assert "CHATD_CONFIG is empty" in problems(environ={"CHATD_CONFIG": ""})[0]
    assert "cannot be read" in problems(str(tmp_path / "absent"))[0]
    assert "cannot be read" in problems("a\0b")[0]
    assert "is a folder" in problems(str(tmp_path))[0]
    assert "holds no setting" in problems(write(tmp_path, ""))[0]
    assert "holds no setting" in problems(write(tmp_path, "# all gone\n"))[0]
    assert "not valid TOML" in problems(write(tmp_path, "[server]\nlisten = ["))[0]
    assert "not UTF-8" in problems(write(tmp_path, b"\xff\xfe"))[0]
    assert "must be a section" in problems(write(tmp_path, "server = 1"))[0]


def test_load_bounds_the_file_at_n_and_one_more(tmp_path: Path) -> None:
    setting = b"[limits]\nsends_burst = 9\n#"
    fits = setting + b"x" * (MAX_FILE_BYTES - len(setting))
    assert load(write(tmp_path, fits), environ={}).limits.sends_burst == 9
    assert "not a configuration file" in problems(write(tmp_path, fits + b"x"))[0]


@pytest.mark.parametrize(
    ("section", "key"),
    [(s, k) for s, keys in SETTINGS.items() for k, v in keys.items() if v.kind == "integer"],
)
def test_load_holds_each_integer_to_its_bounds(section: str, key: str) -> None:
    setting = SETTINGS[section][key]
    assert isinstance(setting.default, int)
    assert setting.low <= setting.default <= setting.high
    for outside in (setting.low - 1, setting.high + 1):
        found = problems(overrides=[f"{section}.{key}={outside}"])
        assert f"{section}.{key} must be from {setting.low} to {setting.high}" in found[0]
    for wrong in ("true", "1.0", '"1"', "", "1\nx = 2"):
        assert (
            f"{section}.{key} must be an integer"
            in problems(overrides=[f"{section}.{key}={wrong}"])[0]
        )


def test_load_bounds_listen_at_n_and_one_more() -> None:
    addresses = ",".join(f"127.0.0.1:{port}" for port in range(1, 17))
    assert len(load(overrides=[f"server.listen={addresses}"], environ={}).listen) == 16
    assert "1 to 16 items" in problems(overrides=[f"server.listen={addresses},[::1]:1"])[0]
    assert "1 to 16 items" in problems(overrides=["server.listen=[]"])[0]


@pytest.mark.parametrize(
    "address",
    [
        "x",
        ":1",
        "a:",
        "a:65536",
        "a:-1",
        "a:1x",
        "::1:7222",
        "[::1",
        "[x]:1",
        "a b:1",
        "-a:1",
        "a:²",
    ],
)
def test_load_refuses_what_is_no_address(address: str) -> None:
    assert "server.listen is refused" in problems(overrides=[f"server.listen={address}"])[0]
    assert (
        "server.public_address is refused"
        in problems(overrides=[f"server.public_address={address}"])[0]
    )


def test_load_refuses_a_public_address_without_a_port() -> None:
    found = problems(overrides=["server.public_address=chat.example:0"])
    assert "needs a port from 1" in found[0]


def test_load_refuses_to_guess_a_public_port_that_changes_at_each_start() -> None:
    overrides = ["server.listen=127.0.0.1:0"]
    assert "public_address must be set" in problems(overrides=overrides)[0]
    config = load(overrides=[*overrides, "server.public_address=a:1"], environ={})
    assert config.public_address == Address("a", 1)


def test_load_refuses_control_characters_in_texts(tmp_path: Path) -> None:
    path = write(tmp_path, '[server]\ndata_dir = "/a\\u001bb"\n')
    assert "must not have control characters" in problems(path)[0]


@pytest.mark.parametrize("listen", ["127.0.0.1:1", "[::1]:1", "localhost:1"])
def test_load_accepts_plaintext_when_only_loopback_listens(listen: str) -> None:
    overrides = ["server.plaintext=true", f"server.listen={listen}"]
    assert load(overrides=overrides, environ={}).server.plaintext
    found = problems(overrides=["server.plaintext=true", f"server.listen={listen},0.0.0.0:2"])
    assert "server.plaintext is refused: server.listen has 0.0.0.0:2" in found[0]


def test_load_refuses_settings_that_contradict_each_other() -> None:
    assert "tls.certificate is missing" in problems(overrides=["tls.key=a"])[0]
    assert "twice" in problems(overrides=["server.listen=127.0.0.1:1,127.0.0.1:1"])[0]
    assert "max_unauthenticated must not" in problems(overrides=["limits.max_connections=999"])[0]
    assert "per_address must not" in problems(overrides=["limits.max_unauthenticated=63"])[0]


def test_load_takes_the_last_override_over_the_file(tmp_path: Path) -> None:
    path = write(tmp_path, '[log]\nlevel = "error"\n')
    overrides = ["log.level=info", 'log.level="debug"', "tls.minimum_version=1.2"]
    config = load(path, overrides, environ={})
    assert config.log.level == "debug"
    assert config.tls.minimum_version == "1.2"


def test_default_file_loads_and_changes_nothing(tmp_path: Path) -> None:
    path = write(tmp_path, default_toml())
    assert load(path, environ={}) == load(environ={})
    document = tomllib.loads(default_toml())
    assert {s: list(keys) for s, keys in document.items()} == {
        s: list(keys) for s, keys in SETTINGS.items()
    }


def test_docs_hold_the_settings_table() -> None:
    assert settings_table() in (ROOT / "docs" / "operations.md").read_text("utf-8")
