"""What the product records when it is used in any order keeps all rules, from the first entry to the last."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from tests.audit.semantic.acting import Acting

from loglease.audit.semantic import BreachKind, check

SEEDS = int(os.environ.get("LOGLEASE_AUDIT_ACTING", "2"))
"""How many runs; each takes some seconds."""


@pytest.mark.parametrize("seed", range(SEEDS))
async def test_whatever_is_done_the_log_keeps_all_rules(tmp_path: Path, seed: int) -> None:
    world = Acting(tmp_path, seed)
    await world.begin()
    await world.run(200)
    content = await world.content()
    report = check(enumerate(content))
    assert report.broken == frozenset(), [str(one) for one in report.of(BreachKind.VIOLATION)]
    findings = {one.rule for one in report.of(BreachKind.FINDING)}
    assert findings <= {"S25", "S26"}, [str(one) for one in report.of(BreachKind.FINDING)]
    assert len(content) > 150
    world.journal.close()
    await world.stop()
