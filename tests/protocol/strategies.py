"""Values from declarations: Hypothesis strategies, and each field's bounds at N and N + 1.

Everything is read from the specs of ``protocol.declare``, so that a new message is covered the
moment it is declared.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from hypothesis import strategies as st

from protocol import limits
from protocol.declare import LAYOUTS, MESSAGES, Field, Layout, Message, StructOf, layout_of
from protocol.fields import Bin, Flag, ListOf, OrNil, Spec, Text, UInt
from protocol.ops import Op


def values(spec: Spec) -> st.SearchStrategy[object]:
    """Any value that a spec allows, lists and bodies kept short."""
    match spec:
        case UInt(low, high):
            return st.sampled_from([low, high]) | st.integers(low, high)
        case Flag():
            return st.booleans()
        case Bin(low, high):
            return st.binary(min_size=low, max_size=min(high, low + 300))
        case Text(low, high):
            characters = st.characters(exclude_categories=["Cs"])
            texts = st.text(characters, min_size=low, max_size=max(low, high // 4))
            return texts.filter(lambda text: low <= len(text.encode()) <= high)
        case OrNil(inner):
            return st.none() | values(inner)
        case ListOf(inner, high):
            return st.lists(values(inner), max_size=min(high, 4)).map(tuple)
        case StructOf(cls):
            return records(cls)
        case _:
            raise AssertionError(f"no strategy for {spec!r}")


def records(cls: type) -> st.SearchStrategy[object]:
    """Any record of a declared class."""
    layout: Layout[object] = layout_of(cls)
    return st.builds(cls, *[values(field.spec) for field in layout.fields])


def messages(op: Op | None = None) -> st.SearchStrategy[Message]:
    """Any message, or any of one op."""
    classes = list(MESSAGES.values()) if op is None else [MESSAGES[op]]
    return st.one_of([st.builds(cls, *[values(f.spec) for f in fields_of(cls)]) for cls in classes])


def fields_of(cls: type) -> tuple[Field, ...]:
    return LAYOUTS[cls].fields


def plain(record: object) -> tuple[object, ...]:
    """A record as the array that is packed, without any check."""
    return tuple(_plain(getattr(record, field.name)) for field in fields_of(type(record)))


def _plain(value: object) -> object:
    if isinstance(value, tuple):
        return tuple(_plain(item) for item in value)
    return plain(value) if type(value) in LAYOUTS else value


def smallest(spec: Spec) -> object:
    """The least value that a spec allows, as it is packed."""
    return edges(spec)[0][0]


def edges(spec: Spec) -> tuple[list[object], list[object]]:
    """The values at a spec's bounds, as they are packed: those just inside, those just outside."""
    match spec:
        case UInt(low, high):
            beyond = [2**53, 2**63, 2**64 - 1, -1, -(2**63)]
            return [low, high], [low - 1, high + 1, *beyond, 1.0, float("nan"), True, None, "1"]
        case Flag():
            return [False, True], [0, 1, None, "true"]
        case Bin(low, high):
            outside: list[object] = [bytes(high + 1), "a" * low, None, [0] * min(low, 16)]
            return [bytes(low), bytes(high)], [*outside, *([bytes(low - 1)] if low else [])]
        case Text(low, high):
            long, wide = "é" * (high // 2), "a" * high
            bad: list[object] = [
                wide + "a",
                long + "a" * (high % 2) + "é",
                b"a" * max(low, 1),
                None,
            ]
            return ["a" * low, wide, long], [*bad, *(["a" * (low - 1)] if low else [])]
        case OrNil(inner):
            good, bad = edges(inner)
            return [None, *good], [value for value in bad if value is not None]
        case ListOf(inner, high):
            good, bad = edges(inner)
            least = good[0]
            return (
                [(), (least,) * high, *[(value,) for value in good]],
                [(least,) * (high + 1), None, b"", *[(value,) for value in bad]],
            )
        case StructOf(cls):
            fields = fields_of(cls)
            least_record = tuple(smallest(field.spec) for field in fields)
            return [least_record], [None, (), least_record[:1], 1, b""]
        case _:
            raise AssertionError(f"no bounds for {spec!r}")


@dataclass(frozen=True)
class Place:
    """One field of a record inside a message, and how to put a value there."""

    op: Op
    path: str
    spec: Spec

    def body_with(self, value: object) -> tuple[object, ...]:
        """The message's array with every other field at its least."""
        result = _with(MESSAGES[self.op], self.path.split("."), value)
        assert isinstance(result, tuple)
        return result


def _with(cls: type, path: list[str], value: object) -> object:
    row: list[object] = []
    for field in fields_of(cls):
        if field.name != path[0]:
            row.append(smallest(field.spec))
        elif len(path) == 1:
            row.append(value)
        elif isinstance(field.spec, ListOf):
            assert isinstance(field.spec.inner, StructOf)
            row.append((_with(field.spec.inner.cls, path[1:], value),))
        else:
            assert isinstance(field.spec, StructOf)
            row.append(_with(field.spec.cls, path[1:], value))
    return tuple(row)


def places() -> Iterator[Place]:
    """Every field of every message, those of inner records included."""
    for op, cls in MESSAGES.items():
        yield from _places(op, cls, "")


def _places(op: Op, cls: type, prefix: str) -> Iterator[Place]:
    for field in fields_of(cls):
        yield Place(op, prefix + field.name, field.spec)
        spec = field.spec.inner if isinstance(field.spec, ListOf) else field.spec
        if isinstance(spec, StructOf):
            yield from _places(op, spec.cls, f"{prefix}{field.name}.")


def largest_bytes(spec: Spec) -> int:
    """How long the packed value of a spec can be, at most."""
    match spec:
        case UInt(_, high):
            return (
                1
                if high < 128
                else 2
                if high < 2**8
                else 3
                if high < 2**16
                else 5
                if high < 2**32
                else 9
            )
        case Flag():
            return 1
        case Bin(_, high):
            return high + (2 if high < 2**8 else 3)
        case Text(_, high):
            return high + (1 if high < 32 else 2 if high < 2**8 else 3)
        case OrNil(inner):
            return largest_bytes(inner)
        case ListOf(inner, high):
            return (1 if high < 16 else 3) + high * largest_bytes(inner)
        case StructOf(cls):
            return largest_record_bytes(cls)
        case _:
            raise AssertionError(f"no size for {spec!r}")


def largest_record_bytes(cls: type) -> int:
    """How long a packed record can be, at most."""
    fields = fields_of(cls)
    assert len(fields) <= limits.MAX_UNKNOWN_FIELDS
    return (1 if len(fields) < 16 else 3) + sum(largest_bytes(field.spec) for field in fields)
