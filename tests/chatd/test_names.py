"""Names as they are accepted, and any text as input."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatd.names import valid_name, valid_user_name


@pytest.mark.parametrize("name", ["romeo", "r", "rómeo", "ромео", "罗密欧", "r.o_m-e0"])
def test_prepared_user_name_is_accepted(name: str) -> None:
    assert valid_user_name(name)


@pytest.mark.parametrize(
    "name", ["", "Romeo", " romeo", "ro meo", "ro\tmeo", "ｒomeo", "e\u0301", "a\u202eb", "\ud800"]
)
def test_other_user_name_is_refused(name: str) -> None:
    assert not valid_user_name(name)


@given(st.text(max_size=64))
def test_any_text_is_a_user_name_or_not(name: str) -> None:
    if valid_user_name(name):
        assert valid_name(name)  # what is fit for a user name can be shown


@pytest.mark.parametrize("name", ["", "Romeo Montague", "罗密欧 ❤"])
def test_name_that_can_be_shown_is_accepted(name: str) -> None:
    assert valid_name(name)


@pytest.mark.parametrize("name", [" a", "a ", "a\nb", "\x1b[0m", "\u202ea", "a\x00"])
def test_name_that_cannot_be_shown_is_refused(name: str) -> None:
    assert not valid_name(name)
