"""docs/architecture.md names only files, functions and names that are there."""

import ast
import re
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
TEXT = (ROOT / "docs" / "architecture.md").read_text("utf-8")
PROSE = re.sub(r"^```\n.*?^```", "", TEXT, flags=re.MULTILINE | re.DOTALL)
SPANS = re.findall(r"`([^`]+)`", PROSE)
PACKAGES = ("protocol", "storage", "chatd", "clients")
STEPS = 21


@cache
def functions(path: Path) -> frozenset[str]:
    """Functions of a module, and ``Class.method`` for those of its classes."""
    tree = ast.parse(path.read_text("utf-8"))
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            found.add(node.name)
        elif isinstance(node, ast.ClassDef):
            found |= {
                f"{node.name}.{below.name}"
                for below in node.body
                if isinstance(below, ast.FunctionDef | ast.AsyncFunctionDef)
            }
    return frozenset(found)


@cache
def words() -> frozenset[str]:
    """Every word of the source."""
    sources = [p.read_text("utf-8") for name in PACKAGES for p in (ROOT / name).rglob("*.py")]
    return frozenset(word for source in sources for word in re.findall(r"\w+", source))


def test_architecture_page_names_files_and_functions_that_exist() -> None:
    file, missing, named = Path(), [], 0
    for span in SPANS:
        if re.fullmatch(r"[\w/]+\.py", span):
            file = ROOT / span
            if not file.is_file():
                missing.append(span)
        elif span.endswith("()"):
            named += 1
            if span[:-2] not in functions(file):
                missing.append(f"{file.relative_to(ROOT)}: {span}")
    assert missing == []
    assert named > 40


def test_architecture_page_names_only_what_the_source_knows() -> None:
    names = {span for span in SPANS if re.fullmatch(r"[A-Z][A-Za-z]+|[A-Z_]{4,}", span)}
    assert {"Append", "MAX_QUEUED"} <= names
    assert names - words() == set()


def test_architecture_page_follows_a_message_step_by_step() -> None:
    steps = [int(number) for number in re.findall(r"^(\d+)\. ", TEXT, re.MULTILINE)]
    assert steps == list(range(1, STEPS + 1))


def test_architecture_page_links_to_pages_that_exist() -> None:
    links = set(re.findall(r"\]\(([^)#]+)\)", TEXT))
    assert {link for link in links if not (ROOT / "docs" / link).is_file()} == set()
