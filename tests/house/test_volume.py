"""What tries less in an ordinary run is tried as a whole by `make test-whole`, which finds it by its mark."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

TESTS = Path(__file__).parents[1]
USING = sorted(
    path for path in TESTS.rglob("test_*.py") if "from tests.volume import" in path.read_text(encoding="utf-8")
)


def unmarked(text: str) -> list[int]:
    """Return the lines that use the helper where neither Hypothesis nor the module says so to pytest.

    A top-level test with `@given` is marked by itself; anything else needs `pytest.mark.volume` in its module.
    """
    tree = ast.parse(text)
    if any(ast.unparse(node) == "pytest.mark.volume" for node in ast.walk(tree) if isinstance(node, ast.Attribute)):
        return []
    drawn = {
        id(node)
        for function in tree.body
        if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef)
        and any(ast.unparse(one).startswith("given(") for one in function.decorator_list)
        for decorator in function.decorator_list
        for node in ast.walk(decorator)
    }
    return [
        node.lineno
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "volume" and id(node) not in drawn
    ]


@pytest.mark.parametrize("path", USING, ids=lambda path: str(path.relative_to(TESTS)))
def test_what_tries_less_is_marked(path: Path) -> None:
    assert not unmarked(path.read_text(encoding="utf-8")), "mark its tests with pytest.mark.volume"


def test_a_forgotten_mark_is_seen() -> None:
    forgotten = "ROUNDS = volume(1, 2)\n\ndef test_rounds():\n    assert ROUNDS\n"
    assert unmarked(forgotten) == [1]
    assert unmarked(f"pytestmark = pytest.mark.volume\n{forgotten}") == []
    drawn = "@given(st.text())\n@settings(max_examples=volume(1, 2))\ndef test_texts(text):\n    pass\n"
    assert unmarked(drawn) == []
    assert unmarked(drawn.replace("@given(st.text())\n", "")) == [1]
