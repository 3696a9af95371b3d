"""The types that a field on the wire can have, each with its bounds and its check.

A spec turns a value that MessagePack produced into the value of a message, or raises
:class:`FieldError`. Checks are exact about types: ``True`` is no integer, ``bytes`` no text.
Specs are used inside ``typing.Annotated``, so that one declaration serves the type checker,
the codec and the documentation.
"""

from collections.abc import Callable
from dataclasses import dataclass
from enum import IntEnum
from typing import Annotated, Protocol

from protocol import limits

Check = Callable[[object], object]


class FieldError(ValueError):
    """A value is outside its declaration. Says what was expected, never what came."""


class Spec(Protocol):
    """What a field's declaration must offer."""

    def reader(self) -> Check:
        """Return the function from one decoded value to what the message holds."""
        ...

    def writer(self) -> Check:
        """Return the function from what the message holds to what is packed."""
        ...

    def describe(self) -> str:
        """Return the type as the documentation writes it."""
        ...

    def longest_list(self) -> int:
        """Return the longest array that a value of this type may hold, at any depth."""
        ...


class Scalar:
    """A type that looks the same in a message and on the wire."""

    __slots__ = ()

    def reader(self) -> Check:
        raise NotImplementedError

    def writer(self) -> Check:
        return self.reader()

    def longest_list(self) -> int:
        return 0


@dataclass(frozen=True, slots=True)
class UInt(Scalar):
    """An integer, ``low <= value <= high``."""

    low: int = 0
    high: int = limits.MAX_INT

    def reader(self) -> Check:
        low, high = self.low, self.high
        message = f"expected an integer from {low} to {high}"

        def check(value: object) -> object:
            if type(value) is int and low <= value <= high:
                return value
            raise FieldError(message)

        return check

    def writer(self) -> Check:
        read = self.reader()

        def check(value: object) -> object:
            return read(int(value) if isinstance(value, IntEnum) else value)

        return check

    def describe(self) -> str:
        for bits in (8, 16, 32):
            if self.low in (0, 1) and self.high == 2**bits - 1:
                return f"u{bits}" if self.low == 0 else f"u{bits} ≥ 1"
        if self.high == limits.MAX_INT:
            return "u53" if self.low == 0 else f"u53 ≥ {self.low}"
        return f"int {self.low}..{self.high}"


@dataclass(frozen=True, slots=True)
class Flag(Scalar):
    """A boolean."""

    def reader(self) -> Check:
        def check(value: object) -> object:
            if value is True or value is False:
                return value
            raise FieldError("expected a boolean")

        return check

    def describe(self) -> str:
        return "bool"


@dataclass(frozen=True, slots=True)
class Bin(Scalar):
    """Bytes, ``low <= len(value) <= high``."""

    low: int
    high: int

    def reader(self) -> Check:
        low, high = self.low, self.high
        message = f"expected {low} to {high} bytes"

        def check(value: object) -> object:
            if type(value) is bytes and low <= len(value) <= high:
                return value
            raise FieldError(message)

        return check

    def describe(self) -> str:
        return f"bin {self.low}" if self.low == self.high else f"bin {self.low}..{self.high}"


@dataclass(frozen=True, slots=True)
class Text(Scalar):
    """A string of valid UTF-8, ``low <= bytes <= high``."""

    low: int
    high: int

    def reader(self) -> Check:
        low, high = self.low, self.high
        message = f"expected text of {low} to {high} bytes"

        def check(value: object) -> object:
            # A lone surrogate cannot come from the wire, but may come from our own caller.
            if type(value) is str:
                size = len(value) if value.isascii() else len(value.encode("utf-8", "replace"))
                if low <= size <= high and (value.isascii() or _encodes(value)):
                    return value
            raise FieldError(message)

        return check

    def describe(self) -> str:
        return f"text {self.low}..{self.high}"


def _or_nil(inner: Check) -> Check:
    def check(value: object) -> object:
        return None if value is None else inner(value)

    return check


