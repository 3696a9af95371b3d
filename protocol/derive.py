"""What both sides compute: identifiers, the entry chain, and the exact texts that are signed.

Every text is a label, ending in a NUL, followed by its parts, each behind its length as four
bytes, big endian; integers are parts of eight bytes. So no two different lists of parts give the
same text. Source: docs/protocol.md, "Derived values".
"""

from hashlib import sha256
from struct import Struct
from typing import Final

from protocol.messages.messaging import Entry

_U32: Final = Struct(">I")
_U64: Final = Struct(">Q")
_NUMBERS: Final = Struct(">IQ")
_BEFORE_USER: Final = Struct(">I32sIQI")
_BEFORE_HEADER: Final = Struct(">IQIQI")
_AFTER_HEADER: Final = Struct(">I16sI32s")
ZERO_HASH: Final = bytes(32)


def join(label: bytes, *parts: bytes | int) -> bytes:
    """Return ``label`` and the length-prefixed parts."""
    out = [label]
    for part in parts:
        if isinstance(part, int):
            out.append(_NUMBERS.pack(8, part))
        else:
            out += (_U32.pack(len(part)), part)
    return b"".join(out)


def direct_id(one: str, other: str) -> bytes:
    """Return the id of the direct conversation of two user names, in either order."""
    return sha256(join(b"chatd/direct/1\0", *sorted((one.encode(), other.encode())))).digest()


def chain_next(
    previous: bytes,
    seq: int,
    user: str,
    device: int,
    n: int,
    header: bytes,
    message_id: bytes,
    body_hash: bytes,
) -> bytes:
    """Return L_seq from L_(seq-1) and the entry; L_0 is the conversation's id."""
    name = user.encode()
    # join() of these parts, unrolled: this is computed for every message (3.1 → 1.7 µs).
    return sha256(
        b"chatd/log/1\0"
        + _BEFORE_USER.pack(len(previous), previous, 8, seq, len(name))
        + name
        + _BEFORE_HEADER.pack(8, device, 8, n, len(header))
        + header
        + _AFTER_HEADER.pack(len(message_id), message_id, len(body_hash), body_hash)
    ).digest()


def chain_entry(previous: bytes, entry: Entry) -> bytes:
    """Return L of an entry as a reader got it: with its body, or as a tombstone with the hash.

    Raises:
        ValueError: It has neither.
    """
    if entry.body is not None:
        body_hash = sha256(entry.body).digest()
    elif entry.body_hash is not None:
        body_hash = entry.body_hash
    else:
        raise ValueError("an entry needs a body or the hash of one")
    return chain_next(
        previous,
        entry.seq,
        entry.user,
        entry.device,
        entry.n,
        entry.header,
        entry.message_id,
        body_hash,
    )


def login_text(
    server_id: bytes, certificate_hash: bytes, user: str, device: int, counter: int
) -> bytes:
    """Return what a device's login key signs; ``certificate_hash`` is of what this client saw."""
    return join(b"chatd/login/1\0", server_id, certificate_hash, user.encode(), device, counter)


def welcome_text(
    server_id: bytes, tls_key_hash: bytes, not_before_s: int, not_after_s: int
) -> bytes:
    """Return what the server's identity key signs in WELCOME."""
    return join(b"chatd/hello/1\0", server_id, tls_key_hash, not_before_s, not_after_s)


def password_salt(server_id: bytes, user: str) -> bytes:
    """Return the 16-byte Argon2id salt: nothing needs to be fetched to stretch a password."""
    return sha256(join(b"chatd/pw/1\0", server_id, user.encode())).digest()[:16]
