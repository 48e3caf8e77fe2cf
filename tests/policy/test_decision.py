"""Decisions: the worked scenario, what each rule does, default deny, and a naive decider that must agree."""

from __future__ import annotations

import gc
import itertools
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.policy.naive import naive_offers
from tests.policy.world import (
    APPROVERS,
    BOT,
    CATALOG,
    DIRECTORY,
    EVERYONE,
    FLOOR,
    LEE,
    MARIA,
    NOOR,
    NOW,
    OMAR,
    ORGANISATION,
    PAYMENTS,
    PROFILES,
    RESTRICTED,
    SAM,
    SRE,
    STAGING,
    bundle_of,
    decided,
    person,
    scope_of,
    wish_of,
)
from tests.volume import volume

from loglease.model.access_request import Wish
from loglease.model.ack import DEMANDED, Ack
from loglease.model.instant import NANOSECONDS, EventWindow, Instant
from loglease.model.key_scope import KeyScope
from loglease.model.limits import Limits
from loglease.model.offer import Outcome, Plan
from loglease.model.principal import Kind, Principal, directory_of
from loglease.model.scope import Level, Scope
from loglease.model.selector_text import parse_selector, selector_text
from loglease.policy import Bundle, Decision, decide
from loglease.policy.decision import Point
from loglease.policy.explain import Viewer, explain
from loglease.policy.profiles import strictest
from loglease.policy.trace import Fix, StepName

BUNDLE = bundle_of(*ORGANISATION)


def refused(decision: Decision) -> str:
    assert decision.refusal is not None
    return decision.refusal.code


def with_payments(old: str, new: str, *more: str) -> Bundle:
    assert old in PAYMENTS
    return bundle_of(CATALOG, PAYMENTS.replace(old, new), APPROVERS, *more)


def test_a_covered_wish_gets_one_offer() -> None:
    found = decided(BUNDLE)
    assert [one.policy for one in found.offers] == ["payments-prod-debug"]
    offer = found.offers[0]
    assert offer.outcome is Outcome.REVIEW
    assert offer.need == 1
    assert offer.terms.duration_s == 7200
    assert offer.terms.scopes == (scope_of(profile="pii-default@7"),)
    assert offer.terms.limits == Limits(lines=200_000, bytes=500_000_000)
    assert (offer.shape.activate_within_s, offer.shape.review_within_s) == (8 * 3600, 4 * 3600)
    assert (offer.bundle_sha256, offer.revision, offer.number) == (BUNDLE.hash, 418, 1)
    assert found.refusal is None


def test_two_policies_give_two_offers_in_a_fixed_order() -> None:
    found = decided(BUNDLE, wish_of(scope_of(level=Level.INFO, hours=4), duration_s=3600), LEE)
    assert [(one.number, one.policy, one.terms.duration_s) for one in found.offers] == [
        (1, "payments-prod-debug", 3600),
        (2, "sre-prod", 3600),
    ]
    longer = decided(BUNDLE, wish_of(scope_of(level=Level.INFO, hours=4), duration_s=7200), LEE)
    assert [(one.policy, one.terms.duration_s) for one in longer.offers] == [
        ("payments-prod-debug", 7200),
        ("sre-prod", 3600),
    ]


@pytest.mark.attack("PO-03")
def test_a_vague_request_is_denied_with_a_form_that_would_do() -> None:
    found = decided(BUNDLE, wish_of(scope_of('{service="pay-api"}'), duration_s=3600))
    assert refused(found) == "guardrail_denied"
    assert [selector_text(wish.scopes[0].selector) for wish in found.narrowed] == [
        '{data_class=~"internal|pii",env="prod",service="pay-api"}'
    ]
    assert decided(BUNDLE, found.narrowed[0]).offers
    assert found.refusal is not None
    assert found.refusal.next_step == (
        'Ask for less: {data_class=~"internal|pii",env="prod",service="pay-api"} on prod-logs from level debug, '
        "events 07:30:00 to 09:30:00 UTC on 2026-11-23."
    )


