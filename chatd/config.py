"""Configuration: one TOML file and `--set` overrides into frozen settings, or a refusal by name.

Nothing fails open: an unknown section or key, a wrong type, a value out of bounds, an unreadable or
empty file is refused before anything starts, all problems at once. Settings are declared in
`chatd/settings.py`; this file only reads and checks.
"""

import difflib
import json
import os
import socket
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import platformdirs

from chatd.settings import (
    SECTIONS,
    SETTINGS,
    Accounts,
    Address,
    Config,
    Limits,
    Log,
    Server,
    Setting,
    Storage,
    Tls,
    Value,
)

MAX_FILE_BYTES = 1 << 20
"""A hundred times what all settings need; a wrong path (a disk image) must not be read whole."""

ENVIRONMENT_VARIABLE = "CHATD_CONFIG"


class ConfigError(Exception):
    """The configuration was refused. `problems` names each reason; `str()` lists them all."""

    def __init__(self, problems: Sequence[str]) -> None:
        super().__init__(tuple(problems))
        self.problems = tuple(problems)

    def __str__(self) -> str:
        return "\n".join(self.problems)


def load(
    path: str | None = None,
    overrides: Sequence[str] = (),
    environ: Mapping[str, str] | None = None,
) -> Config:
    """Read the configuration.

    Args:
        path: The file named on the command line; None if there was none. Then the
            environment variable CHATD_CONFIG counts, and without it no file is read.
        overrides: Each `section.key=value`; stronger than the file, the last one wins.
        environ: In place of the process's environment.

    Returns:
        Settings, checked one by one and against each other; `server.data_dir` absolute and
        `server.public_address` filled in.

    Raises:
        ConfigError: With every problem found.
    """
    environ = os.environ if environ is None else environ
    problems: list[str] = []
    values: dict[str, dict[str, Value]] = {section: {} for section in SETTINGS}
    source = path if path is not None else environ.get(ENVIRONMENT_VARIABLE)
    if source is not None:
        named = "--config" if path is not None else ENVIRONMENT_VARIABLE
        _take_document(_read_file(source, named), source, values, problems)
    for override in overrides:
        _take_override(override, values, problems)
    config = Config(
        server=Server(**values["server"]),  # type: ignore[arg-type]  # each was checked by _checked
        tls=Tls(**values["tls"]),  # type: ignore[arg-type]  # same
        accounts=Accounts(**values["accounts"]),  # type: ignore[arg-type]  # same
        limits=Limits(**values["limits"]),  # type: ignore[arg-type]  # same
        storage=Storage(**values["storage"]),  # type: ignore[arg-type]  # same
        log=Log(**values["log"]),  # type: ignore[arg-type]  # same
    )
    problems.extend(_contradictions(config))
    if problems:
        raise ConfigError(problems)
    return _completed(config)


def _read_file(source: str, named: str) -> bytes:
    if not source:
        raise ConfigError([f"{named} is empty: name a file, or leave it out to use the defaults"])
    try:
        with Path(source).open("rb") as file:
            data = file.read(MAX_FILE_BYTES + 1)
    except IsADirectoryError as error:
        raise ConfigError([f"{source}: is a folder; name the file in it"]) from error
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise ConfigError([f"{source}: cannot be read: {reason}"]) from error
    if len(data) > MAX_FILE_BYTES:
        raise ConfigError([f"{source}: is over {MAX_FILE_BYTES} bytes; not a configuration file"])
    return data


