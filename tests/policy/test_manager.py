"""`relation:manager`: the manager of who asks, a person named in the directory."""

from __future__ import annotations

import pytest
from tests.policy.world import (
    APPROVERS,
    CATALOG,
    MARIA,
    NOOR,
    OMAR,
    PAYMENTS,
    bundle_of,
    decided,
    person,
    problems_of,
    review_by,
)

from loglease.model.ids import PersonId
from loglease.model.principal import Kind, Principal, directory_of
from loglease.model.review import Verdict
from loglease.policy.people import People
from loglease.policy.plan import Bench, eligible_reviewers, plan_state, review_refusal
from loglease.policy.supposed import MANAGED, made_up, with_approvers

STAGE = "{from: [approvers:payments-approvers], need: 1}"
BUNDLE = bundle_of(CATALOG, PAYMENTS.replace(STAGE, "{from: ['relation:manager'], need: 1}"))
EITHER = bundle_of(
    CATALOG, PAYMENTS.replace(STAGE, "{from: ['relation:manager', approvers:payments-approvers], need: 2}"), APPROVERS
)
BOSS = person("boss")
ASKS = person("maria", "payments-eng", manager=BOSS.person)


def bench_of(asks: Principal, *others: Principal) -> Bench:
    people = People(directory_of([asks, *others]), EITHER.approver_sets, asks.manager)
    return Bench(people=people, requester=asks.id, excluded=asks.persons)


def test_a_manager_can_complete_the_plan() -> None:
    (offer,) = decided(BUNDLE, asks=ASKS, directory=directory_of([ASKS, BOSS, NOOR])).offers
    assert offer.plans[0].stages[0].blocks[0].approvers == ("relation:manager",)
    bench = bench_of(ASKS, BOSS, NOOR)
    assert eligible_reviewers(offer.plans, bench) == {BOSS.id}
    assert plan_state(offer.plans, [review_by(BOSS)], bench).satisfied
    assert not plan_state(offer.plans, [review_by(NOOR)], bench).satisfied


@pytest.mark.parametrize(
    "asks",
    [
        MARIA,
        person("maria", "payments-eng", manager=PersonId("per_gone")),
        person("maria", "payments-eng", manager=MARIA.person),
        person("maria", "payments-eng", manager=BOSS.person, suspected=frozenset({BOSS.person})),
    ],
    ids=["none", "gone", "oneself", "perhaps oneself"],
)
def test_whoever_has_no_manager_is_refused_with_the_remedy(asks: Principal) -> None:
    found = decided(BUNDLE, asks=asks, directory=directory_of([asks, BOSS, NOOR]))
    assert found.refusal is not None
    assert found.refusal.code == "no_eligible_approver"
    if asks.manager is None:
        assert "loglease admin person change" in (found.refusal.next_step or "")


@pytest.mark.parametrize("change", [{"kind": Kind.AGENT}, {"enabled": False}])
def test_a_manager_is_somebody_who_can_review(change: dict[str, object]) -> None:
    boss = person("boss", **change)  # type: ignore[arg-type]
    assert decided(BUNDLE, asks=ASKS, directory=directory_of([ASKS, boss])).offers == ()


def test_a_manager_in_two_roles_fills_one_slot() -> None:
    asks = person("maria", "payments-eng", manager=NOOR.person)
    plans = decided(EITHER, asks=asks, directory=directory_of([asks, NOOR, OMAR])).offers[0].plans
    bench = bench_of(asks, NOOR, OMAR)
    assert not plan_state(plans, [review_by(NOOR)], bench).satisfied
    assert plan_state(plans, [review_by(NOOR), review_by(OMAR)], bench).satisfied


def test_any_login_of_the_manager_reviews_and_nobody_elses_manager_does() -> None:
    plans = decided(BUNDLE, asks=ASKS, directory=directory_of([ASKS, BOSS])).offers[0].plans
    second, other = person("boss2", who=BOSS.person), person("noor", "payments-leads", manager=BOSS.person)
    bench = bench_of(ASKS, BOSS, second, other)
    assert eligible_reviewers(plans, bench) == {BOSS.id, second.id}
    refusal = review_refusal(plans, [], bench, other, Verdict.APPROVE)
    assert refusal is not None
    assert refusal.code == "reviewer_not_eligible"


def test_a_manager_stands_in_no_set() -> None:
    assert any(
        one.code == "P303"
        for one in problems_of(CATALOG, PAYMENTS, APPROVERS.replace("any_of: [", "any_of: ['relation:manager', "))
    )


def test_a_manager_is_assumed_to_be_there_where_nobody_said_who_there_is() -> None:
    asks = person("maria", "payments-eng", manager=MANAGED)
    assert decided(BUNDLE, asks=asks, directory=with_approvers(BUNDLE, asks)).offers
    alone = made_up([])
    assert not decided(BUNDLE, asks=MARIA, directory=alone).offers
