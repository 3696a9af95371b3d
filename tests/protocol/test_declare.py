"""Declarations: one message an op, positional records, optional fields only at the end."""

from typing import Annotated

import pytest

from protocol import limits
from protocol.declare import LAYOUTS, MESSAGES, Message, StructOf, layout_of, message, struct
from protocol.fields import FieldError, UInt
from protocol.messages.session import Ping
from protocol.ops import Op, Role


@struct
class Pair:
    """A record declared like those of the protocol."""

    one: Annotated[int, UInt(0, 9)]
    two: Annotated[int, UInt(0, 9)] = 5


def test_record_is_read_by_position() -> None:
    layout = layout_of(Pair)
    assert layout.read((1, 2)) == Pair(1, 2)
    assert layout.read((1,)) == Pair(1, 5)
    assert layout.write(Pair(3)) == (3, 5)


def test_record_skips_unknown_trailing_fields_up_to_their_bound() -> None:
    layout = layout_of(Pair)
    most = limits.MAX_UNKNOWN_FIELDS
    assert layout.read((1, 2, *[None] * most)) == Pair(1, 2)
    with pytest.raises(FieldError, match="expected 1 to 18 fields"):
        layout.read((1, 2, *[None] * (most + 1)))
    with pytest.raises(FieldError, match="expected 1 to 18 fields"):
        layout.read(())
    with pytest.raises(FieldError, match="expected an array"):
        layout.read([1, 2])


def test_error_names_the_field() -> None:
    with pytest.raises(FieldError, match="two: expected an integer from 0 to 9"):
        layout_of(Pair).read((1, 10))
    with pytest.raises(FieldError, match="one: expected an integer from 0 to 9"):
        layout_of(Pair).write(Pair(10))


def test_record_inside_a_message_is_of_its_class() -> None:
    write = StructOf(Pair).writer()
    assert write(Pair(1)) == (1, 5)
    with pytest.raises(FieldError, match="expected Pair"):
        write((1, 5))


def test_op_cannot_be_declared_twice() -> None:
    class Again(Message):
        """A second PING."""

    layouts = dict(LAYOUTS)
    with pytest.raises(TypeError, match="declared twice"):
        message(Op.PING, Role.CLIENT)(Again)
    assert MESSAGES[Op.PING] is Ping
    assert layouts == LAYOUTS


def test_every_declared_message_says_what_it_is() -> None:
    assert all(cls.__doc__ and cls.__doc__.rstrip().endswith(".") for cls in MESSAGES.values())


def test_message_is_small_in_memory() -> None:
    assert not hasattr(Ping(1), "__dict__")
