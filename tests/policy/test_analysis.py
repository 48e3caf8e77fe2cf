"""Conditions that can never hold and routes that are never taken are found, with their places; no others are."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.policy.test_routes import OFFICE, RAIL, SECOND, payments
from tests.policy.world import APPROVERS, CATALOG, MARIA, NOW, bundle_of, files_of, scope_of, wish_of

from loglease.model.access_request import Wish
from loglease.model.labels import Selector, matcher_of
from loglease.model.scope import Level
from loglease.policy import Problem
from loglease.policy.analysis import analysed
from loglease.policy.conditions import compiled
from loglease.policy.conditions.points import can_hold
from loglease.policy.roots import Readable, values_of

SCHEMA = Readable(catalog=bundle_of(CATALOG).catalog, calendars=("office",)).asked()


def found_in(*documents: str) -> list[Problem]:
    every = (CATALOG, APPROVERS, OFFICE, *documents)
    return analysed(bundle_of(*every), files_of(*every))


@pytest.mark.parametrize(
    "condition",
    [
        "req.live && !req.live",
        'req.duration < duration("1h") && req.duration > duration("2h")',
        'req.duration > duration("1h") && req.duration < duration("1h") || req.live && !req.live',
        'req.level_from == "trace" && req.level_from in ["debug", "info"]',
        'req.labels.env.all(x, x == "prod") && !("prod" in req.labels.env)',
        'req.labels.service.exists(x, x == "a") && req.labels.service.all(x, x == "b")',
        '"sre" in who.groups && !("sre" in who.groups)',
        '"a" == who.id && who.id != "a"',
    ],
)
def test_what_can_never_hold(condition: str) -> None:
    assert can_hold(compiled(condition, SCHEMA), SCHEMA) is False


@pytest.mark.parametrize(
    "condition",
    [
        'req.duration > duration("1h") && req.duration < duration("1h1s")',
        '!("prod" in req.labels.env) && !("staging" in req.labels.env) && !("dev" in req.labels.env)',  # others are left
        'who.id != "a" && who.id != "b"',
        '!("sre" in who.groups) && !("privacy" in who.groups)',
        "cal.office && !req.live",
    ],
)
def test_what_can_hold(condition: str) -> None:
    assert can_hold(compiled(condition, SCHEMA), SCHEMA) is True


@pytest.mark.parametrize(
    "condition",
    [
        "size(who.groups) > 3 && size(who.groups) < 2",
        'who.id.startsWith("a") && who.id.endsWith("b")',
        'req.duration + req.lookback > duration("1h")',
        "req.duration == req.lookback",
        "1 == 2 && req.live",
        " && ".join(
            f'(who.id == "{number}" || req.lookback > duration("{number}s") || req.duration > duration("{number}s"))'
            for number in range(10, 40)
        ),
    ],
)
def test_of_what_it_does_not_understand_nothing_is_said(condition: str) -> None:
    assert can_hold(compiled(condition, SCHEMA), SCHEMA) is None


words = st.sampled_from(["prod", "staging", "dev"])
atoms = st.one_of(
    words.map(lambda word: f'"{word}" in req.labels.env'),
    words.map(lambda word: f'req.labels.env.all(x, x == "{word}")'),
    st.sampled_from(["req.live", 'req.level_from == "debug"', 'req.duration <= duration("1h")']),
)
conditions = st.recursive(
    atoms,
    lambda inner: st.one_of(
        inner.map(lambda one: f"!({one})"),
        st.tuples(inner, st.sampled_from([" && ", " || "]), inner).map(lambda parts: f"({''.join(parts)})"),
    ),
    max_leaves=5,
)


def wish_for(env: set[str], level: Level, duration_s: int, *, live: bool) -> Wish:
    matcher = matcher_of(exact=env)
    assert matcher is not None
    scope = replace(scope_of("{}", live=live, level=level), selector=Selector((("env", matcher),)))
    return wish_of(scope, duration_s=duration_s)


wishes = st.builds(
    wish_for,
    st.sets(words, min_size=1),
    st.sampled_from([Level.TRACE, Level.DEBUG, Level.ERROR]),
    st.sampled_from([60, 3600, 7200]),
    live=st.booleans(),
)


@given(conditions, wishes)
def test_nothing_that_holds_for_some_request_is_said_to_be_impossible(text: str, wish: Wish) -> None:
    condition = compiled(text, SCHEMA)
    catalog = bundle_of(CATALOG).catalog
    roots = values_of(wish, MARIA, catalog=catalog, open_now={"office": True}, submitted_at=NOW)
    if condition.answer(roots) is True:
        assert can_hold(condition, SCHEMA) is not False


def test_a_policy_that_nobody_gets_is_shown_where_it_stands() -> None:
    (problem,) = found_in(payments(when="'!req.live && req.live'"))
    assert (problem.code, problem.at.width) == ("P214", 21)
    assert problem.line_text == "when: '!req.live && req.live'"
    assert "nobody ever gets an offer" in problem.render()


def test_a_route_that_is_never_taken() -> None:
    routes = [f"if: '\"pii\" in req.labels.data_class'\n    {SECOND}", "if: 'req.live && !req.live'\n    auto: true"]
    (problem,) = found_in(payments(*routes))
    assert (problem.code, problem.message) == ("P214", "this can never hold: the route is never taken")


def test_a_route_that_an_earlier_one_takes_over() -> None:
    routes = [
        f'if: req.lookback > duration("1h")\n    {SECOND}',
        f'if: req.lookback > duration("2h")\n    {SECOND}',
        f'if: req.lookback > duration("30m")\n    {SECOND}',
    ]
    (problem,) = found_in(payments(*routes))
    assert problem.code == "P215"
    assert '"2h"' in problem.line_text


def test_a_guardrail_that_never_applies() -> None:
    rail = RAIL.replace("CONDITION", "'cal.berlin_office && !cal.berlin_office'")
    assert [one.code for one in found_in(rail)] == ["P214"]
    assert found_in(RAIL.replace("CONDITION", "'!cal.berlin_office'")) == []
