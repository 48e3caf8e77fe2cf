"""Every kind of mistake is told with its exact place, its code, the line with a mark, and what to write instead."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.policy.broken.table import EDITS, GOOD, TESTS, WHOLES, Broken, Whole

from loglease.policy import Bundle, Problem, Severity, load
from loglease.policy.analysis import analysed
from loglease.policy.tree import FAST, PURE

HERE = Path(__file__).parent / "broken"
FILES = {name: (HERE / name).read_text() for name in (GOOD, TESTS)}
SHOWN = 60
SMALL = 100_000  # the other parser takes many seconds for more


def errors_of(files: dict[str, bytes], loader: type = FAST) -> list[Problem]:
    loaded = load(files, loader=loader)
    found = analysed(loaded, files) if isinstance(loaded, Bundle) else loaded
    return [one for one in found if one.severity is Severity.ERROR]


def edited(one: Broken) -> dict[str, bytes]:
    """Return the documents with the edit; tests only where it is in them, so that nothing follows from it there."""
    assert FILES[one.file].count(one.old) == 1, "the edit fits at one place"
    texts = FILES | {one.file: FILES[one.file].replace(one.old, one.new)}
    return {name: text.encode() for name, text in texts.items() if name in (GOOD, one.file)}


def require_told(found: list[Problem], at: str, code: str, remedy: str, files: dict[str, bytes]) -> None:
    told = [(str(one.at), one.code, one.help) for one in found]
    assert (at, code, remedy) in told, told
    problem = found[told.index((at, code, remedy))]
    lines = problem.render().split("\n")
    assert lines[0].startswith(f"{at}: error[{code}] ")
    if not problem.line_text:  # a file as a whole, or one that cannot be decoded
        assert lines[1:] == [f"  = help: {remedy}"]
        return
    source = files[problem.at.file].decode().split("\n")[problem.at.line - 1]
    assert problem.line_text == source
    number, gutter = str(problem.at.line), len(f" {problem.at.line} | ")
    start = max(0, problem.at.column - 1 - SHOWN)
    shown = lines[1].removeprefix(f" {number} | ")
    assert [a for a, b in zip(shown, source[start:], strict=False) if a not in (b, "\ufffd")] == []
    assert lines[2].index("^") - gutter == problem.at.column - 1 - start
    assert lines[2].endswith(f" = help: {remedy}")


def test_the_documents_are_good_before_they_are_broken() -> None:
    files = {name: text.encode() for name, text in FILES.items()}
    loaded = load(files)
    assert isinstance(loaded, Bundle), "\n".join(one.render() for one in loaded)
    assert loaded.warnings == ()
    assert analysed(loaded, files) == []


@pytest.mark.attack("PO-02")
@pytest.mark.parametrize("one", EDITS, ids=lambda one: one.name)
def test_a_mistake_is_told_at_its_place(one: Broken) -> None:
    files = edited(one)
    found = errors_of(files)
    require_told(found, one.at, one.code, one.help, files)
    assert len(found) == one.errors, [str(each.at) for each in found]
    assert errors_of(files, PURE) == found


@pytest.mark.parametrize("one", WHOLES, ids=lambda one: one.name)
def test_a_file_that_cannot_be_read_is_told(one: Whole) -> None:
    found = errors_of({one.file: one.content})
    require_told(found, one.at, one.code, one.help, {one.file: one.content})
    if len(one.content) < SMALL:
        assert errors_of({one.file: one.content}, PURE) == found


def test_there_are_many_and_each_code_of_a_document_is_among_them() -> None:
    names = [one.name for one in (*EDITS, *WHOLES)]
    assert len(names) == len(set(names)) >= 60