def _take_document(
    data: bytes, source: str, values: dict[str, dict[str, Value]], problems: list[str]
) -> None:
    try:
        document = tomllib.loads(data.decode("utf-8"))
    except UnicodeDecodeError as error:
        raise ConfigError([f"{source}: is not UTF-8 text (byte {error.start})"]) from error
    except tomllib.TOMLDecodeError as error:
        raise ConfigError([f"{source}: is not valid TOML: {error}"]) from error
    except RecursionError as error:
        raise ConfigError([f"{source}: is nested too deeply"]) from error
    if not document:
        # Most likely a write that was cut short: what it should have forbidden is unknown.
        raise ConfigError(
            [f"{source}: holds no setting; fill it (`chatd config` prints all) or leave it out"]
        )
    for section, table in document.items():
        if section not in SETTINGS:
            problems.append(f"{source}: unknown section [{section}]{_nearest(section, SETTINGS)}")
        elif not isinstance(table, dict):
            problems.append(f"{source}: {section} must be a section: [{section}]")
        else:
            for key, raw in table.items():
                _take(section, key, raw, f"{source}: ", values, problems)


def _take_override(override: str, values: dict[str, dict[str, Value]], problems: list[str]) -> None:
    name, equals, text = override.partition("=")
    section, dot, key = name.strip().partition(".")
    where = "--set: "
    if not equals or not dot:
        problems.append(f"--set {override!r}: write section.key=value, as log.level=debug")
    elif section not in SETTINGS:
        problems.append(f"{where}unknown section [{section}]{_nearest(section, SETTINGS)}")
    else:
        setting = SETTINGS[section].get(key)
        raw = _override_value(setting, text.strip()) if setting else text
        _take(section, key, raw, where, values, problems)


def _override_value(setting: Setting, text: str) -> object:
    """What a shell word means: TOML, or for texts and lists plain words without quotes."""
    if setting.kind == "text" and not text.startswith(('"', "'")):
        return text
    try:
        document = tomllib.loads(f"value = {text}")
    except tomllib.TOMLDecodeError:
        document = {}
    if len(document) == 1:
        return document["value"]
    if setting.kind == "list":
        return [item.strip() for item in text.split(",")]
    return text


def _take(
    section: str,
    key: str,
    raw: object,
    where: str,
    values: dict[str, dict[str, Value]],
    problems: list[str],
) -> None:
    setting = SETTINGS[section].get(key)
    if setting is None:
        near = _nearest(key, SETTINGS[section])
        problems.append(f"{where}unknown key {section}.{key}{near}")
        return
    checked, wrong = _checked(setting, raw)
    if wrong:
        problems.extend(f"{where}{section}.{key} {reason}" for reason in wrong)
    else:
        values[section][key] = checked


def _checked(setting: Setting, raw: object) -> tuple[Value, list[str]]:
    """The value of the declared type, or what is wrong with it."""
    fallback = setting.default
    if setting.kind == "boolean":
        return (raw, []) if isinstance(raw, bool) else (fallback, ["must be true or false"])
    if setting.kind == "integer":
        # bool is an int to Python, not to whoever wrote the file.
        if not isinstance(raw, int) or isinstance(raw, bool):
            return fallback, ["must be an integer"]
        if not setting.low <= raw <= setting.high:
            return fallback, [f"must be from {setting.low} to {setting.high}, not {raw}"]
        return raw, []
    if setting.kind == "text":
        if not isinstance(raw, str):
            return fallback, ["must be a text in quotes"]
        if setting.choices and raw not in setting.choices:
            return fallback, [f"must be one of {', '.join(setting.choices)}; not {raw!r}"]
        wrong = _wrong_text(setting, raw)
        return raw, [wrong] if wrong else []
    if not isinstance(raw, list) or not all(isinstance(item, str) for item in raw):
        return fallback, ["must be a list of texts"]
    if not setting.low <= len(raw) <= setting.high:
        return fallback, [f"must have from {setting.low} to {setting.high} items, not {len(raw)}"]
    return tuple(raw), [wrong for item in raw if (wrong := _wrong_text(setting, item))]


def _wrong_text(setting: Setting, text: str) -> str | None:
    if any(ord(character) < 32 or ord(character) == 127 for character in text):
        return "must not have control characters"
    problem = setting.check(text) if setting.check else None
    return f"is refused: {problem}" if problem else None


