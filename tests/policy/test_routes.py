"""Conditions in policies: `when`, routes with `if`, guardrails with `if`; from the document to the offer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest
from tests.policy.world import (
    APPROVERS,
    CATALOG,
    DIRECTORY,
    MARIA,
    NOW,
    PAYMENTS,
    PROFILES,
    SRE,
    bundle_of,
    codes,
    decided,
    files_of,
    person,
    problems_of,
    scope_of,
    wish_of,
)

from loglease.model.instant import EventWindow, Instant, parse_instant
from loglease.model.offer import Offer, Outcome
from loglease.model.scope import Level
from loglease.policy import Bundle, Point, Viewer, explain, load
from loglease.policy.calendars import Calendar
from loglease.policy.observed import NOTHING_KNOWN
from loglease.policy.recheck import redecide
from loglease.policy.roots import roots_of
from loglease.policy.routes import Roots, taken_route
from loglease.policy.trace import Decision, Fix, StepName

OTHERWISE = """\
  - otherwise: true
    stages:
      - {from: [approvers:payments-approvers], need: 1}
"""
INTERNAL = '{env="prod",service="pay-api",data_class="internal"}'
PERSONAL = '{env="prod",service="pay-api",data_class=~"internal|pii"}'
PREFIX = '{env="prod",service=~"pay-.*",service!="pay-vault",data_class="internal"}'
SECOND = "stages: [{from: [group:privacy], need: 1}]"


def payments(*routes: str, when: str | None = None) -> str:
    """Return the policy of the payments team with routes before its last one."""
    added = "".join(f"  - {one}\n" for one in routes)
    condition = "" if when is None else f"when: {when}\n"
    return PAYMENTS.replace(OTHERWISE, added + OTHERWISE).replace("approve:\n", f"{condition}approve:\n")


def asked(policy: str, selector: str = INTERNAL, *rails: str, **wished: object) -> Decision:
    scopes = {key: wished.pop(key) for key in ("hours", "live", "level", "profile") if key in wished}
    wish = wish_of(scope_of(selector, **scopes), **wished)  # type: ignore[arg-type]
    return decided(bundle_of(CATALOG, policy, APPROVERS, *rails), wish, MARIA)


def offer(found: Decision) -> Offer:
    assert len(found.offers) == 1, found.refusal
    return found.offers[0]


def stages_of(found: Decision) -> list[list[tuple[str, ...]]]:
    return [[block.approvers for stage in plan.stages for block in stage.blocks] for plan in offer(found).plans]


PAYERS = ("approvers:payments-approvers",)
PRIVACY = ("group:privacy",)


def pii_first(policy_stages: str = SECOND) -> str:
    return payments(f"if: '\"pii\" in req.labels.data_class'\n    {policy_stages}")


@pytest.mark.parametrize(
    ("selector", "stages"),
    [
        (INTERNAL, [[PAYERS]]),
        (PERSONAL, [[PRIVACY]]),
        ('{env="prod",service="pay-api",data_class="pii"}', [[PRIVACY]]),
    ],
)
def test_the_first_route_that_holds_is_taken(selector: str, stages: list[list[tuple[str, ...]]]) -> None:
    found = asked(pii_first(), selector)
    assert stages_of(found) == stages
    number = 2 if stages == [[PAYERS]] else 1
    assert offer(found).rule.endswith(f"route {number}")


def test_an_automatic_route_needs_its_condition() -> None:
    policy = payments("if: '!req.live && req.lookback <= duration(\"1h\")'\n    auto: true")
    assert offer(asked(policy, hours=1)).outcome is Outcome.AUTO
    assert offer(asked(policy, hours=1)).rule.endswith("route 1")
    assert offer(asked(policy, hours=2)).outcome is Outcome.REVIEW
    assert offer(asked(policy, hours=1, live=True)).outcome is Outcome.REVIEW


def test_a_route_tightens_the_grant_only_when_it_is_taken() -> None:
    policy = payments(f'if: req.level_from == "debug"\n    grant: {{duration: {{max: 10m}}}}\n    {SECOND}')
    assert offer(asked(policy, level=Level.DEBUG, duration_s=3600)).terms.duration_s == 600
    assert offer(asked(policy, level=Level.INFO, duration_s=3600)).terms.duration_s == 3600


def test_an_automatic_route_that_nobody_can_judge_is_left_out() -> None:
    """The prefix does not say which services are meant."""
    policy = payments('if: req.labels.service.all(x, x == "pay-api")\n    auto: true')
    assert offer(asked(policy, INTERNAL)).outcome is Outcome.AUTO
    assert stages_of(asked(policy, PREFIX)) == [[PAYERS]]


def test_the_stages_of_a_route_that_nobody_can_judge_are_demanded_besides() -> None:
    policy = payments(f'if: req.labels.service.exists(x, x == "pay-cards")\n    {SECOND}')
    assert stages_of(asked(policy, INTERNAL)) == [[PAYERS]]
    assert stages_of(asked(policy, PREFIX)) == [[PAYERS], [PRIVACY]]


def test_stages_that_are_demanded_besides_make_an_automatic_route_wait() -> None:
    policy = payments(
        f'if: req.labels.service.exists(x, x == "pay-cards")\n    {SECOND}',
        "if: '!req.live'\n    auto: true",
    )
    assert offer(asked(policy, INTERNAL)).outcome is Outcome.AUTO
    found = asked(policy, PREFIX)
    assert offer(found).outcome is Outcome.REVIEW
    assert stages_of(found) == [[], [PRIVACY]]


def test_when_denies_and_names_the_part_that_does_not_hold() -> None:
    policy = payments(when='req.lookback <= duration("4h") && !req.live')
    assert offer(asked(policy, hours=4))
    found = asked(policy, hours=4, live=True)
    assert not found.offers
    (trace,) = found.policies
    assert [(step.text, step.fix) for step in trace.steps if step.name is StepName.WHEN] == [
        ('req.lookback <= duration("4h")', None),
        ("!req.live  does not hold", Fix.NARROW),
    ]
    assert found.refusal is not None
    assert found.refusal.message == "The policy demands !req.live, which does not hold."
    text = explain(found, Viewer.REQUESTER).text
    assert (
        '   ok  when    req.lookback <= duration("4h")\n   no  when    !req.live  does not hold  -> ask for less'
        in text
    )


def test_when_that_cannot_be_told_denies_and_says_why() -> None:
    found = asked(payments(when='req.duration <= duration("1h")'), duration_s=None)
    assert not found.offers
    assert found.refusal is not None
    assert "cannot be told: no duration was asked for" in found.refusal.message
    assert offer(asked(payments(when='req.duration <= duration("1h")'), duration_s=3600))


def test_a_span_beyond_ten_years_cannot_be_told() -> None:
    far = asked(payments(when='req.lookback > duration("1h")'), hours=24 * 3651)
    (step,) = (step for step in far.policies[0].steps if step.name is StepName.WHEN)
    assert step.text.endswith("cannot be told: it is longer than ten years")


def test_when_may_ask_who_asks() -> None:
    policy = payments(when='who.kind == "human" && !("contractors" in who.groups)')
    assert offer(asked(policy))
    bundle = bundle_of(CATALOG, policy.replace(", none_of: [group:contractors]", ""), APPROVERS)
    wish = wish_of(scope_of(INTERNAL))
    both = person("zoe", "payments-eng", "contractors")
    assert not decided(bundle, wish, both).offers


def test_a_label_that_is_not_asked_for_holds_all_that_it_may_have() -> None:
    """Leaving a label out gains nothing."""
    wide = SRE.replace("labels: {env: prod, data_class: internal}", "all_streams: true")
    staged = wide.replace("approve: [", "approve: [{if: '!(\"pii\" in req.labels.data_class)', auto: true}, ")
    bundle = bundle_of(CATALOG, staged)
    lee = person("lee2", "sre")

    def outcome(selector: str) -> Outcome:
        found = decided(bundle, wish_of(scope_of(selector, level=Level.INFO)), lee)
        return offer(found).outcome

    assert outcome('{data_class="internal"}') is Outcome.AUTO
    assert outcome('{env="prod"}') is Outcome.REVIEW
    assert outcome('{data_class=~".+"}') is Outcome.REVIEW
    assert outcome('{data_class=~"p.*"}') is Outcome.REVIEW
    assert outcome('{data_class=~"p.*",data_class!="pii"}') is Outcome.AUTO


RAIL = """\
api: loglease/v1
kind: Guardrail
id: trace-needs-privacy
applies: {all_streams: true}
if: CONDITION
require: {stage: {from: [group:privacy], need: 1}}
"""


@pytest.mark.parametrize(
    ("condition", "selector", "applies"),
    [
        ('req.level_from == "debug"', INTERNAL, True),
        ('req.level_from == "trace"', INTERNAL, False),
        ('req.labels.service.exists(x, x == "pay-cards")', INTERNAL, False),
        ('req.labels.service.exists(x, x == "pay-cards")', PREFIX, True),  # cannot be told
        ("'!req.labels.service.exists(x, x == \"pay-cards\")'", PREFIX, True),  # cannot be told either
    ],
)
def test_a_guardrail_applies_unless_its_condition_is_certainly_false(
    condition: str, selector: str, *, applies: bool
) -> None:
    found = asked(PAYMENTS, selector, RAIL.replace("CONDITION", condition))
    assert stages_of(found) == ([[PAYERS], [PRIVACY]] if applies else [[PAYERS]])
    assert [one.applies for one in found.guardrails] == [applies]


def test_no_level_asks_for_the_lowest() -> None:
    every_line = PAYMENTS.replace("    level_from: debug\n", "")
    found = asked(every_line, INTERNAL, RAIL.replace("CONDITION", 'req.level_from == "trace"'), level=None)
    assert stages_of(found) == [[PAYERS], [PRIVACY]]


OFFICE = """\
api: loglease/v1
kind: Facts
id: main
calendars:
  berlin_office: {zone: Europe/Berlin, days: [mon, tue, wed, thu, fri], hours: ["08:00-18:00"]}
