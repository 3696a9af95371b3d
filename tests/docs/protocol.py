"""The tables of ``docs/protocol.md``, made from the declarations, and put between its markers.

``python -m tests.docs.protocol --write`` brings the page up to date; without ``--write`` it says
whether it is, and exits 1 if not.
"""

import sys
from collections.abc import Callable, Sequence
from itertools import groupby
from pathlib import Path

from protocol import limits
from protocol.declare import LAYOUTS, MESSAGES, Field, StructOf
from protocol.errors import ERRORS
from protocol.fields import ListOf, OrNil, Spec
from protocol.header import ClearHeader
from protocol.ops import Op, Role
from protocol.state import HOLDS, MOVES, State
from tests.docs.source import comments, constants, members

PAGE = Path(__file__).resolve().parents[2] / "docs" / "protocol.md"
AREAS = {0x00: "Session", 0x10: "Messaging", 0x20: "Account and devices"}
_ARROWS = {Role.CLIENT: "client → server", Role.SERVER: "server → client"}


def table(head: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    """A Markdown table; bars inside cells are escaped."""
    lines: list[tuple[str, ...]] = [head, tuple("---" for _ in head), *rows]
    return "\n".join(
        "| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines
    )


def prose(text: str) -> str:
    """A docstring or comment as Markdown: one line, code in single backticks."""
    return " ".join(text.split()).replace("``", "`")


def states_of(op: Op) -> str:
    """The states in which an op is legal, by name."""
    return ", ".join(state.name.lower() for state in State if op in MOVES[state])


def op_index() -> str:
    """Every op: number, name, direction, states, and what it is."""
    rows = [
        (
            f"`{op:#04x}`",
            f"[{op.name}](#op-{op.name.lower()})",
            _ARROWS[MESSAGES[op].SENDER],
            states_of(op),
        )
        for op in Op
    ]
    return table(("op", "name", "direction", "legal in"), rows)


def _field(field: Field, said: dict[str, str]) -> tuple[str, ...]:
    described = field.spec.describe()
    for cls in _structs(field.spec):
        described = described.replace(cls.__name__, f"[{cls.__name__}](#record-{_anchor(cls)})")
    meaning = prose(said.get(field.name, ""))
    if not field.required:
        meaning += "; may be left out" if meaning else "may be left out"
    return f"`{field.name}`", described, meaning


def _anchor(cls: type) -> str:
    return cls.__name__.lower()


def _structs(spec: Spec) -> list[type]:
    match spec:
        case StructOf(cls):
            return [cls]
        case ListOf(inner) | OrNil(inner):
            return _structs(inner)
        case _:
            return []


def fields_table(cls: type) -> str:
    """The fields of a record in wire order."""
    fields, said = LAYOUTS[cls].fields, comments(cls)
    if not fields:
        return "No fields: the body is an empty array."
    return table(("field", "type", "meaning"), [_field(field, said) for field in fields])


def op_pages() -> str:
    """A section for each op, and for each record that stands in one, by area."""
    parts: list[str] = []
    written: set[type] = set()
    for area, ops in groupby(Op, key=lambda op: op & 0xF0):
        parts.append(f"### {AREAS[area]}")
        for op in ops:
            cls = MESSAGES[op]
            parts.append(f"#### Op {op.name}")
            place = f"`{op:#04x}`, {_ARROWS[cls.SENDER]}, legal in: {states_of(op)}."
            parts.append(f"{place} {prose(cls.__doc__ or '')}")
            parts.append(fields_table(cls))
            for field in LAYOUTS[cls].fields:
                for record in _structs(field.spec):
                    if record not in written:
                        written.add(record)
                        parts.append(f"##### Record {record.__name__}")
                        parts.append(prose(record.__doc__ or ""))
                        parts.append(fields_table(record))
    return "\n\n".join(parts)


def header_fields() -> str:
    """The fields of the clear header."""
    return fields_table(ClearHeader)


def errors() -> str:
    """Every error code."""
    rows = [
        (
            str(int(code)),
            f"`{code.name.lower()}`",
            info.text,
            "yes" if info.retryable else "no",
            "yes" if info.fatal else "no",
            prose(info.when),
        )
        for code, info in ERRORS.items()
    ]
    return table(("code", "name", "text", "retryable", "always ends", "when, and what to do"), rows)


def bounds() -> str:
    """Every limit of the wire with its reason."""
    said = constants(limits)
    rows = [
        (f"`{name}`", f"{value:,}" if value < 2**53 - 1 else "2⁵³ − 1", prose(said[name]))
        for name, value in vars(limits).items()
        if name.isupper()
    ]
    return table(("name", "value", "why"), rows)


def _label(ops: list[Op]) -> str:
    if len(ops) > 12:
        return "session ops"
    return ", ".join(
        f"{op.name} {'C' if MESSAGES[op].SENDER is Role.CLIENT else 'S'}" for op in ops
    )


def diagram() -> str:
    """The states and moves as a Mermaid diagram; C and S say who sends."""
    lines = ["```mermaid", "stateDiagram-v2", "    [*] --> CONNECTED"]
    for state, row in MOVES.items():
        for new in State:
            ops = [op for op in row if row[op] is new]
            if ops:
                lines.append(f"    {state.name} --> {new.name}: {_label(ops)}")
    lines += ["    CLOSED --> [*]", "```"]
    said = members(State)
    meanings = [(f"`{state.name}`", prose(said[state.name])) for state in State]
    session = ", ".join(
        op.name for op in MOVES[State.READY] if MOVES[State.READY][op] is State.READY
    )
    holds = ", ".join(op.name for op in Op if op in HOLDS)
    return "\n\n".join(
        [
            "\n".join(lines),
            table(("state", "meaning"), meanings),
            f"Session ops: {session}.",
            f"Ops that hold the server's input until they are answered: {holds}.",
        ]
    )


PARTS: dict[str, Callable[[], str]] = {
    "states": diagram,
    "op index": op_index,
    "ops": op_pages,
    "clear header": header_fields,
    "errors": errors,
    "limits": bounds,
}


def render(page: str) -> str:
    """The page with every generated part made anew.

    Raises:
        ValueError: A marker is missing, or there twice.
    """
    for name, make in PARTS.items():
        begin, end = f"<!-- begin generated: {name} -->", f"<!-- end generated: {name} -->"
        if page.count(begin) != 1 or page.count(end) != 1:
            raise ValueError(f"the page needs each marker of {name!r} exactly once")
        before, _, rest = page.partition(begin)
        page = f"{before}{begin}\n\n{make()}\n\n{end}{rest.partition(end)[2]}"
    return page


def main() -> int:
    """Write the page, or say whether it is up to date."""
    old = PAGE.read_text("utf-8")
    new = render(old)
    if "--write" in sys.argv[1:]:
        PAGE.write_text(new, "utf-8")
        return 0
    if old != new:
        print("docs/protocol.md is stale: run python -m tests.docs.protocol --write")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
