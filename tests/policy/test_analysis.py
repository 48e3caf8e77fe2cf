"""Conditions that can never hold and routes that are never taken are found, with their places; no others are."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.policy.test_routes import OFFICE, RAIL, SECOND, payments
from tests.policy.world import APPROVERS, CATALOG, EMERGENCY, MARIA, NOW, bundle_of, files_of, scope_of, wish_of

from loglease.model.access_request import Wish
from loglease.model.labels import Selector, matcher_of
from loglease.model.scope import Level
from loglease.policy import Problem
from loglease.policy.analysis import analysed, possible
from loglease.policy.conditions import Condition, compiled
from loglease.policy.roots import Readable, values_of

SCHEMA = Readable(catalog=bundle_of(CATALOG).catalog, calendars=("office",)).asked()


def can_hold(condition: Condition) -> bool | None:
    return possible(condition, SCHEMA, {})


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
        "1 == 2 && req.live",
    ],
)
def test_what_can_never_hold(condition: str) -> None:
    assert can_hold(compiled(condition, SCHEMA)) is False


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
    assert can_hold(compiled(condition, SCHEMA)) is True


@pytest.mark.parametrize(
    "condition",
    [
        "size(who.groups) > 3 && size(who.groups) < 2",
        'who.id.startsWith("a") && who.id.endsWith("b")',
        'req.duration + req.lookback > duration("1h")',
        "req.duration == req.lookback",
    ],
)
def test_of_what_it_does_not_understand_nothing_is_said(condition: str) -> None:
    assert can_hold(compiled(condition, SCHEMA)) is None


def test_what_holds_is_found_among_very_many_cases() -> None:
    text = " && ".join(
        f'(who.id == "{number}" || req.lookback > duration("{number}s") || req.duration > duration("{number}s"))'
        for number in range(10, 40)
    )
    assert can_hold(compiled(text, SCHEMA)) is True


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
        assert can_hold(condition) is not False


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


FACTS = """\
api: loglease/v1
kind: Facts
id: more
facts:
  ctx.on_call: {type: bool, from: rota, max_age: 120s}
  ctx.age: {type: duration, from: identity}
  ctx.score: {type: int, from: rota, max_age: 60s, range: [0, 100]}
  ctx.incident:
    {type: record, optional: true, from: incidents, max_age: 120s, fields: {id: string, severity: [SEV1, SEV2, SEV3]}}
  ctx.pages: {type: list, of: string, from: rota, max_age: 60s, optional: true}
  approver.age: {type: duration, from: identity}
risk:
  - {id: network, add: 50, if: ctx.score > 90}
  - {id: call, add: 20, if: '!ctx.on_call'}
