"""Message fields as JSON values, and back: the notation of the vector files."""

from typing import cast

from protocol.declare import LAYOUTS, StructOf
from protocol.fields import ListOf, OrNil, Spec

Json = None | bool | int | str | list["Json"] | dict[str, "Json"]


def to_json(value: object) -> Json:
    """A field's value, or a whole record, in the notation of the files."""
    if isinstance(value, bytes):
        return {"hex": value.hex()}
    if isinstance(value, tuple):
        return [to_json(item) for item in value]
    if type(value) in LAYOUTS:
        fields = LAYOUTS[type(value)].fields
        return {field.name: to_json(getattr(value, field.name)) for field in fields}
    if isinstance(value, int) and not isinstance(value, bool):
        return int(value)
    assert value is None or isinstance(value, bool | str)
    return value


def record_from_json(cls: type, value: Json) -> object:
    """The record of a declared class; fields that are not named keep their defaults."""
    assert isinstance(value, dict)
    specs = {field.name: field.spec for field in LAYOUTS[cls].fields}
    return cls(**{name: _from_json(specs[name], item) for name, item in value.items()})


def _from_json(spec: Spec, value: Json) -> object:
    match spec:
        case OrNil(inner):
            return None if value is None else _from_json(inner, value)
        case ListOf(inner, _):
            return tuple(_from_json(inner, item) for item in cast("list[Json]", value))
        case StructOf(cls):
            return record_from_json(cls, value)
        case _:
            return bytes_from_json(value) if isinstance(value, dict) else value


def bytes_from_json(value: Json) -> bytes:
    """The bytes that ``{"hex": …}`` stands for."""
    assert isinstance(value, dict)
    text = value["hex"]
    assert isinstance(text, str)
    return bytes.fromhex(text)