def test_nothing_is_offered_by_default() -> None:
    for bundle in (bundle_of(), bundle_of(CATALOG), bundle_of(CATALOG, FLOOR), bundle_of(CATALOG, APPROVERS)):
        for principal in EVERYONE:
            assert refused(decided(bundle, asks=principal)) == "policy_denied"


def test_automatic_only_where_a_route_says_so() -> None:
    wish = wish_of(scope_of('{env="staging",data_class="public"}', source="staging-logs"))
    assert decided(BUNDLE, wish).offers[0].outcome is Outcome.AUTO
    staged = bundle_of(
        CATALOG,
        STAGING,
        "api: loglease/v1\nkind: Guardrail\nid: look\napplies: {sources: [staging-logs]}\n"
        "require: {stage: {from: [group:privacy], need: 1}}\n",
    )
    offer = decided(staged, wish).offers[0]
    assert offer.outcome is Outcome.REVIEW
    assert offer.need == 1
    assert offer.plans[0] == Plan("staging-open", ())
    assert offer.plans[1].origin == "look"


@pytest.mark.parametrize(
    "scope",
    [
        scope_of(source="staging-logs"),
        scope_of(source="nowhere"),
        scope_of("{}"),
        scope_of('{env="prod",service="pay-api"}'),
        scope_of('{env="prod",data_class="internal"}'),
        scope_of('{service="pay-api",data_class="internal"}'),
        scope_of('{env="prod",service="pay-vault",data_class="internal"}'),
        scope_of('{env="prod",service=~"pay-.*",data_class="internal"}'),
        scope_of('{env="prod",service=~"pay-api|auth",data_class="internal"}'),
        scope_of('{env="prod",service="pay-api",data_class=~"internal|restricted"}'),
        scope_of('{env=~".+",service="pay-api",data_class="internal"}'),
        scope_of('{env!="dev",service="pay-api",data_class="internal"}'),
        scope_of(level=Level.TRACE),
        scope_of(level=None),
        scope_of(hours=24.1),
        scope_of(profile="raw"),
        scope_of(profile="secrets"),
        scope_of(profile="odd"),
        scope_of(profile="pii-default@6"),
        scope_of(profile="missing"),
    ],
)
def test_what_reaches_out_of_the_policy_is_denied(scope: Scope) -> None:
    found = decided(BUNDLE, wish_of(scope))
    assert not found.offers
    assert found.refusal is not None
    assert found.refusal.message


@pytest.mark.parametrize(
    "scope",
    [
        scope_of('{env="prod",service=~"pay-.*",service!="pay-vault",data_class="pii"}'),
        scope_of('{env="prod",service=~"pay-a.*",data_class="pii",pod="x"}'),
        scope_of(level=Level.ERROR),
        scope_of(hours=24),
        scope_of(live=True),
        scope_of(contains=("timeout",)),
        scope_of(profile="pii-default"),
        scope_of(profile="strict"),
    ],
)
def test_what_lies_inside_is_offered(scope: Scope) -> None:
    assert decided(BUNDLE, wish_of(scope)).offers


def test_following_needs_the_policy_to_say_so() -> None:
    still = with_payments("    live: true\n", "")
    assert not decided(still, wish_of(scope_of(live=True))).offers
    ahead = replace(scope_of(), window=EventWindow(NOW * 1000, NOW * 1000 + 1))
    assert not decided(still, wish_of(ahead)).offers
    assert decided(still).offers
    assert decided(BUNDLE, wish_of(ahead)).offers


def test_literals_of_the_policy_must_be_part_of_the_request() -> None:
    bundle = with_payments("    level_from: debug", "    contains: [order]\n    level_from: debug")
    assert not decided(bundle).offers
    assert not decided(bundle, wish_of(scope_of(contains=("timeout",)))).offers
    assert decided(bundle, wish_of(scope_of(contains=("order=5", "timeout")))).offers


