"""What the declarations say beyond their values: comments behind fields, words under constants."""

import ast
import inspect
import io
import tokenize
from pathlib import Path
from types import ModuleType


def _tree(module: ModuleType) -> tuple[str, ast.Module]:
    text = Path(str(module.__file__)).read_text("utf-8")
    return text, ast.parse(text)


def comments(cls: type) -> dict[str, str]:
    """By field of a declared class: the comment that stands behind it, if any."""
    module = inspect.getmodule(cls)
    assert module is not None
    text, tree = _tree(module)
    by_line = {
        token.start[0]: token.string.removeprefix("#").strip()
        for token in tokenize.generate_tokens(io.StringIO(text).readline)
        if token.type == tokenize.COMMENT
    }
    for node in tree.body:
        if isinstance(node, ast.ClassDef) and node.name == cls.__name__:
            return {
                item.target.id: by_line.get(item.end_lineno or 0, "")
                for item in node.body
                if isinstance(item, ast.AnnAssign) and isinstance(item.target, ast.Name)
            }
    raise AssertionError(f"{cls.__name__} is not declared in {module.__name__}")


def _described(body: list[ast.stmt]) -> dict[str, str]:
    """By name: the string that stands under an assignment, in one line."""
    found: dict[str, str] = {}
    last = ""
    for node in body:
        target = node.target if isinstance(node, ast.AnnAssign) else None
        if isinstance(node, ast.Assign):
            target = node.targets[0] if isinstance(node.targets[0], ast.Name) else None
        if isinstance(target, ast.Name):
            last = target.id
            found[last] = ""
        elif isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and last:
            found[last] = " ".join(str(node.value.value).split())
    return found


def constants(module: ModuleType) -> dict[str, str]:
    """By constant of a module: what stands under it."""
    return _described(_tree(module)[1].body)


def members(cls: type) -> dict[str, str]:
    """By member of an enumeration: what stands under it."""
    module = inspect.getmodule(cls)
    assert module is not None
    for node in _tree(module)[1].body:
        if isinstance(node, ast.ClassDef) and node.name == cls.__name__:
            return _described(node.body[1:])
    raise AssertionError(f"{cls.__name__} is not declared in {module.__name__}")
