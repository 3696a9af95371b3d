"""Error codes as data: complete, unique, and honest about who closes and who may retry."""

from enum import unique

import pytest

from protocol import limits
from protocol.errors import (
    ERRORS,
    ErrorCode,
    FrameTooLarge,
    LocalProtocolError,
    Malformed,
    ProtocolError,
    RemoteProtocolError,
    UnexpectedFrame,
    UnknownOp,
)


def test_every_code_has_a_row_and_every_row_a_code() -> None:
    assert set(ERRORS) == set(ErrorCode)
    assert unique(ErrorCode) is ErrorCode


@pytest.mark.parametrize("code", ErrorCode, ids=lambda code: code.name)
def test_row_can_be_sent_and_read(code: ErrorCode) -> None:
    info = ERRORS[code]
    assert 0 < len(info.text.encode()) <= limits.MAX_ERROR_TEXT_BYTES
    assert info.text.isascii()
    assert info.when.endswith(".")
    assert 0 < code < 2**16


def test_each_exception_has_a_code_of_its_own_that_closes() -> None:
    classes = RemoteProtocolError.__subclasses__()
    assert len({cls.code for cls in classes}) == len(classes)
    assert all(ERRORS[cls.code].fatal for cls in classes)


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (Malformed(9, "nonce: expected an integer"), "malformed body of op 0x09: nonce: expected"),
        (FrameTooLarge(5, 4), "frame of 5 bytes exceeds the limit of 4"),
        (UnknownOp(0xEE), "op 0xee is not declared for this direction"),
        (UnexpectedFrame(1, "READY"), "op 0x01 is not legal in state READY"),
    ],
)
def test_exception_says_what_happened(error: RemoteProtocolError, text: str) -> None:
    assert str(error).startswith(text)
    assert isinstance(error, ProtocolError)
    assert not isinstance(error, LocalProtocolError)