def test_asking_for_a_stricter_profile_gives_it() -> None:
    offer = decided(BUNDLE, wish_of(scope_of(profile="strict"))).offers[0]
    assert offer.terms.scopes[0].profile == "strict@2"


def test_raw_only_to_those_who_ask_and_never_below_a_guardrail() -> None:
    raw = with_payments("pii-default", "raw")
    assert not decided(raw).offers
    assert decided(raw, wish_of(scope_of(profile="raw"))).offers[0].terms.scopes[0].profile == "raw@1"
    floored = with_payments("pii-default", "raw", FLOOR)
    assert decided(floored, wish_of(scope_of(profile="raw"))).offers[0].terms.scopes[0].profile == "secrets@1"


def test_raw_is_not_offered_where_data_subjects_are_limited() -> None:
    raw = with_payments("pii-default", "raw")
    wish = wish_of(scope_of(profile="raw"))
    assert decided(raw, wish).offers
    capped = with_payments(
        "pii-default",
        "raw",
        FLOOR.replace("at_least: {redaction: secrets}\n", "").replace("lines:", "subjects: 9, lines:"),
    )
    assert not decided(capped, wish).offers
    assert "cannot be counted" in explain(decided(capped, wish), Viewer.REQUESTER).text
    assert not decided(raw, replace(wish, limits=Limits(subjects=9))).offers


def test_the_fewest_data_subjects_hold() -> None:
    bundle = with_payments("lines: 200000", "subjects: 20", FLOOR.replace("lines:", "subjects: 9, lines:"))
    assert decided(bundle).offers[0].terms.limits.subjects == 9
    assert decided(bundle, wish_of(limits=Limits(subjects=4))).offers[0].terms.limits.subjects == 4


def test_raw_for_an_agent_only_where_the_policy_names_that_agent() -> None:
    who = "kinds: [human], any_of: [group:payments-eng]"
    grouped = bundle_of(
        CATALOG,
        PAYMENTS.replace(who, "kinds: [human, agent], any_of: [group:payments-eng]").replace("pii-default", "raw"),
        APPROVERS,
    )
    named = bundle_of(
        CATALOG,
        PAYMENTS.replace(who, "kinds: [agent], any_of: [agent:bot]").replace("pii-default", "raw"),
        APPROVERS,
    )
    wish = wish_of(scope_of(profile="raw"))
    assert not decided(grouped, wish, BOT).offers
    assert decided(named, wish, BOT).offers


def test_agents_ask_only_where_the_kind_is_named() -> None:
    assert not decided(BUNDLE, asks=BOT).offers
    allowed = with_payments("kinds: [human]", "kinds: [human, agent]")
    assert decided(allowed, asks=BOT).offers


def test_profiles_without_a_strictest_give_no_offer() -> None:
    bundle = with_payments("redaction: pii-default", "redaction: odd", FLOOR)
    assert not decided(bundle).offers


def test_a_profile_this_server_lacks_gives_no_offer() -> None:
    fewer = {name: info for name, info in PROFILES.items() if name != "pii-default"}
    found = decide(BUNDLE, wish_of(), MARIA, directory=DIRECTORY, now=NOW, profiles=fewer)
    assert not found.offers


@pytest.mark.parametrize(("asked", "granted"), [(None, 1800), (60, 60), (7200, 7200), (7201, 7200), (10**9, 7200)])
def test_durations_are_clamped_and_defaulted(asked: int | None, granted: int) -> None:
    assert decided(BUNDLE, wish_of(duration_s=asked)).offers[0].terms.duration_s == granted


def test_clamping_says_whose_limit_it_was() -> None:
    steps = decided(BUNDLE, wish_of(duration_s=28800)).policies[0].steps
    assert steps[-1].text == "2h (asked 8h, limit of the policy)"
    short = with_payments("max: 2h", "max: 8h", FLOOR)
    assert decided(short, wish_of(duration_s=28800)).policies[0].steps[-1].text == "4h (asked 8h, limit of org-floor)"


