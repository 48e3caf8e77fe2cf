"""Deciding again: both policies must still allow, and the stricter of each value applies."""

from __future__ import annotations

import pytest
from tests.policy.world import (
    APPROVERS,
    CATALOG,
    DIRECTORY,
    EVERYONE,
    FLOOR,
    MARIA,
    NOOR,
    NOW,
    OMAR,
    ORGANISATION,
    PAYMENTS,
    PROFILES,
    bundle_of,
    decided,
    person,
    review_by,
    scope_of,
    wish_of,
)

from loglease.model.instant import Instant
from loglease.model.principal import directory_of
from loglease.policy import Bundle, Point, ProfileInfo, Recheck, plan_state, redecide
from loglease.policy.people import People
from loglease.policy.plan import Bench

BUNDLE = bundle_of(*ORGANISATION)
PINNED = decided(BUNDLE).offers[0]
LATER = Instant(NOW + 3600 * 1_000_000)


def again(current: Bundle, point: Point = Point.FINAL_APPROVAL, **more: object) -> Recheck:
    arguments: dict[str, object] = {
        "directory": DIRECTORY,
        "now": LATER,
        "submitted_at": NOW,
        "profiles": PROFILES,
    }
    principal = more.pop("principal", MARIA)
    return redecide(point, PINNED, current, wish_of(), principal, **(arguments | more))  # type: ignore[arg-type]


def changed(old: str, new: str, *more: str) -> Bundle:
    assert old in PAYMENTS
    return bundle_of(CATALOG, PAYMENTS.replace(old, new), APPROVERS, *more, revision=419)


def refusal_code(found: Recheck) -> str | None:
    return found.refusal.code if found.refusal is not None else None


@pytest.mark.parametrize("point", list(Point))
def test_nothing_changed(point: Point) -> None:
    found = again(BUNDLE, point)
    assert found.refusal is None
    assert found.terms == PINNED.terms
    assert found.plans == PINNED.plans


@pytest.mark.parametrize("point", list(Point))
def test_a_removed_policy_allows_nothing(point: Point) -> None:
    assert refusal_code(again(bundle_of(CATALOG), point)) == "policy_denied"
    assert refusal_code(again(changed("id: payments-prod-debug", "id: renamed"), point)) == "policy_denied"


@pytest.mark.parametrize("point", list(Point))
def test_a_new_ban_acts_everywhere(point: Point) -> None:
    ban = "api: loglease/v1\nkind: Guardrail\nid: stop\napplies: {labels: {env: prod}}\ndeny: true\n"
    assert refusal_code(again(bundle_of(*ORGANISATION, ban), point)) == "guardrail_denied"


@pytest.mark.parametrize("point", list(Point))
def test_who_left_the_group_has_nothing(point: Point) -> None:
    gone = person("maria", "engineering")
    directory = directory_of([*(one for one in EVERYONE if one.id != MARIA.id), gone])
    assert refusal_code(again(BUNDLE, point, principal=gone, directory=directory)) == "policy_denied"
    disabled = person("maria", "payments-eng", enabled=False)
    assert refusal_code(again(BUNDLE, point, principal=disabled)) == "policy_denied"


def test_the_stricter_of_each_value_applies() -> None:
    found = again(changed("max: 2h", "max: 40m", FLOOR.replace("secrets", "strict").replace("1000000", "5")))
    assert found.terms is not None
    assert found.terms.duration_s == 2400
    assert found.terms.limits.lines == 5
    assert found.terms.scopes[0].profile == "strict@2"


def test_what_became_looser_changes_nothing() -> None:
    loose = changed("max: 2h", "max: 9h").policies and bundle_of(
        CATALOG,
        PAYMENTS.replace("max: 2h", "max: 9h")
        .replace("lines: 200000", "lines: 900000")
        .replace("pii-default", "secrets"),
        APPROVERS,
    )
    assert isinstance(loose, Bundle)
    found = again(loose)
    assert found.terms == PINNED.terms


def test_a_bundle_that_asks_for_no_review_does_not_lift_the_plan() -> None:
    weak = changed("stages:\n      - {from: [approvers:payments-approvers], need: 1}", "auto: true")
    found = again(weak)
    assert found.refusal is None
    assert PINNED.plans[0] in found.plans
    bench = Bench(people=People(DIRECTORY, weak.approver_sets), requester=MARIA.id, excluded=MARIA.persons)
    assert not plan_state(found.plans, [], bench).satisfied


