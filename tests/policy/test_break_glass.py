"""Access in an emergency: what a BreakGlass must say, when it is asked, and what guardrails leave of it."""

from __future__ import annotations

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.policy.world import (
    APPROVERS,
    CATALOG,
    EMERGENCY,
    FLOOR,
    LEE,
    MARIA,
    ORGANISATION,
    PRIYA,
    SAM,
    STAGING,
    bundle_of,
    codes,
    decided,
    person,
    problems_of,
    scope_of,
    wish_of,
)

from loglease.model.offer import Outcome, Plan, Slots, Stage
from loglease.model.principal import Kind, directory_of
from loglease.policy import Severity, Viewer, analysis, complaints, explain, load, run_tests, who_can
from loglease.policy.difference import differences

REASON = "production is on fire and nobody of the leads answers"
ALL = (*ORGANISATION, EMERGENCY)
STAGE = Stage(blocks=(Slots(("group:sre-leads",), 1),))
PRIVACY_RAIL = """\
api: loglease/v1
kind: Guardrail
id: asks-privacy
applies: {all_streams: true}
require: {stage: {from: [group:privacy], need: 1}}
"""
AFTER = "after_review: {from: [group:sre-leads], need: 1, within: 24h}"
AUTO = STAGING.replace("auto: true", f"auto: true, {AFTER}")


def changed(old: str, new: str) -> list[str]:
    assert old in EMERGENCY
    return codes(problems_of(CATALOG, EMERGENCY.replace(old, new, 1)))


def in_need(**more: object) -> object:
    return wish_of(reason=REASON, break_glass=True, **more)  # type: ignore[arg-type]


@pytest.mark.parametrize("field", ["who", "scopes", "step_up", "grant", "notify", "after_review", "rate"])
def test_what_it_costs_has_to_be_said(field: str) -> None:
    lines = [
        one
        for one in EMERGENCY.splitlines()
        if not one.startswith((f"{field}:", "  - {" if field == "scopes" else "\0"))
    ]
    found = problems_of(CATALOG, "\n".join(lines) + "\n")
    assert codes(found) == ["P111"]
    assert f"'{field}'" in found[0].message


@pytest.mark.parametrize(
    ("old", "new", "code"),
    [
        ("redaction: pii-default", "redaction: raw", "P308"),
        ("redaction: pii-default", "redaction: pii-default, extend: {times: 1, by: 5m}", "P328"),
        ("redaction: pii-default", "redaction: raw@1", "P308"),
        ("{within: 5m}", "{within: 16m}", "P114"),
        ("{within: 5m}", "{}", "P119"),
        ("channel:security", "channel:nowhere", "P302"),
        ("channel:security", "security", "P303"),
        ("channel:security", "agent:robot", "P303"),
        ("channel:security", "oncall:sre", "P303"),
        ("[channel:security, group:sre-leads]", "[]", "P119"),
        ("need: 1, within", "within", "P111"),
        (", within: 24h", "", "P111"),
        ("from: [group:sre-leads], need", "from: [agent:robot], need", "P310"),
        ("{to: [group:privacy]}", "{}", "P119"),
        ("per_person: 2, ", "", "P111"),
        (", window: 7d", "", "P111"),
        (", alarm_at: 10", "", "P111"),
        ("per_person: 2", "per_person: 0", "P114"),
        ("{any_of: [group:sre]}", "{kinds: [agent], any_of: [group:sre]}", "P110"),
        ("ask: {reason: {min: 30}}", "approve: [{otherwise: true, auto: true}]", "P110"),
        ("limits: {lines: 50000, bytes: 100MB, tails: 2}", "reveal: {classes: [pii]}", "P110"),
        ("limits: {lines: 50000, bytes: 100MB, tails: 2}", "activate_within: 8h", "P110"),
        ("ask: {reason: {min: 30}}", "allow_self: true", "P307"),
        ("ask: {reason: {min: 30}}", 'when: ctx.net != "other"', "P205"),
    ],
)
def test_what_it_may_not_say(old: str, new: str, code: str) -> None:
    assert code in changed(old, new)


