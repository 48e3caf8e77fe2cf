"""What an organisation with every kind of document gets, as policy tests that people can read."""

from __future__ import annotations

from pathlib import Path

import pytest

from loglease.policy import Bundle, load, run_tests
from loglease.policy.cases import CaseResult

FOLDER = Path(__file__).parent / "scenarios"


def results() -> tuple[CaseResult, ...]:
    loaded = load({path.name: path.read_bytes() for path in sorted(FOLDER.glob("*.yaml"))})
    assert isinstance(loaded, Bundle), "\n".join(one.render() for one in loaded)
    return run_tests(loaded)


def tightened() -> tuple[CaseResult, ...]:
    """Run what is asked under the documents of before.yaml and decided under those of after.yaml."""
    folder = FOLDER / "tightened"
    before = load({"before.yaml": (folder / "before.yaml").read_bytes()})
    after = load({path.name: path.read_bytes() for path in sorted(folder.glob("after*.yaml"))})
    assert isinstance(before, Bundle), "\n".join(one.render() for one in before)
    assert isinstance(after, Bundle), "\n".join(one.render() for one in after)
    return run_tests(after, asked_under=before)


RESULTS = (*results(), *tightened())


@pytest.mark.parametrize("result", RESULTS, ids=lambda one: f"{one.test}: {one.title}")
def test_scenario(result: CaseResult) -> None:
    assert result.ok, result.render()
