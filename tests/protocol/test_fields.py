"""The vocabulary of fields: exact types, described as the documentation writes them."""

from enum import IntEnum

import pytest

from protocol.declare import StructOf
from protocol.fields import Bin, FieldError, Flag, ListOf, OrNil, Scalar, Spec, Text, UInt
from protocol.messages.messaging import Ack


class Colour(IntEnum):
    """An enumeration that a caller may put into an integer field."""

    RED = 1


@pytest.mark.parametrize(
    ("spec", "described"),
    [
        (UInt(0, 255), "u8"),
        (UInt(0, 65_535), "u16"),
        (UInt(0, 2**32 - 1), "u32"),
        (UInt(1, 2**32 - 1), "u32 ≥ 1"),
        (UInt(), "u53"),
        (UInt(1), "u53 ≥ 1"),
        (UInt(1, 100), "int 1..100"),
        (Flag(), "bool"),
        (Bin(16, 16), "bin 16"),
        (Bin(0, 9), "bin 0..9"),
        (Text(1, 64), "text 1..64"),
        (OrNil(UInt()), "u53 or nil"),
        (ListOf(StructOf(Ack), 64), "array of ≤ 64 (Ack)"),
    ],
)
def test_spec_describes_itself(spec: Spec, described: str) -> None:
    assert spec.describe() == described


def test_integer_takes_an_enumeration_from_a_caller_but_writes_a_plain_number() -> None:
    written = UInt(0, 255).writer()(Colour.RED)
    assert (written, type(written)) == (1, int)
    with pytest.raises(FieldError):
        UInt(0, 255).reader()(Colour.RED)


def test_text_counts_bytes_and_refuses_a_lone_surrogate() -> None:
    check = Text(1, 4).writer()
    assert check("éé") == "éé"
    for bad in ("éé1", "", "\ud800", "a\ud800"):
        with pytest.raises(FieldError, match="expected text of 1 to 4 bytes"):
            check(bad)


def test_list_is_a_tuple_on_both_sides() -> None:
    spec = ListOf(UInt(0, 9), 2)
    assert spec.reader()((1, 2)) == (1, 2)
    for bad in ([1, 2], (1, 2, 3), (10,), None):
        with pytest.raises(FieldError):
            spec.writer()(bad)


def test_longest_list_is_found_at_any_depth() -> None:
    assert ListOf(ListOf(UInt(), 9), 3).longest_list() == 9
    assert OrNil(ListOf(UInt(), 5)).longest_list() == 5
    assert UInt().longest_list() == 0


def test_scalar_without_a_check_is_a_mistake() -> None:
    with pytest.raises(NotImplementedError):
        Scalar().writer()