def test_the_outage_of_a_tracker_may_not_close_it() -> None:
    facts = """\
api: loglease/v1
kind: Facts
id: tickets
facts:
  ctx.ticket: {type: record, optional: true, from: tickets, max_age: 60s, fields: {state: [open, closed]}}
"""
    for state, wanted in (("", []), (", state: [open]", ["P324"])):
        asks = f"ask: {{reason: {{min: 30}}, ticket: {{tracker: tickets, key: 'INC-[0-9]+'{state}}}}}"
        document = EMERGENCY.replace("ask: {reason: {min: 30}}", asks)
        if wanted:
            (found,) = problems_of(CATALOG, facts, document)
            assert (found.code, found.line_text) == (wanted[0], asks)
        else:
            (emergency,) = bundle_of(CATALOG, facts, document).emergencies
            assert emergency.policy.ask.ticket is not None


def test_an_id_is_of_a_policy_or_of_an_emergency() -> None:
    found = problems_of(CATALOG, EMERGENCY, STAGING.replace("staging-open", "prod-emergency"))
    assert codes(found) == ["P301"]


@pytest.mark.parametrize(("longest", "warned"), [("30m", False), ("1h", False), ("1h1s", True)])
def test_who_writes_more_than_an_hour_is_warned(longest: str, warned: bool) -> None:
    bundle = bundle_of(*ORGANISATION, EMERGENCY.replace("max: 30m", f"max: {longest}"))
    assert ("P417" in [one.code for one in bundle.warnings]) is warned


def test_a_refusal_says_that_no_document_is_for_this_emergency() -> None:
    refusal = decided(bundle_of(*ORGANISATION), in_need(), LEE).refusal
    assert refusal is not None
    assert (refusal.code, refusal.message) == ("policy_denied", "No BreakGlass document offers this to you.")
    assert refusal.next_step == "Ask for access that somebody approves."


def test_nothing_lasts_longer_than_an_hour_whatever_is_written() -> None:
    bundle = bundle_of(*ORGANISATION, EMERGENCY.replace("default: 15m, max: 30m", "default: 6h, max: 8h"))
    assert [one.code for one in bundle.warnings if one.code == "P417"] == ["P417"]
    for asked in (None, 60, 3_600, 8 * 3_600):
        offer = decided(bundle, in_need(duration_s=asked), LEE).offers[0]  # type: ignore[arg-type]
        assert offer.terms.duration_s == min(asked or 3_600, 3_600)


def test_it_is_offered_to_those_who_say_that_it_is_an_emergency() -> None:
    bundle = bundle_of(*ALL)
    (offer,) = decided(bundle, in_need(), LEE).offers  # type: ignore[arg-type]
    assert (offer.policy, offer.outcome, offer.need) == ("prod-emergency", Outcome.BREAK_GLASS, 0)
    assert offer.plans == (Plan("prod-emergency", ()),)
    assert offer.after is not None
    assert (offer.after.plans, offer.after.within_s) == ((Plan("prod-emergency", (STAGE,)),), 86_400)
    assert offer.after.escalate_to == ("group:privacy",)
    assert [scope.profile for scope in offer.terms.scopes] == ["pii-default@7"]


@given(st.sampled_from([LEE, MARIA, SAM]), st.booleans(), st.sampled_from([1.0, 5.0, 20.0]), st.booleans())
def test_it_is_never_offered_otherwise_and_never_beside_policies(
    asks: object, in_emergency: bool, hours: float, live: bool
) -> None:
    wish = wish_of(scope_of(hours=hours, live=live), reason=REASON, break_glass=in_emergency)
    outcomes = {one.outcome is Outcome.BREAK_GLASS for one in decided(bundle_of(*ALL), wish, asks).offers}  # type: ignore[arg-type]
    assert outcomes <= {in_emergency}


def test_an_ordinary_wish_is_decided_as_if_there_were_no_such_document() -> None:
    with_it, without = decided(bundle_of(*ALL), asks=LEE), decided(bundle_of(*ORGANISATION), asks=LEE)
    assert [one.policy for one in with_it.offers] == [one.policy for one in without.offers]
    assert [one.policy.id for one in with_it.policies] == [one.policy.id for one in without.policies]