def test_routes_only_tighten() -> None:
    route = (
        "  - otherwise: true\n    grant: {duration: {max: 10m}, activate_within: 1h, single_use: true, "
        "idle_timeout: 5m, limits: {lines: 5, tails: 1}, redaction: strict, bind: [network], pseudonyms: grant}\n"
    )
    offer = decided(with_payments("  - otherwise: true\n", route)).offers[0]
    assert offer.terms.duration_s == 600
    assert offer.terms.limits == Limits(lines=5, bytes=500_000_000, tails=1)
    assert offer.terms.scopes[0].profile == "strict@2"
    assert (offer.shape.activate_within_s, offer.shape.single_use, offer.shape.idle_timeout_s) == (3600, True, 300)
    assert offer.shape.network_bound
    assert offer.shape.pseudonyms is KeyScope.GRANT
    wider = route.replace("10m", "9h").replace("lines: 5", "lines: 900000").replace("strict", "secrets")
    same = decided(with_payments("  - otherwise: true\n", wider)).offers[0]
    assert same.terms.duration_s == 7200
    assert same.terms.limits.lines == 200_000
    assert same.terms.scopes[0].profile == "pii-default@7"


WORDS = (*KeyScope, None)


@given(
    policy=st.sampled_from(WORDS), route=st.sampled_from(WORDS), rails=st.lists(st.sampled_from(KeyScope), max_size=2)
)
def test_pseudonyms_reach_no_farther_than_anybody_says(
    policy: KeyScope | None, route: KeyScope | None, rails: list[KeyScope]
) -> None:
    """Nobody widens what another one bounds, and a policy that says nothing keeps them inside of one grant."""
    own = "" if policy is None else f"  pseudonyms: {policy}\n"
    ways = "  - otherwise: true\n" + ("" if route is None else f"    grant: {{pseudonyms: {route}}}\n")
    payments = PAYMENTS.replace("  activate_within: 8h\n", f"  activate_within: 8h\n{own}").replace(
        "  - otherwise: true\n", ways
    )
    guards = [
        f"api: loglease/v1\nkind: Guardrail\nid: rail{at}\napplies: {{all_streams: true}}\n"
        f"at_least: {{pseudonyms: {rail}}}\n"
        for at, rail in enumerate(rails)
    ]
    offer = decided(bundle_of(CATALOG, payments, SRE, APPROVERS, *guards)).offers[0]
    said = [one for one in (policy or KeyScope.GRANT, route, *rails) if one is not None]
    order = ["grant", "team-day", "deployment"]
    assert offer.shape.pseudonyms == min(said, key=lambda one: order.index(str(one)))


@given(
    policy=st.sampled_from((*DEMANDED, None)),
    route=st.sampled_from((*DEMANDED, None)),
    rails=st.lists(st.sampled_from(DEMANDED), max_size=2),
)
def test_the_most_that_anybody_demands_of_the_record_counts(
    policy: Ack | None, route: Ack | None, rails: list[Ack]
) -> None:
    own = "" if policy is None else f"  audit: {policy}\n"
    ways = "  - otherwise: true\n" + ("" if route is None else f"    grant: {{audit: {route}}}\n")
    payments = PAYMENTS.replace("  activate_within: 8h\n", f"  activate_within: 8h\n{own}").replace(
        "  - otherwise: true\n", ways
    )
    guards = [
        f"api: loglease/v1\nkind: Guardrail\nid: rail{at}\napplies: {{all_streams: true}}\nat_least: {{audit: {rail}}}\n"
        for at, rail in enumerate(rails)
    ]
    offer = decided(bundle_of(CATALOG, payments, SRE, APPROVERS, *guards)).offers[0]
    said = {one for one in (policy, route, *rails) if one is not None}
    order = ["durable", "published", "witnessed"]
    assert offer.shape.ack == max({"durable", *said}, key=lambda one: order.index(str(one)))