def _contradictions(config: Config) -> list[str]:
    """What is wrong between settings that are right one by one."""
    found = []
    tls, server, limits = config.tls, config.server, config.limits
    if bool(tls.certificate) != bool(tls.key):
        missing = "tls.key" if tls.certificate else "tls.certificate"
        found.append(f"{missing} is missing: set tls.certificate and tls.key both, or neither")
    if server.plaintext:
        found.extend(
            f"server.plaintext is refused: server.listen has {address}, which others can reach; "
            "listen on 127.0.0.1 or [::1] only, or leave TLS on"
            for address in config.listen
            if not address.is_loopback
        )
    if len(set(config.listen)) < len(config.listen) and all(a.port for a in config.listen):
        found.append("server.listen names an address twice")
    if limits.max_unauthenticated_per_address > limits.max_unauthenticated:
        found.append(
            "limits.max_unauthenticated_per_address must not be above limits.max_unauthenticated"
        )
    if limits.max_unauthenticated > limits.max_connections:
        found.append("limits.max_unauthenticated must not be above limits.max_connections")
    return found


def _completed(config: Config) -> Config:
    server = config.server
    folder = server.data_dir or platformdirs.user_data_dir("chatd", appauthor=False)
    try:
        data_dir = Path(folder).expanduser().absolute()
    except (OSError, RuntimeError) as error:
        raise ConfigError([f"server.data_dir: {folder!r} leads nowhere: {error}"]) from error
    public = server.public_address
    if not public:
        port = config.listen[0].port
        if port == 0:
            # The system chooses it anew at each start: a link could not lead there.
            raise ConfigError(["server.public_address must be set when server.listen has port 0"])
        try:
            public = str(Address.parse(f"{socket.gethostname()}:{port}"))
        except ValueError as error:
            raise ConfigError(
                [f"server.public_address must be set: this host's name cannot stand in: {error}"]
            ) from error
    return replace(config, server=replace(server, data_dir=str(data_dir), public_address=public))


def _nearest(name: str, known: Mapping[str, object]) -> str:
    close = difflib.get_close_matches(name, known, n=1)
    return f"; did you mean {close[0]}?" if close else f"; known: {', '.join(known)}"


def _toml(value: Value) -> str:
    if isinstance(value, tuple):
        return "[" + ", ".join(json.dumps(item) for item in value) + "]"
    return json.dumps(value)


def _bounds(setting: Setting) -> str:
    if setting.kind == "integer":
        return f"{setting.low}–{setting.high}"
    if setting.choices:
        return ", ".join(f"`{choice}`" for choice in setting.choices)
    if setting.kind == "list":
        return f"{setting.low}–{setting.high} items"
    return "`true`, `false`" if setting.kind == "boolean" else ""


def default_toml() -> str:
    """All settings with their defaults and meanings, as a configuration file that loads."""
    lines = ["# Every setting of chatd, with its default. Leave out what you do not change."]
    for section, settings in SETTINGS.items():
        lines += ["", f"# {SECTIONS[section].__doc__}", f"[{section}]"]
        for key, setting in settings.items():
            bounds = _bounds(setting).replace("`", "").replace("–", " to ")
            lines.append(f"# {setting.doc.replace('`', '')}" + (f" ({bounds})" if bounds else ""))
            lines.append(f"{key} = {_toml(setting.default)}")
    return "\n".join(lines) + "\n"


def settings_table() -> str:
    """The table of docs/operations.md, in Markdown."""
    lines = ["| setting | default | bounds | meaning |", "|---|---|---|---|"]
    for section, settings in SETTINGS.items():
        for key, setting in settings.items():
            lines.append(
                f"| `{section}.{key}` | `{_toml(setting.default)}` "
                f"| {_bounds(setting)} | {setting.doc} |"
            )
    return "\n".join(lines) + "\n"