def test_whom_it_is_not_for_gets_nothing_and_neither_do_agents_of_the_group() -> None:
    bundle = bundle_of(*ALL)
    robot = person("robot", "sre", kind=Kind.AGENT)
    for asks in (MARIA, robot):
        found = decided(bundle, in_need(), asks, directory=directory_of([asks, SAM]))  # type: ignore[arg-type]
        assert found.offers == ()
        assert found.refusal is not None
        assert found.refusal.code == "policy_denied"


def test_raw_cannot_be_had_in_an_emergency() -> None:
    found = decided(bundle_of(*ALL), in_need(scope=scope_of(profile="raw")), LEE)  # type: ignore[arg-type]
    assert found.offers == ()


def test_a_reason_is_too_short_in_an_emergency_too() -> None:
    found = decided(bundle_of(*ALL), wish_of(reason="fire", break_glass=True), LEE)
    assert found.refusal is not None
    assert found.refusal.code == "reason_required"


def test_guardrails_ban_and_cap_unless_they_say_not_in_emergencies() -> None:
    ban = "api: loglease/v1\nkind: Guardrail\nid: ban\napplies: {all_streams: true}\ndeny: true\n"
    cap = "api: loglease/v1\nkind: Guardrail\nid: cap\napplies: {all_streams: true}\ncaps: {duration: 5m}\n"
    assert decided(bundle_of(*ALL, ban), in_need(), LEE).offers == ()  # type: ignore[arg-type]
    for rail, granted in (
        (cap, 300),
        (cap + "even_break_glass: false\n", 1_800),
        (ban + "even_break_glass: false\n", 1_800),
    ):
        (offer,) = decided(bundle_of(*ALL, rail), in_need(), LEE).offers  # type: ignore[arg-type]
        assert offer.terms.duration_s == granted
    ordinary = decided(bundle_of(*ALL, ban + "even_break_glass: false\n"), wish_of(), LEE)
    assert ordinary.offers == ()


def test_a_stage_that_a_guardrail_demands_joins_the_after_review() -> None:
    (offer,) = decided(bundle_of(*ALL, PRIVACY_RAIL), in_need(), LEE).offers  # type: ignore[arg-type]
    assert (offer.outcome, offer.need) == (Outcome.BREAK_GLASS, 0)
    assert offer.after is not None
    assert [plan.origin for plan in offer.after.plans] == ["prod-emergency", "asks-privacy"]


def test_a_late_after_review_takes_the_people_it_is_escalated_to() -> None:
    (offer,) = decided(bundle_of(*ALL, PRIVACY_RAIL), in_need(), LEE).offers  # type: ignore[arg-type]
    assert offer.after is not None
    assert offer.after.demanded(late=False) == offer.after.plans
    own, rail = offer.after.demanded(late=True)
    assert own.stages[0].blocks == (Slots(("group:privacy", "group:sre-leads"), 1),)
    assert rail == offer.after.plans[1]


def test_nothing_is_given_that_nobody_could_look_at_afterwards() -> None:
    bundle = bundle_of(*ALL)
    alone = decided(bundle, in_need(), LEE, directory=directory_of([LEE]))  # type: ignore[arg-type]
    assert alone.refusal is not None
    assert alone.refusal.code == "no_eligible_approver"
    assert decided(bundle, in_need(), LEE, directory=directory_of([LEE, PRIYA])).offers  # type: ignore[arg-type]


def test_when_and_calendars_are_asked() -> None:
    facts = """\
api: loglease/v1
kind: Facts
id: main
calendars: {office: {zone: UTC, days: [mon], hours: ["08:00-18:00"]}}
"""
    closed = EMERGENCY + "when: '!cal.office'\n"
    assert decided(bundle_of(*ORGANISATION, facts, closed), in_need(), LEE).offers == ()  # type: ignore[arg-type]
    assert decided(bundle_of(*ORGANISATION, facts, EMERGENCY + "when: cal.office\n"), in_need(), LEE).offers  # type: ignore[arg-type]


def test_conditions_see_that_it_is_an_emergency() -> None:
    rail = "api: loglease/v1\nkind: Guardrail\nid: ban\napplies: {all_streams: true}\nif: req.break_glass\ndeny: true\n"
    bundle = bundle_of(*ALL, rail)
    assert decided(bundle, in_need(), LEE).offers == ()  # type: ignore[arg-type]
    assert decided(bundle, wish_of(), LEE).offers != ()


CLOSED = "an after-review of yours is late"