"""
STATES = "  ctx.ticket: {type: record, optional: true, from: rota, max_age: 1s, fields: {state: [open, closed]}}\n"


def told(*documents: str) -> list[tuple[str, str]]:
    return [(one.code, one.message) for one in found_in(FACTS, *documents)]


@pytest.mark.parametrize(
    "condition",
    [
        'has(ctx.incident) && ctx.incident.severity == "SEV1" && ctx.incident.severity != "SEV1"',
        "has(ctx.incident) && !has(ctx.incident)",
        'has(ctx.incident) && ctx.incident.severity == "SEV1" && !(ctx.incident.severity in ["SEV1", "SEV2"])',
        'has(ctx.pages) && "pay-api" in ctx.pages && !ctx.pages.exists(x, x == "pay-api")',
        "ctx.score > 100",
        "ctx.risk > 70",
        "ctx.on_call && !ctx.on_call",
    ],
)
def test_what_can_never_hold_of_facts(condition: str) -> None:
    assert [code for code, _ in told(payments(when=f"'{condition}'"))] == ["P214"]


@pytest.mark.parametrize(
    "condition",
    [
        '!has(ctx.incident) || ctx.incident.severity != "SEV1"',
        'has(ctx.incident) && ctx.incident.severity != "SEV1" && ctx.incident.id == "I9"',
        'has(ctx.pages) && !("pay-api" in ctx.pages) && ctx.pages.exists(x, x != "pay-db")',
        "ctx.score == 100 && ctx.risk == 70",
        'ctx.age < duration("1s")',
    ],
)
def test_what_can_hold_of_facts(condition: str) -> None:
    assert told(payments(when=f"'{condition}'")) == []


def test_an_outage_lets_a_route_be_taken_that_an_earlier_one_takes_over_otherwise() -> None:
    routes = [f"if: req.live || cal.berlin_office\n    {SECOND}", f"if: req.live\n    {SECOND}"]
    assert [code for code, _ in told(payments(*routes))] == ["P215"]
    either = "ctx.on_call || !ctx.on_call"
    routes = [f"if: '{either}'\n    {SECOND}", f"if: req.live\n    {SECOND}"]
    assert told(payments(*routes)) == []  # where nobody can say who is on call, both are demanded


def test_a_risk_that_an_earlier_route_takes() -> None:
    routes = [f"if: ctx.risk < 50\n    {SECOND}", f"if: ctx.risk < 30\n    {SECOND}"]
    assert [code for code, _ in told(payments(*routes))] == ["P215"]
    assert told(payments(*reversed(routes))) == []


@pytest.mark.parametrize(
    ("leaf", "word"),
    [
        ('ctx.age >= duration("0s")', "true"),
        ("ctx.score <= 100", "true"),
        ("ctx.risk < 71", "true"),
        ("ctx.risk > 70", "false"),
        ('req.labels.env.all(x, x in ["prod", "staging", "dev", "?"])', "true"),
        ('req.labels.env.all(x, x != "prod" || x == "prod")', "true"),
    ],
)
def test_a_leaf_that_always_says_the_same_is_warned_of_where_it_stands(leaf: str, word: str) -> None:
    (problem,) = found_in(FACTS, payments(when=f"'{leaf} || req.live'"))
    assert (problem.code, problem.severity) == ("P421", "warning")
    assert problem.message.endswith(f"is always {word}, whatever it reads")
    column = problem.line_text.index(leaf) + 1
    assert (problem.at.column, problem.at.width) == (column, len(leaf))


@pytest.mark.parametrize(
    "leaf",
    [
        "has(ctx.incident)",
        "ctx.risk < 70",
        "ctx.score < 100",
        '"sre" in who.groups',
        "req.live",
        "size(who.groups) >= 0",
    ],
)
def test_a_leaf_that_says_both_or_is_not_understood_is_left_alone(leaf: str) -> None:
    assert told(payments(when=f"'{leaf}'")) == []


def test_each_condition_of_a_bundle_is_looked_at() -> None:
    never = "ctx.score > 10 && ctx.score < 10"
    facts = FACTS.replace("ctx.score > 90", never).replace("risk:\n", f"{STATES}risk:\n")
    policy = payments(when=f"'{never}'").replace(
        "  redaction: pii-default\n", f"  redaction: pii-default\n  keep: {{when: '{never}'}}\n"
    )
    policy += 'approver_when: \'approver.age > duration("1h") && approver.age < duration("1h")\'\n'
    policy = policy.replace("key: 'PAY-[0-9]{1,6}'", "key: 'PAY-[0-9]{1,6}', state: [open]")
    found = found_in(facts, policy, RAIL.replace("CONDITION", f"'{never}'"))
    assert sorted(one.message.removeprefix("this can never hold: ") for one in found) == [
        "its points never count",
        "no grant of this policy can be used",
        "nobody ever gets an offer of this policy",
        "nobody may ever approve",
        "the guardrail applies only where nobody can tell",
    ]


def test_of_an_emergency_too() -> None:
    emergency = EMERGENCY.replace("grant: {duration", "when: 'req.live && !req.live'\ngrant: {duration")
    assert [one.message for one in found_in(emergency)] == ["this can never hold: the glass can never be broken"]


def test_what_takes_too_long_is_said() -> None:
    names = [f"f{number:02}" for number in range(17)]
    facts = "".join(f"  ctx.{name}: {{type: bool, from: rota, max_age: 60s}}\n" for name in (*names, "y", "z"))
    either = " && ".join(f"(ctx.{name} || !ctx.{name})" for name in names)
    nothing = "(ctx.y || ctx.z) && (!ctx.y || ctx.z) && (ctx.y || !ctx.z) && (!ctx.y || !ctx.z)"
    document = f"api: loglease/v1\nkind: Facts\nid: more\nfacts:\n{facts}"
    assert [one.code for one in found_in(document, payments(when=f"'{either} && {nothing}'"))] == ["P422"]
