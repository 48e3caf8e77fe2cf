"""Honest logs keep all rules: whatever happens on a server, at any moment, and read from any entry on."""

from __future__ import annotations

import os
from itertools import islice
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.audit.semantic.honest import Server

from loglease.audit.entry import Entry
from loglease.audit.semantic import BreachKind, Report, Verifier, check

LONG = int(os.environ.get("LOGLEASE_AUDIT_JOURNEYS", "0"))
"""How many journeys the long version writes; none without it being asked for. A hundred thousand take half an hour."""
EACH = 100


def kept(report: Report) -> bool:
    """Say whether no rule is broken, and nothing is found but that processes crashed, which they did."""
    findings = [str(one) for one in report.breaches if one.rule != "S26" or one.kind is BreachKind.VIOLATION]
    assert findings == []
    return report.holds()


@given(st.integers(0, 2**32))
@settings(max_examples=8, deadline=None)
def test_an_honest_log_keeps_all_rules(seed: int) -> None:
    report = Server(seed).run(25).check()
    assert kept(report)
    assert report.open.requests == report.open.grants == report.open.elevations == 0
    assert report.open.sessions == ()


@given(st.integers(0, 2**32))
@settings(max_examples=3, deadline=None)
def test_every_beginning_of_an_honest_log_is_honest(seed: int) -> None:
    entries = Server(seed).run(15).entries
    draw = Random(seed)  # noqa: S311 - a test repeats
    for _ in range(12):
        report = check(enumerate(islice(entries, draw.randrange(len(entries)))))
        assert report.broken == frozenset(), [str(one) for one in report.breaches]
        assert {one.rule for one in report.of(BreachKind.FINDING)} <= {"S21", "S26"}  # raised still, and crashes


@given(st.integers(0, 2**32))
@settings(max_examples=3, deadline=None)
def test_an_honest_log_without_its_beginning_breaks_nothing(seed: int) -> None:
    """What was pruned is not known; then there is no breach, and it is said what was not checked."""
    entries = Server(seed).run(15).entries
    draw = Random(seed)  # noqa: S311 - a test repeats
    for first in (1, *(draw.randrange(1, len(entries)) for _ in range(12))):
        report = check(enumerate(entries[first:], first))
        assert report.broken == frozenset(), [str(one) for one in report.breaches]
        assert any(one.rule == "S2" for one in report.unchecked)


def test_what_is_remembered_does_not_grow_with_what_is_over() -> None:
    entries = Server(7).run(60).entries
    verifier = Verifier()
    for index, entry in enumerate(entries):
        verifier.take(index, entry)
    state = verifier._state
    remembered = (state.requests, state.grants, state.sessions, state.elevations, state.orphans)
    assert [len(one) for one in remembered] == [0] * len(remembered)
    assert len(state.seen["session"]) == sum(1 for one in entries if one.draft.type == "session.opened")


@pytest.mark.skipif(not LONG, reason="set LOGLEASE_AUDIT_JOURNEYS to a number of journeys")
def test_many_honest_journeys_raise_no_false_alarm() -> None:
    types: set[str] = set()
    for seed in range(-(-LONG // EACH)):
        entries: list[Entry] = Server(seed).run(EACH).entries
        types |= {entry.draft.type for entry in entries}
        assert kept(check(enumerate(entries))), seed
    assert {"log.restored", "grant.revoked", "reveal.served", "policy.loaded", "elevation.reverted"} <= types