def test_what_is_closed_to_somebody_is_refused_in_an_emergency_and_ordinary_requests_are_not() -> None:
    bundle = bundle_of(*ALL)
    found = decided(bundle, in_need(), LEE, closed=CLOSED)  # type: ignore[arg-type]
    assert found.refusal is not None
    assert (found.refusal.code, CLOSED in found.refusal.message) == ("policy_denied", True)
    assert decided(bundle, wish_of(), LEE, closed=CLOSED).offers == decided(bundle, wish_of(), LEE).offers


def test_automatic_routes_are_left_out_and_the_next_with_people_is_taken() -> None:
    both = STAGING.replace(
        "[{otherwise: true, auto: true}]",
        f"\n  - {{if: '!req.live', auto: true, {AFTER}}}\n"
        "  - {otherwise: true, stages: [{from: [group:sre-leads], need: 1}]}",
    )
    wish = wish_of(scope_of('{env="dev",data_class="public"}', source="staging-logs"))
    bundle = bundle_of(CATALOG, both)
    (free,) = decided(bundle, wish).offers
    assert (free.outcome, free.rule) == (Outcome.AUTO, "staging-open, route 1")
    found = decided(bundle, wish, closed=CLOSED)
    (offer,) = found.offers
    assert (offer.outcome, offer.rule, offer.after) == (Outcome.REVIEW, "staging-open, route 2", None)
    assert f"automatic routes are closed to you: {CLOSED}" in explain(found, Viewer.REQUESTER).text


def test_a_policy_with_nothing_but_an_automatic_route_offers_nothing_then() -> None:
    wish = wish_of(scope_of('{env="dev",data_class="public"}', source="staging-logs"))
    found = decided(bundle_of(CATALOG, AUTO), wish, closed=CLOSED)
    assert found.offers == ()
    assert found.refusal is not None
    assert CLOSED in found.refusal.message


def test_an_automatic_route_has_an_after_review_and_one_with_people_has_none() -> None:
    wish = wish_of(scope_of('{env="dev",data_class="public"}', source="staging-logs"))
    (offer,) = decided(bundle_of(CATALOG, AUTO), wish).offers
    assert offer.after is not None
    assert offer.after.plans == (Plan("staging-open", (STAGE,)),)
    (more,) = decided(bundle_of(CATALOG, AUTO, PRIVACY_RAIL), wish).offers
    assert (more.outcome, more.after) == (Outcome.REVIEW, None)
    staged = f"[{{otherwise: true, stages: [{{from: [group:privacy], need: 1}}], {AFTER}}}]"
    assert codes(problems_of(CATALOG, STAGING.replace("[{otherwise: true, auto: true}]", staged))) == ["P118"]


TEST = """\
api: loglease/v1
kind: PolicyTest
id: emergencies
now: 2026-11-23T09:30:00Z
people: {lee: {groups: [sre]}, sam: {groups: [sre-leads]}}
scopes: {api: {source: prod-logs, labels: {env: prod, data_class: internal}, level_from: debug, from: -2h}}
cases:
  - it: breaks the glass
    ask: {as: lee, scope: api, reason: production is on fire and nobody answers, break_glass: true}
    want: {outcome: break_glass, policy: prod-emergency, duration: 15m, redaction: pii-default, stages: 0}
  - it: does not break it by itself
    ask: {as: lee, scope: api, reason: production is on fire and nobody answers}
    want: {outcome: deny}
  - it: is wrong
    ask: {as: lee, scope: api, reason: production is on fire and nobody answers, break_glass: true}
    want: {outcome: auto}
"""


def test_policy_tests_break_the_glass() -> None:
    files = {"a.yaml": f"{CATALOG}---\n{EMERGENCY}".encode(), "a.test.yaml": TEST.encode()}
    bundle = load(files)
    assert not isinstance(bundle, list)
    results = run_tests(bundle)
    assert [one.differences for one in results[:2]] == [(), ()]
    assert results[2].differences == ("want outcome auto, got break_glass by Production on fire, break-glass",)
    assert [one for one in bundle.warnings if one.code == "P412"] == []


