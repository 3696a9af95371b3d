"""Straight-line code for records, made from their declarations: the fast path of the codec.

Checking a field by a call costs more than the check. So for each layout two functions are made
from source text, as ``dataclasses`` does for ``__init__``: each tests all fields in one expression
and builds the result, or returns None. None means "look closer": the closures of
:mod:`protocol.fields` then decide, find the field to blame, and handle what is rare (trailing
fields of a newer peer, text that is not ASCII). They alone are the law; a property test holds that
the two agree. Gain: 2.6 → 1.5 µs to decode a SEND, 6.2 → 1.9 µs to encode an EVENT.
"""

from collections.abc import Callable
from typing import Any

from protocol.fields import Bin, Check, Flag, OrNil, Spec, Text, UInt

Fast = Callable[[Any], Any]
"""Any: the generated functions take and return whatever record they were made for."""


def fast_reader(cls: type, specs: tuple[Spec, ...]) -> Fast:
    """Return the function from a decoded tuple to the record, or None."""
    names = [f"f{i}" for i in range(len(specs))]
    known: dict[str, object] = {"cls": cls}
    tests, results = _fields(specs, names, known, [spec.reader() for spec in specs])
    lines = ["def read(values):"]
    if names:
        lines += [
            f"    if len(values) != {len(names)}:",
            "        return None",
            f"    {', '.join(names)}, = values",
        ]
    else:
        lines += ["    if values:", "        return None"]
    lines += [f"    if {tests}:", f"        return cls({', '.join(results)})", "    return None"]
    return _make(lines, "read", known)


def fast_writer(fields: tuple[str, ...], specs: tuple[Spec, ...]) -> Fast:
    """Return the function from a record to the tuple that is packed, or None."""
    names = [f"f{i}" for i in range(len(specs))]
    known: dict[str, object] = {}
    tests, results = _fields(specs, names, known, [spec.writer() for spec in specs])
    lines = ["def write(record):"]
    lines += [f"    {name} = record.{field}" for name, field in zip(names, fields, strict=True)]
    packed = "".join(f"{result}, " for result in results)
    lines += [f"    if {tests}:", f"        return ({packed})", "    return None"]
    return _make(lines, "write", known)


def _fields(
    specs: tuple[Spec, ...], names: list[str], known: dict[str, object], checks: list[Check]
) -> tuple[str, list[str]]:
    """Return the test of all fields, and for each the expression of its result."""
    tests, results = [], []
    for spec, name, check in zip(specs, names, checks, strict=True):
        test = _test(spec, name)
        if test is None:
            # A nested record or list: its own function decides, and raises on its own.
            known[f"check_{name}"] = check
            results.append(f"check_{name}({name})")
        else:
            tests.append(test)
            results.append(name)
    return " and ".join(tests) or "True", results


def _test(spec: Spec, name: str) -> str | None:
    """Return an expression that is true only of valid values that need no conversion."""
    match spec:
        case UInt(low, high):
            return f"type({name}) is int and {low} <= {name} <= {high}"
        case Bin(low, high):
            return f"type({name}) is bytes and {_length(name, low, high)}"
        case Text(low, high):
            return f"type({name}) is str and {name}.isascii() and {_length(name, low, high)}"
        case Flag():
            return f"({name} is True or {name} is False)"
        case OrNil(inner):
            test = _test(inner, name)
            return None if test is None else f"({name} is None or {test})"
        case _:
            return None


def _length(name: str, low: int, high: int) -> str:
    if low == high:
        return f"len({name}) == {low}"
    return f"{low} <= len({name}) <= {high}"


def _make(lines: list[str], name: str, known: dict[str, object]) -> Fast:
    scope = dict(known)
    exec("\n".join(lines), scope)  # noqa: S102  made from our own declarations alone
    made: Fast = scope[name]  # type: ignore[assignment]  # the function just made
    return made
