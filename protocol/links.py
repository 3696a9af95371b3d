"""Invite links: ``chatd://host:port/#1.<base64url(server key, server id, token)>``.

The fragment pins the server's identity key, so that whoever has the link needs no authority and
no trust on first use. It is never sent to the server by anything that resolves URLs.
"""

import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from dataclasses import dataclass
from typing import Final

from protocol import limits

_HOST: Final = re.compile(r"[0-9A-Fa-f:.]{2,45}|[A-Za-z0-9._-]{1,253}")
_PATTERN: Final = re.compile(
    r"chatd://(?P<host>\[[0-9A-Fa-f:.]{2,45}\]|[A-Za-z0-9._-]{1,253}):(?P<port>[0-9]{1,5})/"
    r"#1\.(?P<data>[A-Za-z0-9_-]{1,1024})"
)
_FIXED_BYTES: Final = limits.KEY_BYTES + limits.SERVER_ID_BYTES


class LinkError(ValueError):
    """The text is not a chatd link of a known version."""


@dataclass(frozen=True, slots=True)
class Link:
    """Where a server is, who it is, and, in an invite, the token to register with.

    Raises:
        LinkError: A part cannot stand in a link: ``str()`` of any Link can be parsed again.
    """

    host: str
    port: int
    server_key: bytes
    server_id: bytes
    token: bytes | None = None

    def __post_init__(self) -> None:
        if not _HOST.fullmatch(self.host):
            raise LinkError("the host of a link is a DNS name (in ASCII) or an IP address")
        if not 0 < self.port < 65_536:
            raise LinkError("the port of a link is between 1 and 65535")
        if (
            len(self.server_key) != limits.KEY_BYTES
            or len(self.server_id) != limits.SERVER_ID_BYTES
            or (self.token is not None and len(self.token) != limits.TOKEN_BYTES)
        ):
            raise LinkError("the link is damaged or cut short: copy it again, whole")

    def __str__(self) -> str:
        data = self.server_key + self.server_id + (self.token or b"")
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"chatd://{host}:{self.port}/#1.{_unpadded(data)}"

    def __repr__(self) -> str:
        return f"Link({self.host!r}, {self.port})"  # a token is a secret


def parse_link(text: str) -> Link:
    """Read a link, with or without a token.

    Raises:
        LinkError: Not a link, of another version, or damaged.
    """
    match = _PATTERN.fullmatch(text.strip())
    if match is None:
        raise LinkError("not a chatd link: it looks like chatd://host:port/#1.…")
    raw = match["data"]
    try:
        data = urlsafe_b64decode(raw + "=" * (-len(raw) % 4))
    except ValueError:
        data = b""  # a length that no bytes encode to
    if _unpadded(data) != raw:
        raise LinkError("the link is damaged or cut short: copy it again, whole")
    return Link(
        match["host"].strip("[]"),
        int(match["port"]),
        data[: limits.KEY_BYTES],
        data[limits.KEY_BYTES : _FIXED_BYTES],
        data[_FIXED_BYTES:] or None,
    )


def _unpadded(data: bytes) -> str:
    return urlsafe_b64encode(data).rstrip(b"=").decode()
