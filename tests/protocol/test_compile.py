"""The compiled fast path never decides otherwise than the closures that it stands in for."""

import random
from dataclasses import fields

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol.compile import fast_reader, fast_writer
from protocol.declare import LAYOUTS
from protocol.fields import FieldError

RECORDS = sorted(LAYOUTS, key=lambda cls: cls.__qualname__)

SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-2, 3),
    st.sampled_from([2**16, 2**32 - 1, 2**32, 2**53 - 1, 2**53, 2**64 - 1]),
    st.binary(max_size=66),
    st.sampled_from([bytes(16), bytes(32), bytes(64)]),
    st.text(max_size=70),
    st.just(()),
)


@given(data=st.data())
@pytest.mark.parametrize("cls", RECORDS, ids=lambda cls: cls.__qualname__)
def test_fast_reader_agrees_with_the_closures_on_any_values(cls: type, data: st.DataObject) -> None:
    layout = LAYOUTS[cls]
    specs = tuple(field.spec for field in layout.fields)
    values = tuple(data.draw(SCALARS) for _ in specs)
    try:
        expected: object = cls(
            *[spec.reader()(value) for spec, value in zip(specs, values, strict=True)]
        )
    except FieldError:
        expected = None
    try:
        fast = fast_reader(cls, specs, lambda _: None)(values)
    except FieldError:
        fast = None
    if fast is not None:
        assert fast == expected
    elif expected is not None:
        # Left to the closures: only text beyond ASCII may be.
        assert any(isinstance(value, str) and not value.isascii() for value in values)


@pytest.mark.parametrize("cls", RECORDS, ids=lambda cls: cls.__qualname__)
def test_fast_writer_refuses_or_agrees_on_any_values(cls: type) -> None:
    layout = LAYOUTS[cls]
    names = tuple(field.name for field in fields(cls))
    specs = tuple(field.spec for field in layout.fields)
    write = fast_writer(names, specs, lambda _: None)
    pool = [None, True, 0, 1, 2**53, b"", bytes(16), bytes(32), "", "romeo", (), 1.5]
    choose = random.Random(cls.__qualname__)
    for _ in range(200):
        values = [choose.choice(pool) for _ in names]
        try:
            expected = tuple(
                spec.writer()(value) for spec, value in zip(specs, values, strict=True)
            )
        except FieldError:
            expected = None
        try:
            fast = write(cls(*values))
        except FieldError:
            fast = None
        assert fast == expected
