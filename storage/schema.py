"""The schema's version, and the way from any older one to it.

History:
    1   accounts, devices, invites, conversations, members, log, cursors

Each migration is one numbered file and one transaction. Before an existing database is changed a
snapshot is written beside it. A database of a newer version is refused.
"""

import os
from importlib import resources
from pathlib import Path
from typing import Final

import apsw

from storage.errors import SchemaTooNew, StorageCorrupt, translated

SCHEMA_VERSION: Final = 1
_APPLICATION_ID: Final = 0x63686174  # "chat"


def schema_version(connection: apsw.Connection) -> int:
    """Return the version of the open database, 0 for an empty one."""
    version = connection.pragma("user_version")
    assert isinstance(version, int)
    return version


def migrate(connection: apsw.Connection, path: Path) -> None:
    """Bring the database at ``path``, open as ``connection``, to this program's schema.

    Raises:
        SchemaTooNew: It was written by a newer version.
        StorageCorrupt: It is a database of something else.
        StorageError: The disk is full or failed; the database is as it was.
    """
    with translated():
        found = schema_version(connection)
        if found > SCHEMA_VERSION:
            raise SchemaTooNew(found, SCHEMA_VERSION)
        if found and connection.pragma("application_id") != _APPLICATION_ID:
            raise StorageCorrupt(f"{path.name} is not a database of chatd")
        if found == SCHEMA_VERSION:
            return
        if found:
            _snapshot(connection, path.with_name(f"{path.name}.before-{SCHEMA_VERSION}"))
        for version in range(found + 1, SCHEMA_VERSION + 1):
            with connection:  # one transaction
                connection.execute(_migration(version))
                connection.pragma("user_version", version)
                connection.pragma("application_id", _APPLICATION_ID)


def _migration(version: int) -> str:
    folder = resources.files("storage") / "migrations"
    for entry in folder.iterdir():
        if entry.name.startswith(f"{version:04d}_") and entry.name.endswith(".sql"):
            return entry.read_text(encoding="utf-8")
    raise StorageCorrupt(f"migration {version} is missing from this installation")


def _snapshot(connection: apsw.Connection, target: Path) -> None:
    temporary = target.with_suffix(".tmp")
    temporary.unlink(missing_ok=True)
    connection.execute("VACUUM INTO ?", (str(temporary),))
    temporary.chmod(0o600)
    descriptor = os.open(temporary, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    temporary.replace(target)
