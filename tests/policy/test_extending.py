"""What a policy offers to somebody who asks for more time, and what it never does."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, cast

import orjson
import pytest
from tests.policy.world import (
    APPROVERS,
    CATALOG,
    DIRECTORY,
    FLOOR,
    MARIA,
    NOW,
    PAYMENTS,
    PROFILES,
    bundle_of,
    decided,
    wish_of,
)

from loglease.model.access_request import Wish
from loglease.model.extension import ExtendRule, Extends
from loglease.model.ids import GrantId
from loglease.model.instant import NANOSECONDS, EventWindow, Instant
from loglease.policy import Bundle, Viewer, explain, load, run_tests
from loglease.policy.decision import Point
from loglease.policy.decision_records import decision_data, read_decision
from loglease.policy.extending import NOT_ALLOWED, reached
from loglease.policy.recheck import redecide

WITH = PAYMENTS.replace("  redaction: pii-default\n", "  redaction: pii-default\n  extend: {times: 2, by: 20m}\n")
BUNDLE = bundle_of(CATALOG, WITH, APPROVERS)


def wish(number: int = 1, policy: str = "payments-prod-debug", **changes: Any) -> Wish:
    chain = tuple(GrantId(f"grt_{one}") for one in range(number))
    return replace(wish_of(), duration_s=None, extends=Extends(chain=chain, policy=policy), **changes)


def test_an_extension_goes_through_the_stages_of_its_route_for_as_long_as_the_policy_says() -> None:
    (offer,) = decided(BUNDLE, wish()).offers
    assert offer.terms.duration_s == 20 * 60
    assert [block.approvers for plan in offer.plans for stage in plan.stages for block in stage.blocks] == [
        ("approvers:payments-approvers",)
    ]
    assert offer.shape.extend == ExtendRule(2, 20 * 60)


@pytest.mark.parametrize(("asked_s", "given_s"), [(60, 60), (20 * 60, 20 * 60), (7_200, 20 * 60)])
def test_no_extension_is_longer_than_one(asked_s: int, given_s: int) -> None:
    (offer,) = decided(BUNDLE, replace(wish(), duration_s=asked_s)).offers
    assert offer.terms.duration_s == given_s


def test_the_limit_of_the_policy_and_caps_of_guardrails_bound_it_too() -> None:
    short = WITH.replace("default: 30m, max: 2h", "default: 5m, max: 10m")
    assert decided(bundle_of(CATALOG, short, APPROVERS), wish()).offers[0].terms.duration_s == 600
    capped = FLOOR.replace("duration: 4h", "duration: 3m")
    assert decided(bundle_of(CATALOG, WITH, APPROVERS, capped), wish()).offers[0].terms.duration_s == 180


def test_a_chain_ends_where_the_policy_says() -> None:
    assert decided(BUNDLE, wish(2)).offers
    found = decided(BUNDLE, wish(3))
    assert found.refusal is not None
    assert (found.refusal.code, found.refusal.rule) == (NOT_ALLOWED, "payments-prod-debug")


def test_a_policy_that_does_not_extend_says_so() -> None:
    found = decided(bundle_of(CATALOG, PAYMENTS, APPROVERS), wish())
    assert found.refusal is not None
    assert (found.refusal.code, found.refusal.next_step is None) == (NOT_ALLOWED, False)


def test_only_the_policy_of_the_grant_extends_it() -> None:
    twin = WITH.replace("id: payments-prod-debug", "id: twin")
    both = bundle_of(CATALOG, WITH, twin, APPROVERS)
    assert [one.policy for one in decided(both, wish(policy="twin")).offers] == ["twin"]
    assert not decided(BUNDLE, wish(policy="twin")).offers


def test_a_route_only_tightens() -> None:
    def with_route(extend: str) -> Bundle:
        route = f"  - otherwise: true\n    grant: {{extend: {extend}}}\n"
        return bundle_of(CATALOG, WITH.replace("  - otherwise: true\n", route), APPROVERS)

    tight = with_route("{times: 1, by: 5m}")
    assert decided(tight, wish()).offers[0].terms.duration_s == 300
    assert not decided(tight, wish(2)).offers
    loose = with_route("{times: 9, by: 9h}")
    assert decided(loose, wish()).offers[0].shape.extend == ExtendRule(2, 20 * 60)
    assert not decided(loose, wish(3)).offers


def test_a_wish_of_ones_own_is_not_touched_by_it() -> None:
    (offer,) = decided(BUNDLE, wish_of()).offers
    assert offer.terms == decided(bundle_of(CATALOG, PAYMENTS, APPROVERS), wish_of()).offers[0].terms


@pytest.mark.parametrize("point", [Point.FINAL_APPROVAL, Point.ACTIVATION, Point.SESSION_OPEN])
def test_it_is_decided_again_by_the_documents_of_then(point: Point) -> None:
    asked = wish(2)
    (pinned,) = decided(BUNDLE, asked).offers

    def again(bundle: Bundle) -> Any:
        return redecide(
            point, pinned, bundle, asked, MARIA, directory=DIRECTORY, now=NOW, submitted_at=NOW, profiles=PROFILES
        )

    assert again(BUNDLE).refusal is None
    fewer = bundle_of(CATALOG, WITH.replace("times: 2", "times: 1"), APPROVERS)
    assert again(fewer).refusal is not None
    shorter = again(bundle_of(CATALOG, WITH.replace("by: 20m", "by: 5m"), APPROVERS))
    assert shorter.terms.duration_s == 300


def test_the_window_reaches_as_far_back_as_lookbacks_do_by_then() -> None:
    scope = wish_of().scopes[0]
    start = NOW * 1_000 - 86_400 * NANOSECONDS
    held = replace(scope, window=EventWindow(start, None), profile="pii-default@7")
    later = Instant(NOW + 600_000_000)
    found = reached(BUNDLE, "payments-prod-debug", held, PROFILES, later)
    assert found.window == EventWindow(start + 600 * NANOSECONDS, None)
    assert found.profile == "pii-default"
    near = replace(held, window=EventWindow(later * 1_000 - NANOSECONDS, None))
    assert reached(BUNDLE, "payments-prod-debug", near, PROFILES, later).window == near.window
    capped = bundle_of(CATALOG, WITH, APPROVERS, FLOOR.replace("lookback: 7d", "lookback: 1h"))
    found = reached(capped, "payments-prod-debug", held, PROFILES, later)
    assert found.window.start_ns == later * 1_000 - 3_600 * NANOSECONDS


def test_what_no_entry_holds_any_more_keeps_its_window() -> None:
    scope = wish_of().scopes[0]
    start = NOW * 1_000 - 7 * 86_400 * NANOSECONDS
    held = replace(scope, window=EventWindow(start, None), profile="pii-default@7")
    assert reached(BUNDLE, "payments-prod-debug", held, PROFILES, NOW).window.start_ns > start
    moved = bundle_of(CATALOG, WITH.replace("[prod-logs]", "[staging-logs]"), APPROVERS, FLOOR)
    assert reached(moved, "payments-prod-debug", held, PROFILES, NOW).window == held.window


def test_an_explanation_says_which_grant_is_extended() -> None:
    more, ordinary = (
        cast("Any", explain(decided(BUNDLE, one), Viewer.REQUESTER).data["asked"]) for one in (wish(2), wish_of())
    )
    assert more["extends"] == {"grant": "grt_1", "number": 2}
    assert "extends" not in ordinary


def test_what_is_reached_is_never_more_than_was_held() -> None:
    scope = replace(wish_of().scopes[0], profile="strict@2")
    found = reached(BUNDLE, "payments-prod-debug", scope, PROFILES, NOW)
    assert (found.profile, scope.contains_lines_of(found)) == ("strict", True)
    stricter = bundle_of(CATALOG, WITH.replace("redaction: pii-default", "redaction: strict"), APPROVERS)
    held = replace(scope, profile="pii-default@7")
    assert reached(stricter, "payments-prod-debug", held, PROFILES, NOW).profile is None
    assert reached(BUNDLE, "gone", held, PROFILES, NOW) == held


def test_a_recorded_decision_on_an_extension_is_made_again_as_one() -> None:
    decision = decided(BUNDLE, wish(2))
    data = decision_data(decision, request=None, taken=decision.offers[0], closed=None, zones="")
    assert read_decision(orjson.dumps(data), 1).wish.extends == wish(2).extends


TESTS = """\
api: loglease/v1
kind: PolicyTest
id: payments
now: 2026-11-23T09:30:00Z
people: {maria: {groups: [payments-eng]}, noor: {groups: [payments-leads]}}
scopes: {api: {source: prod-logs, labels: {env: prod, service: pay-api, data_class: internal}, level_from: debug, from: -2h}}
cases:
  - it: goes on twice
    ask: {as: maria, scope: api, ticket: PAY-7, reason: the cause is not found yet, extends: {policy: payments-prod-debug, number: 2}}
    want: {outcome: review, duration: 20m}
  - it: does not go on for ever
    ask: {as: maria, scope: api, ticket: PAY-7, reason: the cause is not found yet, extends: {policy: payments-prod-debug, number: 3}}
    want: {outcome: deny}
"""


def test_policies_test_their_extensions() -> None:
    files = {"p.yaml": f"{CATALOG}---\n{WITH}---\n{APPROVERS}".encode(), "p.test.yaml": TESTS.encode()}
    bundle = load(files)
    assert isinstance(bundle, Bundle)
    results = list(run_tests(bundle))
    assert [one.differences for one in results] == [(), ()]
