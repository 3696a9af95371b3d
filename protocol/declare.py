"""How a message is declared: a dataclass whose fields are ``Annotated`` with their specs.

``@struct`` makes a positional record, ``@message(op, sender)`` one that travels as a frame. Both
are frozen to the type checker and plain slots at run time (96 ns to build instead of 329). The
:class:`Layout` made here is what the codec, the validators, the reference tables and the golden
vectors are generated from.
"""

from collections.abc import Callable
from dataclasses import MISSING, dataclass, fields
from typing import ClassVar, Final, Generic, TypeVar, cast, dataclass_transform, get_type_hints

from protocol import limits
from protocol.compile import fast_reader, fast_writer
from protocol.fields import Check, FieldError, Spec
from protocol.ops import Op, Role

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Field:
    """One declared position."""

    name: str
    spec: Spec
    required: bool


class Layout(Generic[T]):
    """The fields of one record in wire order, and the way from and to plain values."""

    __slots__ = (
        "_count",
        "_most",
        "_names",
        "_readers",
        "_required",
        "_writers",
        "cls",
        "fields",
        "read",
        "write",
    )

    def __init__(self, cls: type[T], declared: tuple[Field, ...]) -> None:
        self.cls = cls
        self.fields = declared
        self._names = tuple(field.name for field in declared)
        self._readers = tuple(field.spec.reader() for field in declared)
        self._writers = tuple(field.spec.writer() for field in declared)
        specs = tuple(field.spec for field in declared)
        self.read: Callable[[object], T] = fast_reader(cls, specs, self._read)
        """Build the record from a decoded array; unknown trailing fields are skipped.

        Raises FieldError: not an array, too few or too many fields, or one out of its bounds.
        """
        self.write: Callable[[T], tuple[object, ...]] = fast_writer(self._names, specs, self._write)
        """Return the record as the array that is packed.

        Raises FieldError: a field is out of its bounds, a bug of the caller.
        """
        self._required = sum(field.required for field in declared)
        self._count = len(declared)
        self._most = self._count + limits.MAX_UNKNOWN_FIELDS

    def _read(self, values: object) -> T:
        if type(values) is not tuple:
            raise FieldError("expected an array")
        if not self._required <= len(values) <= self._most:
            raise FieldError(f"expected {self._required} to {self._most} fields")
        try:
            return self.cls(*[read(v) for read, v in zip(self._readers, values, strict=False)])
        except FieldError as error:
            raise self._named(error, self._readers, values) from None

    def _write(self, record: T) -> tuple[object, ...]:
        values = tuple([getattr(record, name) for name in self._names])
        try:
            return tuple([write(v) for write, v in zip(self._writers, values, strict=True)])
        except FieldError as error:
            raise self._named(error, self._writers, values) from None

    def longest_list(self) -> int:
        """Return the longest array that any well-formed value of this layout contains."""
        inner = max((field.spec.longest_list() for field in self.fields), default=0)
        return max(self._most, inner)

    def _named(
        self, error: FieldError, checks: tuple[Check, ...], values: tuple[object, ...]
    ) -> FieldError:
        # Off the hot path: find the field again, so that the fast loop need not track names.
        for name, check, value in zip(self._names, checks, values, strict=False):
            try:
                check(value)
            except FieldError as inner:
                return FieldError(f"{name}: {inner}")
        return error


class Message:
    """Base of everything that travels as a frame."""

    __slots__ = ()

    OP: ClassVar[Op]
    SENDER: ClassVar[Role]


M = TypeVar("M", bound=Message)

LAYOUTS: Final[dict[type, Layout[object]]] = {}
"""Every declared record."""
MESSAGES: Final[dict[Op, type[Message]]] = {}
"""Every declared message, by its op."""


def _declare(cls: type[T]) -> type[T]:
    made = dataclass(slots=True)(cls)
    hints = get_type_hints(made, include_extras=True)
    declared = tuple(
        Field(
            field.name,
            cast(Spec, hints[field.name].__metadata__[0]),
            field.default is MISSING,
        )
        for field in fields(made)  # type: ignore[arg-type]  # made by dataclass() just above
    )
    LAYOUTS[made] = cast("Layout[object]", Layout(made, declared))
    return made


@dataclass_transform(frozen_default=True)
def struct(cls: type[T]) -> type[T]:
    """Declare a positional record that stands inside a message or a signed text."""
    return _declare(cls)


@dataclass_transform(frozen_default=True)
def message(op: Op, sender: Role) -> Callable[[type[M]], type[M]]:
    """Declare what the frame ``op`` carries, and which role sends it.

    Raises:
        TypeError: The op has a message already.
    """

    def declare(cls: type[M]) -> type[M]:
        if op in MESSAGES:
            raise TypeError(f"op {op!r} is declared twice")
        made = _declare(cls)
        made.OP, made.SENDER = op, sender
        MESSAGES[op] = made
        return made

    return declare


def layout_of(cls: type[T]) -> Layout[T]:
    """Return the layout of a declared record."""
    return cast("Layout[T]", LAYOUTS[cls])


@dataclass(frozen=True, slots=True)
class StructOf:
    """The spec of a field that holds a declared record."""

    cls: type

    def reader(self) -> Check:
        return layout_of(self.cls).read

    def writer(self) -> Check:
        layout: Layout[object] = layout_of(self.cls)
        cls = self.cls

        def write(value: object) -> object:
            if type(value) is not cls:
                raise FieldError(f"expected {cls.__name__}")
            return layout.write(value)

        return write

    def describe(self) -> str:
        return self.cls.__name__

    def longest_list(self) -> int:
        return layout_of(self.cls).longest_list()