def test_the_hash_covers_it_and_a_bundle_without_keeps_its_hash() -> None:
    hashes = {bundle_of(*ORGANISATION).hash, bundle_of(*ALL).hash}
    for old, new in (
        ("5m}", "6m}"),
        ("per_person: 2", "per_person: 3"),
        ("within: 24h", "within: 25h"),
        ("security", "main"),
    ):
        hashes.add(bundle_of(*ORGANISATION, EMERGENCY.replace(old, new)).hash)
    assert len(hashes) == 6


@pytest.mark.parametrize(
    ("old", "new", "verdict", "place"),
    [
        ("within: 5m", "within: 10m", "WIDENS", "step_up.within"),
        ("per_person: 2", "per_person: 3", "WIDENS", "rate.per_person"),
        ("window: 7d", "window: 1d", "WIDENS", "rate.window"),
        ("alarm_at: 10", "alarm_at: 20", "WIDENS", "rate.alarm_at"),
        ("channel:security, ", "", "WIDENS", "notify"),
        ("within: 24h", "within: 48h", "WIDENS", "approve[0].after_review.within"),
        (", escalate: {to: [group:privacy]}", "", "NARROWS", "approve[0].after_review.escalate.to"),
        ("max: 30m", "max: 20m", "NARROWS", "grant.duration.max"),
        ("need: 1", "need: 2", "NARROWS", "approve[0].after_review.stage.need"),
    ],
)
def test_a_comparison_knows_what_each_field_costs(old: str, new: str, verdict: str, place: str) -> None:
    before, after = bundle_of(*ALL), bundle_of(*ORGANISATION, EMERGENCY.replace(old, new, 1))
    (found,) = differences(before, after)
    assert (str(found.verdict), found.kind, found.place) == (verdict, "BreakGlass", place)
    (back,) = differences(after, before)
    assert {str(found.verdict), str(back.verdict)} == {"WIDENS", "NARROWS"}


def test_a_comparison_says_that_one_came_or_went() -> None:
    with_it, without = bundle_of(*ALL), bundle_of(*ORGANISATION)
    assert [str(one.verdict) for one in differences(without, with_it)] == ["WIDENS"]
    assert [str(one.verdict) for one in differences(with_it, without)] == ["NARROWS"]
    auto, plain = bundle_of(CATALOG, AUTO), bundle_of(CATALOG, STAGING)
    assert [(str(one.verdict), one.place) for one in differences(auto, plain)] == [
        ("WIDENS", "approve[0].after_review")
    ]
    assert [(str(one.verdict), one.place) for one in differences(plain, auto)] == [
        ("NARROWS", "approve[0].after_review")
    ]


def test_who_could_break_the_glass_can_be_asked() -> None:
    answers = who_can(bundle_of(*ALL), in_need(), now=decided(bundle_of(*ALL)).decided_at, profiles={})  # type: ignore[arg-type]
    assert [one.policy.id for one in answers] == ["prod-emergency"]


def test_health_complains_where_nobody_could_look_afterwards() -> None:
    found = complaints(bundle_of(CATALOG, EMERGENCY), today=date(2026, 11, 23), directory=directory_of([LEE]))
    assert [(one.code, one.severity) for one in found] == [("P415", Severity.WARNING)]


def test_a_condition_that_never_holds_is_found_here_too() -> None:
    dead = EMERGENCY + "when: req.live && !req.live\n"
    found = analysis.analysed(bundle_of(CATALOG, dead), {})
    assert codes(found) == ["P214"]


def test_an_explanation_says_that_somebody_looks_afterwards() -> None:
    found = explain(decided(bundle_of(*ALL), in_need(), LEE), Viewer.REQUESTER)  # type: ignore[arg-type]
    assert "at once, looked at within 1d" in found.text
    assert found.data["offers"][0]["after_review"] == {  # type: ignore[call-overload, index]
        "within": "P1D",
        "plans": [{"origin": "prod-emergency", "stages": ["1 of group:sre-leads"]}],
    }
    assert found.data["asked"]["break_glass"] is True  # type: ignore[call-overload, index]


def test_the_bundle_finds_one_by_its_id() -> None:
    bundle = bundle_of(*ALL, APPROVERS.replace("payments-approvers", "others"), FLOOR.replace("org-floor", "floor"))
    assert bundle.emergency("prod-emergency") is bundle.emergencies[0]
    assert bundle.emergency("sre-prod") is None
