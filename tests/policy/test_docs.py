"""The pages about policy are true: their examples load, their tests pass, every code is listed and exists."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from loglease.policy import Bundle, load, run_nevers, run_tests

ROOT = Path(__file__).parents[2]
REFERENCE = (ROOT / "docs/reference/policy.md").read_text()
HOW_TO = (ROOT / "docs/how-to/write-a-policy.md").read_text()
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
OUTSIDE = """
api: loglease/v1
kind: Catalog
id: outside
names: {groups: [payments-eng, payments-leads, privacy], sources: [prod-logs], rotas: [payments]}
labels: {env: [prod, staging], service: string}
redaction: {secrets: [], pii-default: [secrets]}
---
"""
FACTS = """
api: loglease/v1
kind: Facts
id: outside
facts:
  ctx.mfa_age: {type: duration, from: identity}
  ctx.on_call: {type: bool, from: rota, per: service, combine: all, max_age: 5m}
---
"""
POLICY = {
    "grant": "{duration: {default: 30m, max: 1h}, redaction: pii-default}",
    "approve": "[{otherwise: true, stages: [{from: [group:payments-leads], need: 1}]}]",
}
HEAD = """---
api: loglease/v1
kind: AccessPolicy
id: shown-in-part
title: Shown in part
who: {any_of: [group:payments-eng]}
scopes: [{sources: [prod-logs], labels: {env: prod, service: {prefix: pay-}}, lookback: 1h}]
"""
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
    results, searched = run_tests(example(REFERENCE)), run_nevers(example(REFERENCE))
    assert [one.render() for one in results if not one.ok] == []
    assert [one.render() for one in searched if not one.ok] == []
    assert results
    assert searched


def test_the_steps_of_the_how_to_give_what_they_print() -> None:
    printed = [one.render() for one in run_tests(example(HOW_TO))]
    searched = [one.render() for one in run_nevers(example(HOW_TO))]
    assert all(one.startswith("ok ") for one in (*printed, *searched))
    assert "\n".join(printed) in HOW_TO
    assert "\n".join(searched) in HOW_TO


def completed(block: str) -> str:
    """Give a part of a policy what is missing around it."""
    rest = "".join(f"{key}: {value}\n" for key, value in POLICY.items() if not block.startswith(f"{key}:"))
    return f"{HEAD}{block}{rest}"


@pytest.mark.parametrize("page", PAGES, ids=lambda one: str(one.relative_to(ROOT)))
def test_every_other_example_loads_too(page: Path) -> None:
    text = page.read_text()
    blocks = BLOCK.findall(text)
    shown = [one for one in blocks if "api: loglease/v1" in one or one.startswith(tuple(f"{key}:" for key in POLICY))]
    documents = "---\n".join(one if "api:" in one else completed(one) for one in shown)
    outside = ("" if "kind: Catalog" in documents else OUTSIDE) + ("" if "kind: Facts" in documents else FACTS)
    if "kind: PolicyTest" not in documents:
        loaded = load({"a.yaml": f"{outside}{documents}".encode()})
        assert isinstance(loaded, Bundle), "\n".join(one.render() for one in loaded)
        assert len(loaded.policies) == documents.count("kind: AccessPolicy")


def test_pages_with_examples_are_found() -> None:
    assert sum("kind: AccessPolicy" in one.read_text() for one in PAGES) >= 3


def test_every_code_is_documented_and_every_documented_code_exists() -> None:
    sources = "".join(path.read_text() for path in (ROOT / "src/loglease/policy").rglob("*.py"))
    documented = re.findall(r"^\| (P\d{3}) \|", REFERENCE, re.MULTILINE)
    assert sorted(documented) == sorted(set(CODE.findall(sources)))
