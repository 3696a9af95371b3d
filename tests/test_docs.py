"""The documentation agrees with the code: what is generated is fresh, what is cited is there."""

import ast
import re
from pathlib import Path

import pytest

from protocol.errors import ErrorCode
from protocol.ops import Op
from tests.docs import protocol as page

ROOT = Path(__file__).resolve().parent.parent
TEXT = page.PAGE.read_text("utf-8")
HEADINGS = {match[1] for match in re.finditer(r"^#+ (?:[0-9.]+ )?(.+)$", TEXT, re.MULTILINE)}
CITED = re.compile(r'docs/protocol\.md, ((?:"[^"]+"(?:,| and)?\s*)+)')


def cited_sections() -> set[tuple[str, str]]:
    """Every section of the page that a docstring in the source cites."""
    found = set()
    for package in ("protocol", "storage", "chatd", "clients"):
        for path in (ROOT / package).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text("utf-8"))):
                if isinstance(node, ast.Constant) and isinstance(node.value, str):
                    for match in CITED.finditer(" ".join(node.value.split())):
                        for section in re.findall(r'"([^"]+)"', match[1]):
                            found.add((path.relative_to(ROOT).as_posix(), section))
    return found


def test_protocol_page_holds_what_the_declarations_say() -> None:
    stale = "run: python -m tests.docs.protocol --write"
    assert page.render(TEXT) == TEXT, stale


def test_protocol_page_has_every_section_that_the_code_cites() -> None:
    cited = cited_sections()
    assert ("protocol/codec.py", "Bodies") in cited
    assert {(name, section) for name, section in cited if section not in HEADINGS} == set()


def test_protocol_page_links_lead_to_one_place() -> None:
    headings = re.findall(r"^#+ (.+)$", TEXT, re.MULTILINE)
    assert len({heading.lower() for heading in headings}) == len(headings)
    anchors = {re.sub(r"[^\w\- ]", "", h.lower()).replace(" ", "-") for h in HEADINGS}
    assert set(re.findall(r"\]\(#([^)]+)\)", TEXT)) - anchors == set()


@pytest.mark.parametrize("op", Op, ids=lambda op: op.name)
def test_protocol_page_describes_every_op(op: Op) -> None:
    assert f"#### Op {op.name}\n" in TEXT


@pytest.mark.parametrize("code", ErrorCode, ids=lambda code: code.name)
def test_protocol_page_describes_every_error(code: ErrorCode) -> None:
    assert f"| {int(code)} | `{code.name.lower()}` |" in TEXT


def test_generator_refuses_a_page_without_its_markers() -> None:
    with pytest.raises(ValueError, match="marker"):
        page.render(TEXT.replace("<!-- begin generated: errors -->", ""))


def test_threat_model_names_tests_that_exist() -> None:
    text = (ROOT / "docs" / "threat-model.md").read_text("utf-8")
    named = re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", text)
    assert len(named) > 50
    missing = {
        (path, name)
        for path, name in named
        if not re.search(rf"^(async )?def {name}\(", (ROOT / path).read_text("utf-8"), re.MULTILINE)
    }
    assert missing == set()
    rows = re.findall(r"^\| (\d+) \|.*\| (.*)\|$", text, re.MULTILINE)
    assert [int(number) for number, _ in rows] == list(range(1, 31))
    assert {int(number) for number, proof in rows if "::" not in proof} == {11, 24, 25}


def test_threat_model_names_files_that_exist() -> None:
    text = (ROOT / "docs" / "threat-model.md").read_text("utf-8")
    named = set(re.findall(r"`((?:protocol|storage|chatd|clients)/[\w/]+\.py)`", text))
    assert {path for path in named if not (ROOT / path).exists()} == set()
