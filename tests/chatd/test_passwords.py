"""The server's side of SCRAM against anything that a client may say."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatd.passwords import Exchange, ProofFailed
from protocol import limits
from storage.types import Verifier

SECRET = bytes(range(32))
BINDING = bytes(range(32, 64))
NONCE = bytes(24)
HEADER = "p=tls-server-end-point,,"
FIRST = f"{HEADER}n=romeo,r=0123456789abcdef0123"
VERIFIER = Verifier(bytes(16), bytes(32), bytes(32))

attributes = st.text(st.sampled_from("abcimnprsty=,2C3D0123AZ/+é\0"), max_size=60)


def nobody(_: str) -> Verifier | None:
    return None


@given(st.one_of(st.binary(max_size=512), attributes.map(lambda t: (HEADER + t).encode())))
def test_exchange_refuses_any_first_message_in_one_way(message: bytes) -> None:
    try:
        challenge = Exchange(SECRET, BINDING, NONCE).first(message, nobody)
    except ProofFailed:
        return
    assert len(challenge) <= limits.MAX_SCRAM_BYTES


@given(
    st.one_of(
        st.binary(max_size=512),
        attributes.map(str.encode),
        st.tuples(attributes, attributes, attributes).map(
            lambda parts: "c={},r={},p={}".format(*parts).encode()
        ),
    )
)
def test_exchange_refuses_any_final_message_in_one_way(message: bytes) -> None:
    exchange = Exchange(SECRET, BINDING, NONCE)
    exchange.first(FIRST.encode(), lambda _: VERIFIER)
    with pytest.raises(ProofFailed):
        exchange.final(message)


def test_exchange_cannot_be_ended_before_it_began() -> None:
    with pytest.raises(ProofFailed):
        Exchange(SECRET, BINDING, NONCE).final(b"c=biws,r=abc,p=AAAA")


def test_unknown_user_looks_the_same_at_every_try_and_server() -> None:
    def challenge(secret: bytes, user: str) -> bytes:
        first = FIRST.replace("romeo", user).encode()
        return Exchange(secret, BINDING, NONCE).first(first, nobody)

    assert challenge(SECRET, "a") == challenge(SECRET, "a")
    assert challenge(SECRET, "a") != challenge(SECRET, "b")
    assert challenge(SECRET, "a") != challenge(bytes(32), "a")


def test_fault_in_the_look_up_is_no_wrong_password() -> None:
    def fails(_: str) -> Verifier | None:
        raise LookupError("ours")

    with pytest.raises(LookupError, match="ours"):
        Exchange(SECRET, BINDING, NONCE).first(FIRST.encode(), fails)
