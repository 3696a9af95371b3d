"""The schema's version, and the way from any older one to it.

History:
    1   accounts, devices, invites, conversations, members, log, cursors

Each migration is one numbered file; those that are due run in one transaction. Before an existing
database is changed a snapshot is written beside it. A database of a newer version, or of another
program, is refused and left as it was.
"""

import os
from importlib import resources
from pathlib import Path
from typing import Final

import apsw

from storage.database import log_ahead
from storage.errors import SchemaTooNew, StorageCorrupt, translate_os, translated

SCHEMA_VERSION: Final = 1
_APPLICATION_ID: Final = 0x63686174  # "chat"


def schema_version(connection: apsw.Connection) -> int:
    """Return the version of the open database, 0 for an empty one."""
    version = connection.pragma("user_version")
    assert isinstance(version, int)
    return version


def migrate(connection: apsw.Connection, path: Path) -> None:
    """Bring the database at ``path``, open as ``connection``, to this program's schema and WAL.

    Raises:
        SchemaTooNew: It was written by a newer version.
        StorageCorrupt: It is a database of something else.
        StorageError: The disk is full or failed; the database is as it was.
    """
    with translated():
        found = schema_version(connection)
        if not _ours(connection, found):
            raise StorageCorrupt(
                f"{path.name} is not a database of chatd: "
                "move it away, or choose another data folder"
            )
        if found > SCHEMA_VERSION:
            raise SchemaTooNew(found, SCHEMA_VERSION)
        log_ahead(connection)
        if found == SCHEMA_VERSION:
            return
        if found:
            _snapshot(connection, path.with_name(f"{path.name}.before-{SCHEMA_VERSION}"))
        with connection:  # one transaction: the snapshot is of where the database would stop
            for version in range(found + 1, SCHEMA_VERSION + 1):
                connection.execute(_migration(version))
            connection.pragma("user_version", SCHEMA_VERSION)
            connection.pragma("application_id", _APPLICATION_ID)


def _migration(version: int) -> str:
    folder = resources.files("storage") / "migrations"
    for entry in folder.iterdir():
        if entry.name.startswith(f"{version:04d}_") and entry.name.endswith(".sql"):
            return entry.read_text(encoding="utf-8")
    raise StorageCorrupt(f"migration {version} is missing from this installation")


def _ours(connection: apsw.Connection, version: int) -> bool:
    application_id = connection.pragma("application_id")
    if version:
        return bool(application_id == _APPLICATION_ID)
    tables = connection.execute("SELECT count(*) FROM sqlite_schema").get
    return bool(application_id == 0 and tables == 0)


def _snapshot(connection: apsw.Connection, target: Path) -> None:
    """Write the database as it is to ``target``, durably. It holds what the database holds."""
    temporary = target.with_suffix(".tmp")
    try:
        temporary.unlink(missing_ok=True)
        temporary.touch(mode=0o600)  # SQLite accepts an empty file, and keeps its mode
        try:
            connection.execute("VACUUM INTO ?", (str(temporary),))
            _sync(temporary)
            temporary.replace(target)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
        _sync(target.parent)
    except OSError as error:
        raise translate_os(error, f"{target.name} cannot be written") from error


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