def test_wishes_only_tighten_limits() -> None:
    limits = Limits(lines=10, bytes=10**12, queries=3)
    assert decided(BUNDLE, wish_of(limits=limits)).offers[0].terms.limits == Limits(
        lines=10, bytes=500_000_000, queries=3
    )


def test_guardrails_ban_cap_and_observe() -> None:
    assert refused(decided(BUNDLE, wish_of(scope_of('{data_class="restricted"}')))) == "guardrail_denied"
    refusal = decided(BUNDLE, wish_of(scope_of('{data_class="restricted"}'))).refusal
    assert refusal is not None
    assert refusal.rule == "no-restricted"
    assert "Ask the data owner" in refusal.message
    capped = with_payments("lookback: 24h", "lookback: 30d", FLOOR)
    assert refused(decided(capped, wish_of(scope_of(hours=200)))) == "guardrail_denied"
    observing = with_payments("lookback: 24h", "lookback: 30d", FLOOR + "mode: observe\n")
    found = decided(observing, wish_of(scope_of(hours=200)))
    assert found.offers
    assert found.guardrails[0].applies


def test_a_guardrail_of_another_source_does_not_apply() -> None:
    other = "api: loglease/v1\nkind: Guardrail\nid: other\napplies: {sources: [staging-logs]}\ndeny: true\n"
    assert decided(bundle_of(*ORGANISATION, other)).offers


def test_an_unconstrained_label_overlaps_a_ban() -> None:
    """Who asks for everything asks for what is banned."""
    everything = STAGING.replace("labels: {env: [staging, dev]}", "all_streams: true")
    bundle = bundle_of(CATALOG, everything, RESTRICTED)
    assert not decided(bundle, wish_of(scope_of("{}", source="staging-logs"))).offers
    careful = scope_of('{data_class!="restricted"}', source="staging-logs")
    assert decided(bundle, wish_of(careful)).offers


def test_exclusive_policies_keep_others_out_by_overlap() -> None:
    exclusive = PAYMENTS.replace("id: payments-prod-debug", "id: payments-prod-debug\nexclusive: true")
    bundle = bundle_of(CATALOG, exclusive, SRE, APPROVERS)
    wish = wish_of(scope_of(level=Level.INFO, hours=4))
    assert [one.policy for one in decided(bundle, wish, LEE).offers] == ["payments-prod-debug"]
    only_sre = person("ivy", "sre")
    directory = directory_of([*EVERYONE, only_sre])
    found = decided(bundle, wish, only_sre, directory=directory)
    assert not found.offers
    assert any(step.name is StepName.EXCLUSIVE for one in found.policies for step in one.steps)
    wider = scope_of('{env="prod",data_class="internal"}', level=Level.INFO)
    assert not decided(bundle, wish_of(wider), only_sre, directory=directory).offers
    around = scope_of('{env="prod",service="cart",data_class="internal"}', level=Level.INFO)
    assert decided(bundle, wish_of(around), only_sre, directory=directory).offers


@pytest.mark.parametrize(
    ("reason", "ticket", "code"),
    [
        ("", "PAY-7", "reason_required"),
        ("short", "PAY-7", "reason_required"),
        (" " * 50, "PAY-7", "reason_required"),
        ("x" * 20, None, "ticket_required"),
        ("x" * 20, "pay-7", "ticket_invalid"),
        ("x" * 20, "PAY-7 ", "ticket_invalid"),
        ("x" * 20, "PAY-1234567", "ticket_invalid"),
        ("x" * 20, "PAY-7\n", "ticket_invalid"),
        ("x" * 20, "P" * 200, "ticket_invalid"),
    ],
)
def test_reason_and_ticket_are_checked_here(reason: str, ticket: str | None, code: str) -> None:
    assert refused(decided(BUNDLE, wish_of(reason=reason, ticket=ticket))) == code


