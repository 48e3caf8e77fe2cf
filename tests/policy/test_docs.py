"""The pages about policy are true: their examples load, their tests pass, every code is listed and exists."""

from __future__ import annotations

import re
from pathlib import Path

from loglease.policy import Bundle, load, run_tests

ROOT = Path(__file__).parents[2]
REFERENCE = (ROOT / "docs/reference/policy.md").read_text()
HOW_TO = (ROOT / "docs/how-to/write-a-policy.md").read_text()
BLOCK = re.compile(r"```yaml\n(.*?)```", re.DOTALL)
CODE = re.compile(r'"(P\d{3})"')


def example(page: str) -> Bundle:
    blocks = BLOCK.findall(page)
    tests = [one for one in blocks if "kind: PolicyTest" in one]
    others = [one for one in blocks if "kind: PolicyTest" not in one]
    loaded = load({"a.yaml": "---\n".join(others).encode(), "a.test.yaml": "---\n".join(tests).encode()})
    assert isinstance(loaded, Bundle), "\n".join(one.render() for one in loaded)
    return loaded


def test_the_examples_of_the_reference_load_and_pass() -> None:
    results = run_tests(example(REFERENCE))
    assert [one.render() for one in results if not one.ok] == []
    assert results


def test_the_steps_of_the_how_to_give_what_they_print() -> None:
    printed = [one.render() for one in run_tests(example(HOW_TO))]
    assert all(one.startswith("ok ") for one in printed)
    assert "\n".join(printed) in HOW_TO


def test_every_code_is_documented_and_every_documented_code_exists() -> None:
    sources = "".join(path.read_text() for path in (ROOT / "src/loglease/policy").rglob("*.py"))
    documented = re.findall(r"^\| (P\d{3}) \|", REFERENCE, re.MULTILINE)
    assert sorted(documented) == sorted(set(CODE.findall(sources)))
