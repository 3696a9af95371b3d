"""Vectors of everything that both sides compute: ids, the chain, signed texts, SCRAM."""

import hmac
from base64 import b64encode
from collections.abc import Iterator
from hashlib import pbkdf2_hmac, sha256

from argon2.low_level import Type, hash_secret_raw
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from protocol import limits
from protocol.derive import (
    chain_entry,
    chain_next,
    direct_id,
    join,
    login_text,
    password_salt,
    welcome_text,
)
from protocol.messages.messaging import Entry
from tests.vectors.plain import Json, to_json
from tests.vectors.samples import pattern

SERVER_ID = bytes(range(16))
HASH = bytes(range(32, 64))
SEED = bytes(range(64, 96))
PASSWORD = "a correct horse"
USER = "juliet"


def _vector(name: str, inputs: dict[str, object], **results: bytes | str) -> dict[str, Json]:
    row: dict[str, Json] = {"name": name, "inputs": {k: to_json(v) for k, v in inputs.items()}}
    for key, value in results.items():
        row[key] = value.hex() if isinstance(value, bytes) else value
    return row


def _key(seed: bytes) -> tuple[Ed25519PrivateKey, bytes]:
    key = Ed25519PrivateKey.from_private_bytes(seed)
    return key, key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)


def derived_vectors() -> Iterator[dict[str, Json]]:
    """Every derived value, with the exact text behind it."""
    yield from _ids()
    yield from _chain()
    yield from _signed()
    yield from _password()


def _ids() -> Iterator[dict[str, Json]]:
    for one, other in (("romeo", "juliet"), ("juliet", "romeo"), ("a", "a"), ("z", "é")):
        text = join(b"chatd/direct/1\0", *sorted((one.encode(), other.encode())))
        users: dict[str, object] = {"one": one, "other": other}
        result = direct_id(one, other)
        yield _vector(f"direct_id {one} {other}", users, text=text, result=result)


def _chain() -> Iterator[dict[str, Json]]:
    previous = direct_id("romeo", "juliet")
    for seq, body in ((1, b"But soft"), (2, b""), (2**53 - 1, b"x" * 100)):
        body_hash = sha256(body).digest()
        identity = pattern(f"id {seq}", 16)
        inputs: dict[str, object] = {
            "previous": previous,
            "seq": seq,
            "user": "romeo",
            "device": seq % 7,
            "n": seq,
            "header": b"\x90",
            "message_id": identity,
            "body_hash": body_hash,
        }
        parts = (previous, seq, b"romeo", seq % 7, seq, b"\x90", identity, body_hash)
        text = join(b"chatd/log/1\0", *parts)
        previous = chain_next(previous, seq, "romeo", seq % 7, seq, b"\x90", identity, body_hash)
        yield _vector(f"chain_next seq {seq}", inputs, text=text, result=previous)
    kept = Entry(7, "romeo", 1, 3, 1_700_000_000_000, b"\x90", pattern("id", 16), b"body")
    tombstone = Entry(
        7, "romeo", 1, 3, 1_700_000_000_000, b"\x90", pattern("id", 16),
        None, sha256(b"body").digest(), 9,
    )  # fmt: skip
    for name, entry in (("with its body", kept), ("as a tombstone", tombstone)):
        inputs = {"previous": HASH, "entry": entry}
        yield _vector(f"chain_entry {name}", inputs, result=chain_entry(HASH, entry))


def _signed() -> Iterator[dict[str, Json]]:
    key, public = _key(SEED)
    for counter in (1, 2**53 - 1):
        text = login_text(SERVER_ID, HASH, USER, 3, counter)
        inputs: dict[str, object] = {
            "server_id": SERVER_ID,
            "certificate_hash": HASH,
            "user": USER,
            "device": 3,
            "counter": counter,
            "private_key": SEED,
            "public_key": public,
        }
        yield _vector(f"login_text counter {counter}", inputs, text=text, signature=key.sign(text))
    for tls_key_hash in (HASH, bytes(32)):
        text = welcome_text(SERVER_ID, tls_key_hash, 1_700_000_000, 1_800_000_000)
        inputs = {
            "server_id": SERVER_ID,
            "tls_key_hash": tls_key_hash,
            "not_before_s": 1_700_000_000,
            "not_after_s": 1_800_000_000,
            "private_key": SEED,
            "public_key": public,
        }
        name = "welcome_text over TLS" if any(tls_key_hash) else "welcome_text without TLS"
        yield _vector(name, inputs, text=text, signature=key.sign(text))


def stretch(password: str, salt: bytes) -> str:
    """The secret that SCRAM sees instead of the password."""
    raw = hash_secret_raw(password.encode(), salt, 3, 65_536, 1, 32, Type.ID)
    return b64encode(raw).decode()


def _mac(key: bytes, text: bytes) -> bytes:
    return hmac.digest(key, text, "sha256")


def _password() -> Iterator[dict[str, Json]]:
    salt = password_salt(SERVER_ID, USER)
    text = join(b"chatd/pw/1\0", SERVER_ID, USER.encode())
    inputs: dict[str, object] = {"server_id": SERVER_ID, "user": USER}
    yield _vector("password_salt", inputs, text=text, result=salt)
    secret = stretch(PASSWORD, salt)
    inputs = {**inputs, "password": PASSWORD}
    yield _vector("stretched password", inputs, result=secret)

    scram_salt = pattern("scram salt", 16)
    salted = pbkdf2_hmac("sha256", secret.encode(), scram_salt, limits.SCRAM_ITERATIONS)
    client_key, server_key = _mac(salted, b"Client Key"), _mac(salted, b"Server Key")
    stored_key = sha256(client_key).digest()
    inputs = {"secret": secret, "salt": scram_salt}
    yield _vector("SCRAM verifier", inputs, stored_key=stored_key, server_key=server_key)

    for name, gs2, binding in (
        ("SCRAM-SHA-256-PLUS", b"p=tls-server-end-point,,", HASH),
        ("SCRAM-SHA-256", b"n,,", b""),
    ):
        first_bare = b"n=juliet,r=client+nonce"
        challenge = b"r=client+nonceserver+nonce,s=" + b64encode(scram_salt) + b",i=4096"
        without_proof = b"c=" + b64encode(gs2 + binding) + b",r=client+nonceserver+nonce"
        auth = first_bare + b"," + challenge + b"," + without_proof
        signature = _mac(stored_key, auth)
        proof = bytes(a ^ b for a, b in zip(client_key, signature, strict=True))
        inputs = {"user": USER, "secret": secret, "salt": scram_salt, "certificate_hash": binding}
        yield _vector(
            name,
            inputs,
            client_first=(gs2 + first_bare).decode(),
            server_first=challenge.decode(),
            client_final=(without_proof + b",p=" + b64encode(proof)).decode(),
            server_final="v=" + b64encode(_mac(server_key, auth)).decode(),
        )