def test_a_plan_that_nobody_else_can_complete_is_no_offer() -> None:
    alone = directory_of([MARIA])
    found = decided(BUNDLE, directory=alone)
    assert refused(found) == "no_eligible_approver"
    assert found.refusal is not None
    assert found.refusal.message.startswith("Nobody but you may approve this.")
    assert "loglease admin user add" in (found.refusal.next_step or "")
    two_hats = person("zoe", "payments-eng", "payments-leads")
    assert refused(decided(BUNDLE, asks=two_hats, directory=directory_of([two_hats]))) == "no_eligible_approver"
    second = person("zoe2", "payments-leads", who=two_hats.person)
    agent = person("zbot", "payments-leads", kind=Kind.AGENT, who="per_other")
    both = directory_of([two_hats, second, agent])
    assert refused(decided(BUNDLE, asks=two_hats, directory=both)) == "no_eligible_approver"
    assert decided(BUNDLE, asks=two_hats, directory=directory_of([two_hats, OMAR])).offers


def test_who_is_excluded_or_disabled_gets_nothing() -> None:
    for principal in (person("c", "payments-eng", "contractors"), person("d", "payments-eng", enabled=False)):
        found = decided(BUNDLE, asks=principal, directory=directory_of([*EVERYONE, principal]))
        assert refused(found) == "policy_denied"


def test_suggestions_repair_what_can_be_repaired() -> None:
    old = decided(BUNDLE, wish_of(scope_of(hours=100, level=None)))
    (wish,) = old.narrowed
    assert wish.scopes[0].window.start_ns == (NOW * 1000) - 24 * 3600 * NANOSECONDS
    assert wish.scopes[0].level_from is Level.DEBUG
    assert Fix.NARROW in {step.fix for step in old.policies[0].steps}
    loose = decided(BUNDLE, wish_of(scope_of(profile="raw")))
    assert loose.narrowed[0].scopes[0].profile is None
    assert not decided(BUNDLE, wish_of(scope_of(source="nowhere"))).narrowed


@pytest.mark.parametrize("point", list(Point))
def test_once_a_bundle_has_expired_it_gives_nothing_new(point: Point) -> None:
    for early, is_given in ((1, True), (0, point is Point.SESSION_OPEN), (-1, point is Point.SESSION_OPEN)):
        found = decided(replace(BUNDLE, expires=Instant(NOW + early)), point=point)
        assert bool(found.offers) is is_given, early
    refusal = decided(replace(BUNDLE, expires=NOW), point=Point.SUBMIT).refusal
    assert refusal is not None
    assert (refusal.code, refusal.rule) == ("policy_denied", "bundle")
    assert refusal.message.startswith("The policy expired at 2026-11-23T09:30:00")
    assert refusal.next_step == "Ask those who run LogLease to load one."


def test_nothing_narrower_is_suggested_where_no_wish_can_hold_all_literals() -> None:
    bundle = with_payments("    lookback: 24h", "    contains: [order]\n    lookback: 24h")

    def narrowed(count: int) -> tuple[Wish, ...]:
        literals = tuple(f"word-{number}" for number in range(count))
        found = decided(bundle, wish_of(scope_of(contains=literals)))
        assert not found.offers
        return found.narrowed

    (wish,) = narrowed(7)
    assert len(wish.scopes[0].contains) == 8
    assert "order" in wish.scopes[0].contains
    assert narrowed(8) == ()  # with the policy's own there would be nine, and a scope takes eight


def test_at_most_twenty_offers() -> None:
    many = [STAGING.replace("staging-open", f"staging-{number}") for number in range(25)]
    found = decided(bundle_of(CATALOG, *many), wish_of(scope_of('{env="dev"}', source="staging-logs")))
    assert [one.number for one in found.offers] == list(range(1, 21))


def test_several_scopes_must_each_lie_inside_the_same_policy() -> None:
    two = replace(wish_of(), scopes=(scope_of(), scope_of('{env="staging"}', source="staging-logs")))
    assert not decided(BUNDLE, two).offers
    assert not decided(BUNDLE, replace(wish_of(), scopes=())).offers


