"""The bounds agree with one another."""

from protocol import limits
from protocol.header import ClearHeader, encode_header


def test_bounds_are_positive_integers() -> None:
    bounds = {name: value for name, value in vars(limits).items() if name.isupper()}
    assert bounds
    assert all(type(value) is int and value > 0 for value in bounds.values())


def test_smaller_things_fit_into_larger_ones() -> None:
    assert limits.MAX_EARLY_FRAME_BYTES < limits.MAX_FRAME_BYTES
    assert limits.MAX_BODY_BYTES + limits.MAX_HEADER_BYTES < limits.MAX_PAGE_BYTES
    assert limits.MAX_PAGE_BYTES < limits.MAX_FRAME_BYTES
    # Any one frame of a session can be pipelined behind a login.
    assert limits.MAX_HELD_BYTES >= limits.MAX_BODY_BYTES + limits.MAX_HEADER_BYTES + 1_024
    assert limits.MAX_INT == 2**53 - 1


def test_full_clear_header_fits() -> None:
    header = ClearHeader(
        1,
        limits.MAX_INT,
        (bytes(limits.ASSET_ID_BYTES),) * limits.MAX_HEADER_ASSETS,
        limits.MAX_INT,
        bytes(limits.HASH_BYTES),
        2,
        ("u" * limits.MAX_USER_BYTES,) * limits.MAX_HEADER_USERS,
    )
    assert len(encode_header(header)) <= limits.MAX_HEADER_BYTES