def test_a_bundle_that_asks_for_more_reviews_adds_its_plan() -> None:
    found = again(changed("need: 1", "need: 2"))
    assert [plan.need for plan in found.plans] == [1, 2]
    bench = Bench(people=People(DIRECTORY, BUNDLE.approver_sets), requester=MARIA.id, excluded=MARIA.persons)
    assert not plan_state(found.plans, [review_by(NOOR)], bench).satisfied
    assert plan_state(found.plans, [review_by(NOOR), review_by(OMAR)], bench).satisfied


def test_a_narrowed_policy_no_longer_covers_the_request() -> None:
    assert refusal_code(again(changed("lookback: 24h", "lookback: 1h"))) == "policy_denied"
    assert refusal_code(again(changed("env: prod", "env: dev"), Point.SESSION_OPEN)) == "policy_denied"


def test_what_was_asked_in_the_form_is_not_asked_again_of_a_session() -> None:
    stricter = changed("min: 20", "min: 300")
    assert refusal_code(again(stricter, Point.ACTIVATION)) == "policy_denied"
    assert again(stricter, Point.SESSION_OPEN).refusal is None


ROUTES = """approve:
  - if: '!req.live'
    auto: true
    grant: {duration: {max: 90m}, limits: {lines: 900}, redaction: strict}
  - if: req.duration > duration("1h")
    stages: [{from: [approvers:payments-approvers], need: 1}]
    grant: {limits: {lines: 500}}
  - otherwise: true
    stages: [{from: [approvers:payments-approvers], need: 1}]
pending_max"""
ROUTED = PAYMENTS.replace(PAYMENTS[PAYMENTS.index("approve:") : PAYMENTS.index("pending_max") + 11], ROUTES)


@pytest.mark.parametrize(
    ("live", "duration_s", "number", "values"),
    [(False, 7200, 1, (5400, 900, "strict@2")), (True, 7200, 2, (7200, 500, "pii-default@7")),
     (True, 600, 3, (600, 200_000, "pii-default@7"))],
)  # fmt: skip
def test_a_session_gets_what_the_route_of_its_grant_became(
    live: bool, duration_s: int, number: int, values: tuple[int, int, str]
) -> None:
    wish = wish_of(scope_of(live=live), duration_s=duration_s)

    def terms(text: str, point: Point) -> tuple[int, int | None, str | None]:
        found = redecide(
            point, pinned, bundle_of(CATALOG, text, APPROVERS), wish, MARIA,
            directory=DIRECTORY, now=NOW, submitted_at=NOW, profiles=PROFILES,
        )  # fmt: skip
        assert found.terms is not None
        return found.terms.duration_s, found.terms.limits.lines, found.terms.scopes[0].profile

    pinned = decided(bundle_of(CATALOG, ROUTED, APPROVERS), wish).offers[0]
    assert pinned.route == number
    assert terms(ROUTED, Point.SESSION_OPEN) == values
    lines = ("lines: 900", "lines: 500", "lines: 200000")
    for tightened, line in enumerate(lines, 1):
        duration_s, most, profile = values
        expected = (duration_s, 7 if tightened in (number, 3) else most, profile)
        assert terms(ROUTED.replace(line, "lines: 7"), Point.SESSION_OPEN) == expected
    # The route that is taken today is another one: for a session that changes nothing.
    assert terms(ROUTED.replace("'!req.live'", "req.live"), Point.SESSION_OPEN) == values
    # A route that is gone is the last one by now.
    assert terms(PAYMENTS, Point.SESSION_OPEN) == values


def test_profiles_without_a_stricter_one_are_refused() -> None:
    assert refusal_code(again(changed("redaction: pii-default", "redaction: odd"))) == "policy_denied"
    raised = {**PROFILES, "pii-default": ProfileInfo("pii-default", "8", frozenset({"secrets"}))}
    assert refusal_code(again(BUNDLE, profiles=raised)) == "policy_denied"


def test_the_pinned_bundle_is_asked_as_well_where_it_is_at_hand() -> None:
    open_now = changed("any_of: [group:payments-eng]", "any_of: [group:engineering]")
    moved = person("maria", "engineering")
    directory = directory_of([*(one for one in EVERYONE if one.id != MARIA.id), moved])
    assert again(open_now, principal=moved, directory=directory).refusal is None
    both = again(open_now, principal=moved, directory=directory, pinned_bundle=BUNDLE)
    assert refusal_code(both) == "policy_denied"