def test_equal_inputs_give_equal_decisions_in_any_order_of_documents_and_people() -> None:
    shuffled, backwards = bundle_of(*reversed(ORGANISATION)), directory_of(reversed(EVERYONE))
    for asks, wish in itertools.product((MARIA, LEE, NOOR), (wish_of(), wish_of(scope_of(level=Level.INFO)))):
        one, other = decided(BUNDLE, wish, asks), decided(shuffled, wish, asks, directory=backwards)
        assert (one.offers, one.refusal, one.narrowed) == (other.offers, other.refusal, other.narrowed)
        assert [trace.steps for trace in one.policies] == [trace.steps for trace in other.policies]


# --- a naive decider: nested loops over the documents, streams and lines enumerated instead of compared

LEVELS = [level for level in Level if level is not Level.UNKNOWN]


CONDITIONAL = PAYMENTS.replace(
    "approve:\n",
    """when: '!req.live || req.lookback <= duration("6h")'
approve:
  - if: '"pii" in req.labels.data_class'
    stages: [{from: [approvers:payments-approvers], need: 1}, {from: [group:privacy], need: 1}]
  - if: req.labels.service.exists(x, x == "pay-api")
    stages: [{from: [group:sre-leads], need: 1}]
""",
)


selectors = st.sampled_from(
    [
        "{}",
        '{env="prod"}',
        '{env=~"staging|dev"}',
        '{env="dev"}',
        '{env="prod",service="pay-api",data_class="internal"}',
        '{env="prod",service="pay-other",data_class="internal"}',
        '{env="staging",data_class="public"}',
        '{env="prod",service="pay-api",data_class="pii"}',
        '{env="prod",service=~"pay-.*",data_class=~"internal|pii"}',
        '{env="prod",service=~"pay-.*",service!="pay-vault",data_class="pii"}',
        '{env="prod",service="cart",data_class="internal"}',
        '{env="prod",data_class="internal"}',
        '{service="pay-api"}',
        '{data_class="restricted"}',
        '{env="staging",data_class!="restricted"}',
        '{env=~".+"}',
    ]
)
EXTRA = (
    "api: loglease/v1\nkind: Guardrail\nid: privacy\napplies: {labels: {data_class: pii}}\n"
    "require: {stage: {from: [group:privacy], need: 1}}\ncaps: {duration: 15m}\nat_least: {redaction: strict}\n"
)
RAW_POLICY = SRE.replace("sre-prod", "sre-raw").replace("pii-default", "raw")
BUNDLES = [
    BUNDLE,
    bundle_of(*ORGANISATION, EXTRA),
    bundle_of(CATALOG, PAYMENTS, SRE, STAGING, APPROVERS),
    bundle_of(CATALOG, PAYMENTS, RAW_POLICY, APPROVERS),
    bundle_of(CATALOG, PAYMENTS, RAW_POLICY, APPROVERS, FLOOR, EXTRA),
    bundle_of(CATALOG, CONDITIONAL, SRE, APPROVERS),
    bundle_of(CATALOG, PAYMENTS, SRE.replace("group:sre-leads", "'relation:manager'"), APPROVERS),
    bundle_of(CATALOG, CONDITIONAL, STAGING, APPROVERS, EXTRA),
    bundle_of(CATALOG, STAGING.replace("labels: {env: [staging, dev]}", "all_streams: true"), RESTRICTED, EXTRA),
]
EVE = person("eve", "payments-eng", "sre", "engineering", manager=SAM.person)
HITS = {"offer": 0, "deny": 0}


def mostly(*usual: object, rarely: Sequence[object]) -> st.SearchStrategy[Any]:
    """Draw the usual values twelve times as often, or denials for one reason would drown all others."""
    return st.sampled_from([*usual] * 12 * len(rarely) + [*rarely] * len(usual))