"""


@pytest.mark.parametrize(
    ("now", "stages"),
    [
        ("2026-11-23T07:00:00Z", [[PAYERS]]),
        ("2026-11-23T16:59:59Z", [[PAYERS]]),
        ("2026-11-23T17:00:00Z", [[PAYERS], [PRIVACY]]),
        ("2026-11-22T10:00:00Z", [[PAYERS], [PRIVACY]]),  # a Sunday
        ("2026-07-20T06:00:00Z", [[PAYERS]]),  # two hours ahead in summer
        ("2026-07-20T16:30:00Z", [[PAYERS], [PRIVACY]]),
    ],
)
def test_a_guardrail_may_ask_what_time_it_is_somewhere(now: str, stages: list[list[tuple[str, ...]]]) -> None:
    at = parse_instant(now)
    start_ns = (at - 3600 * 1_000_000) * 1_000
    scope = replace(scope_of(INTERNAL), window=EventWindow(start_ns, at * 1_000))
    bundle = bundle_of(CATALOG, PAYMENTS, APPROVERS, OFFICE, RAIL.replace("CONDITION", "'!cal.berlin_office'"))
    assert stages_of(decided(bundle, wish_of(scope), MARIA, now=at)) == stages


def test_only_calendars_that_are_read_are_asked_and_once_a_decision(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []
    is_open = Calendar.is_open

    def counted(self: Calendar, now: Instant) -> bool:
        asked.append(self.zone)
        return is_open(self, now)

    monkeypatch.setattr(Calendar, "is_open", counted)
    others = (
        OFFICE.replace("id: main", "id: more")
        .replace("berlin_office", "tokyo_office")
        .replace("Europe/Berlin", "Asia/Tokyo")
    )
    twice = RAIL.replace("CONDITION", "'!cal.berlin_office'")
    again = twice.replace("id: trace-needs-privacy", "id: once-more")
    bundle = bundle_of(CATALOG, PAYMENTS, APPROVERS, OFFICE, others, twice, again)
    decided(bundle, wish_of(scope_of(INTERNAL)), MARIA)
    assert asked == ["Europe/Berlin"]
    asked.clear()
    decided(bundle_of(CATALOG, PAYMENTS, APPROVERS, OFFICE, others), wish_of(scope_of(INTERNAL)), MARIA)
    assert asked == []


def test_what_was_asked_for_in_time_is_decided_again_at_the_last_approval() -> None:
    """By then the office is closed: whom the guardrail asks for besides has to agree, too."""
    bundle = bundle_of(CATALOG, PAYMENTS, APPROVERS, OFFICE, RAIL.replace("CONDITION", "'!cal.berlin_office'"))
    asked_at, approved_at = parse_instant("2026-11-23T16:50:00Z"), parse_instant("2026-11-23T17:10:00Z")
    scope = replace(scope_of(INTERNAL), window=EventWindow((asked_at - 10**9) * 1_000, asked_at * 1_000))
    wish = wish_of(scope)
    pinned = offer(decided(bundle, wish, MARIA, now=asked_at))
    assert [plan.origin for plan in pinned.plans] == ["payments-prod-debug"]
    again = redecide(
        Point.FINAL_APPROVAL, pinned, bundle, wish, MARIA,
        directory=DIRECTORY, now=approved_at, submitted_at=asked_at, profiles=PROFILES,
    )  # fmt: skip
    assert again.refusal is None
    assert [plan.origin for plan in again.plans] == ["payments-prod-debug", "trace-needs-privacy"]


def test_a_route_that_holds_no_more_takes_nothing_from_a_session() -> None:
    night = payments(f"if: '!cal.berlin_office'\n    grant: {{limits: {{lines: 5}}}}\n    {SECOND}")
    bundle = bundle_of(CATALOG, night, APPROVERS, OFFICE)
    day, evening = parse_instant("2026-11-23T16:50:00Z"), parse_instant("2026-11-23T17:10:00Z")
    wish = wish_of(replace(scope_of(INTERNAL), window=EventWindow((day - 10**9) * 1_000, day * 1_000)))
    taken = offer(decided(bundle, wish, MARIA, now=day))
    again = redecide(
        Point.SESSION_OPEN, taken, bundle, wish, MARIA,
        directory=DIRECTORY, now=evening, submitted_at=day, profiles=PROFILES,
    )  # fmt: skip
    assert again.terms is not None
    assert again.terms.limits == taken.terms.limits


@pytest.mark.parametrize(
    "condition",
    [
        '"staging" in req.labels.env',
        '!!("staging" in req.labels.env)',
        'req.live || "staging" in req.labels.env',
        'req.labels.env.exists(x, x == "staging")',
        '!req.labels.env.all(x, x == "staging")',
        "size(req.labels.env) > 1",
        '("staging" in req.labels.env) == true',
        'req.sources.exists(x, "staging" in req.labels.env)',
    ],
)
def test_nothing_that_gives_access_becomes_true_by_asking_for_more(condition: str) -> None:
    quoted = "'" + condition + "'"
    assert codes(problems_of(CATALOG, APPROVERS, payments(when=quoted))) == ["P211"]
    assert codes(problems_of(CATALOG, APPROVERS, payments(f"if: {quoted}\n    auto: true"))) == ["P211"]
    cheaper = [f"if: {quoted}\n    {SECOND}", f"if: req.live\n    {SECOND.replace('need: 1', 'need: 2')}"]
    assert "P416" in codes(bundle_of(CATALOG, APPROVERS, payments(*cheaper)).warnings)
    as_dear = bundle_of(CATALOG, APPROVERS, payments(f"if: {quoted}\n    {SECOND}"))
    assert "P416" not in codes(as_dear.warnings)


@pytest.mark.parametrize(
    "condition",
    [
        '!("staging" in req.labels.env)',
        'req.labels.env.all(x, x == "staging")',
        '!req.labels.env.exists(x, x == "dev")',
    ],
)
def test_what_asking_for_more_makes_false_may_give_access(condition: str) -> None:
    bundle_of(CATALOG, APPROVERS, payments(f"if: '{condition}'\n    auto: true"))


@pytest.mark.parametrize(
    ("condition", "is_warned"),
    [
        ('!("prod" in req.labels.env)', True),
        ('req.labels.env.all(x, x == "prod")', True),
        ('"prod" in req.labels.env', False),
        ("req.live", False),
    ],
)
def test_a_guardrail_that_asking_for_more_gets_round_is_warned_of(condition: str, *, is_warned: bool) -> None:
    warnings = codes(bundle_of(CATALOG, RAIL.replace("CONDITION", f"'{condition}'")).warnings)
    assert ("P416" in warnings) is is_warned


def test_a_condition_that_is_refused_is_not_judged_besides() -> None:
    routes = (
        f"{{if: '\"pii\" in req.labels.data_clas', {SECOND}}}",
        "{if: req.live, stages: [{from: [group:privacy], need: 2}]}",
    )
    found = load(files_of(CATALOG, payments(*routes), APPROVERS))
    assert isinstance(found, list)
    assert [one.help for one in found if one.code == "P205"] == ["did you mean 'data_class'?"]
    assert "P416" not in codes(found)
    told = load(files_of(CATALOG, payments(routes[0].replace("data_clas'", "data_class'"), routes[1]), APPROVERS))
    assert isinstance(told, Bundle)
    assert "P416" in codes(told.warnings), "it would have been warned of"


@pytest.mark.parametrize(
    ("routes", "wanted"),
    [
        (["otherwise: true\n    auto: true"], ["P306"]),
        (["if: req.live\n    otherwise: true\n    auto: true"], ["P118"]),
        (["auto: true"], ["P306", "P306"]),
        (["if: req.live"], ["P118"]),
        (["if: [a]\n    auto: true"], ["P112"]),
        (["if: ''\n    auto: true"], ["P112"]),
        (["if: true\n    auto: true"], ["P213"]),
        (['if: "req.live"\n    auto: true'], ["P212"]),
        (["if: >\n      req.live\n    auto: true"], ["P212"]),
        (["if: req.lives\n    auto: true"], ["P205"]),
    ],
)
def test_routes_that_are_none(routes: Sequence[str], wanted: list[str]) -> None:
    assert codes(problems_of(CATALOG, APPROVERS, payments(*routes))) == wanted


def test_the_last_route_has_no_condition() -> None:
    policy = PAYMENTS.replace("  - otherwise: true\n", "  - if: req.live\n")
    assert codes(problems_of(CATALOG, APPROVERS, policy)) == ["P306"]


def test_a_policy_that_was_not_loaded_takes_no_route_where_none_holds() -> None:
    (loaded,) = bundle_of(CATALOG, APPROVERS, payments(f"if: req.live\n    {SECOND}")).policies
    without = replace(loaded, routes=loaded.routes[:1])

    def roots(*, live: bool) -> Roots:
        wish = wish_of(scope_of(live=live))
        return roots_of(bundle_of(CATALOG), wish, MARIA, NOTHING_KNOWN, submitted_at=NOW, now=NOW)

    assert taken_route(without, roots(live=True)).route == loaded.routes[0]
    assert taken_route(loaded, roots(live=False)).route == loaded.routes[1]
    with pytest.raises(LookupError, match="payments-prod-debug"):
        taken_route(without, roots(live=False))


@pytest.mark.parametrize(
    ("written", "column", "line"),
    [
        ("when: req.live && req.lives", 19, 0),
        ("when: 'req.live && req.lives'", 20, 0),
        ("when: 'req.redaction == ''raw'' && req.lives'", 36, 0),
        ("when: |\n  req.live &&\n    req.lives", 5, 2),
        ('when: |-\n    req.redaction == "raw" &&\n    req.live && req.lives', 17, 2),
    ],
)
def test_a_mistake_is_shown_where_it_stands(written: str, column: int, line: int) -> None:
    policy = PAYMENTS.replace("approve:\n", f"{written}\napprove:\n")
    (problem,) = problems_of(CATALOG, APPROVERS, policy)
    start = f"{CATALOG}---\n{APPROVERS}---\n{policy}".split("when:")[0].count("\n") + 1
    assert (problem.code, problem.at.line, problem.at.column, problem.at.width) == ("P205", start + line, column, 9)
    assert problem.line_text[column - 1 :].startswith("req.lives")


def test_a_condition_is_part_of_the_hash() -> None:
    one, same, other = (
        bundle_of(CATALOG, APPROVERS, payments(when=text)).hash for text in ("req.live", "'req.live'", "'!req.live'")
    )
    assert one == same != other
    assert bundle_of(CATALOG, APPROVERS, payments(when="req.live")).policies == (
        bundle_of(CATALOG, APPROVERS, payments(when="req.live")).policies
    )


@pytest.mark.parametrize(
    ("services", "evaluable"),
    [
        ([f"pay-{n}" for n in range(64)], True),
        ([f"pay-{n}" for n in range(65)], False),
        (["pay-" + "x" * 252], True),
        (["pay-" + "x" * 253], False),
    ],
    ids=["as many as there may be", "one too many", "as long as it may be", "too long"],
)
def test_values_beyond_what_conditions_read_make_nothing_true(services: list[str], evaluable: bool) -> None:
    policy = payments(when="'!(\"auth-api\" in req.labels.service)'")
    found = asked(policy, f'{{env="prod",service=~"{"|".join(services)}",data_class="internal"}}')
    assert bool(found.offers) is evaluable
