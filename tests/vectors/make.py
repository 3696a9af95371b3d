"""Write the vector files: the same bytes every time, from the declarations.

Run ``python -m tests.vectors.make``; a test fails when the files differ from what this makes.
"""

import json
from collections.abc import Callable, Iterable
from pathlib import Path

from tests.vectors.broken import header_vectors, link_vectors, malformed_vectors
from tests.vectors.derived import derived_vectors
from tests.vectors.plain import Json
from tests.vectors.samples import message_vectors

FOLDER = Path(__file__).resolve().parent

FILES: dict[str, Callable[[], Iterable[dict[str, Json]]]] = {
    "messages.json": message_vectors,
    "derived.json": derived_vectors,
    "headers.json": header_vectors,
    "links.json": link_vectors,
    "malformed.json": malformed_vectors,
}


def text_of(name: str) -> str:
    """What a file must hold: one vector a line, so that a difference is readable."""
    rows = [json.dumps(row, ensure_ascii=False) for row in FILES[name]()]
    return "[\n" + ",\n".join(rows) + "\n]\n"


def load(name: str) -> list[dict[str, Json]]:
    """The vectors of a file."""
    rows: list[dict[str, Json]] = json.loads((FOLDER / name).read_text("utf-8"))
    return rows


def main() -> None:
    """Write all files."""
    for name in FILES:
        (FOLDER / name).write_text(text_of(name), "utf-8")


if __name__ == "__main__":
    main()