def _list_of(inner: Check, high: int) -> Check:
    message = f"expected an array of at most {high}"

    def check(value: object) -> object:
        if type(value) is tuple and len(value) <= high:
            return tuple([inner(item) for item in value])
        raise FieldError(message)

    return check


def _encodes(value: str) -> bool:
    try:
        value.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


@dataclass(frozen=True, slots=True)
class OrNil:
    """Nil, or a value of the inner type."""

    inner: Spec

    def reader(self) -> Check:
        return _or_nil(self.inner.reader())

    def writer(self) -> Check:
        return _or_nil(self.inner.writer())

    def describe(self) -> str:
        return f"{self.inner.describe()} or nil"

    def longest_list(self) -> int:
        return self.inner.longest_list()


@dataclass(frozen=True, slots=True)
class ListOf:
    """An array of at most ``high`` values of the inner type; a tuple in Python."""

    inner: Spec
    high: int

    def reader(self) -> Check:
        return _list_of(self.inner.reader(), self.high)

    def writer(self) -> Check:
        return _list_of(self.inner.writer(), self.high)

    def describe(self) -> str:
        return f"array of ≤ {self.high} ({self.inner.describe()})"

    def longest_list(self) -> int:
        return max(self.high, self.inner.longest_list())


# The vocabulary that messages are declared in.
_USER = Text(1, limits.MAX_USER_BYTES)
_BODY = Bin(0, limits.MAX_BODY_BYTES)
_HASH = Bin(limits.HASH_BYTES, limits.HASH_BYTES)
_TOKEN = Bin(limits.TOKEN_BYTES, limits.TOKEN_BYTES)
_SCRAM = Bin(1, limits.MAX_SCRAM_BYTES)
_REQUEST = UInt(0, limits.MAX_U32)

RequestId = Annotated[int, _REQUEST]
U16 = Annotated[int, UInt(0, 2**16 - 1)]
U32 = Annotated[int, UInt(0, limits.MAX_U32)]
U53 = Annotated[int, UInt()]
Seq = Annotated[int, UInt()]
TimeMs = Annotated[int, UInt()]
Bool = Annotated[bool, Flag()]
User = Annotated[str, _USER]
DeviceNumber = Annotated[int, UInt(1, limits.MAX_U32)]
DeviceName = Annotated[str, Text(1, limits.MAX_DEVICE_NAME_BYTES)]
ConversationId = Annotated[bytes, Bin(limits.CONVERSATION_ID_BYTES, limits.CONVERSATION_ID_BYTES)]
MessageId = Annotated[bytes, Bin(limits.MESSAGE_ID_BYTES, limits.MESSAGE_ID_BYTES)]
Hash = Annotated[bytes, _HASH]
Key = Annotated[bytes, Bin(limits.KEY_BYTES, limits.KEY_BYTES)]
Signature = Annotated[bytes, Bin(limits.SIGNATURE_BYTES, limits.SIGNATURE_BYTES)]
Salt = Annotated[bytes, Bin(limits.SALT_BYTES, limits.SALT_BYTES)]
Token = Annotated[bytes, _TOKEN]
ServerId = Annotated[bytes, Bin(limits.SERVER_ID_BYTES, limits.SERVER_ID_BYTES)]
ScramMessage = Annotated[bytes, _SCRAM]
HeaderBytes = Annotated[bytes, Bin(1, limits.MAX_HEADER_BYTES)]
Body = Annotated[bytes, _BODY]

OptionalRequestId = Annotated[int | None, OrNil(_REQUEST)]
OptionalU53 = Annotated[int | None, OrNil(UInt())]
OptionalUser = Annotated[str | None, OrNil(_USER)]
OptionalBody = Annotated[bytes | None, OrNil(_BODY)]
OptionalHash = Annotated[bytes | None, OrNil(_HASH)]
OptionalToken = Annotated[bytes | None, OrNil(_TOKEN)]
OptionalScramMessage = Annotated[bytes | None, OrNil(_SCRAM)]