@given(
    bundle=st.sampled_from(BUNDLES),
    text=selectors,
    source=mostly("prod-logs", "staging-logs", rarely=["nowhere"]),
    hours=mostly(0.5, 2, 6, rarely=[24, 24.5, 170]),
    live=mostly(False, rarely=[True]),
    level=mostly(Level.INFO, Level.DEBUG, rarely=[None, *LEVELS]),
    profile=mostly(None, rarely=["raw", "secrets", "pii-default", "strict"]),
    duration_s=st.sampled_from([None, 60, 3600, 7200, 99999]),
    reason=mostly("cards fail at checkout since nine", rarely=["short", ""]),
    ticket=mostly("PAY-7", rarely=[None, "X"]),
    asks=mostly(MARIA, LEE, EVE, rarely=[NOOR, SAM, BOT]),
    missing=mostly(None, rarely=[NOOR, OMAR, SAM]),
)
@settings(max_examples=volume(150, 350), deadline=None)
def check_against_the_naive_decider(
    bundle: Bundle,
    text: str,
    source: str,
    hours: float,
    live: bool,
    level: Level | None,
    profile: str | None,
    duration_s: int | None,
    reason: str,
    ticket: str | None,
    asks: Principal,
    missing: Principal | None,
) -> None:
    scope = scope_of(text, source=source, hours=hours, live=live, level=level, profile=profile)
    wish = wish_of(scope, duration_s=duration_s, reason=reason, ticket=ticket)
    gone = missing is not None and missing.id != asks.id
    directory = directory_of(one for one in [*EVERYONE, EVE] if not (gone and missing is one))
    found = decided(bundle, wish, asks, directory=directory)
    ours = {
        one.policy: (one.terms.duration_s, (one.terms.scopes[0].profile or "").partition("@")[0], one.need)
        for one in found.offers
    }
    assert ours == naive_offers(bundle, wish, asks, directory)
    assert (found.refusal is None) == bool(ours)
    HITS["offer" if ours else "deny"] += 1
    for narrowed in found.narrowed:
        assert wish.scopes[0].contains_scope(narrowed.scopes[0])
    for offer in found.offers:
        assert strictest([offer.terms.scopes[0].profile or "x"], PROFILES)
        assert offer.outcome is Outcome.AUTO or offer.need >= 1


@pytest.mark.volume
def test_a_naive_decider_agrees_and_saw_both_answers() -> None:
    check_against_the_naive_decider()
    assert min(HITS.values()) >= volume(3, 20)


@given(text=selectors, asks=st.sampled_from([MARIA, LEE]), key=st.sampled_from(["env", "service", "data_class"]))
def test_a_vaguer_request_never_gets_more(text: str, asks: Principal, key: str) -> None:
    """Dropping a label: what was denied stays denied, what needed reviews never becomes automatic."""
    selector = parse_selector(text)
    vague = replace(selector, matchers=tuple(one for one in selector.matchers if one[0] != key))
    for source in ("prod-logs", "staging-logs"):
        narrow = decided(BUNDLE, wish_of(scope_of(text, source=source)), asks)
        wide = decided(BUNDLE, wish_of(replace(scope_of(text, source=source), selector=vague)), asks)
        if not narrow.offers:
            assert not wide.offers
        if wide.offers:
            assert min(one.need for one in wide.offers) >= min(one.need for one in narrow.offers)


def test_lookbacks_count_from_submission() -> None:
    later = Instant(NOW + 3 * 3600 * 1_000_000)
    wish = wish_of(scope_of(hours=24))
    assert not decided(BUNDLE, wish, now=later).offers
    assert decided(BUNDLE, wish, now=later, submitted_at=NOW).offers


def test_a_decision_leaves_no_cycles() -> None:
    """A server makes many, and replays many more: counting references frees them, so that nothing piles up."""
    bundle = bundle_of(*ORGANISATION)
    decided(bundle)
    gc.collect()
    gc.disable()
    try:
        found = decided(bundle)
        assert found.offers
        assert found.own
        del found
        assert gc.collect() == 0
    finally:
        gc.enable()
