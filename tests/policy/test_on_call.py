"""`oncall:` approvers: whoever is on call at the moment of a review."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.policy.world import (
    APPROVERS,
    CATALOG,
    LEE,
    MARIA,
    NOOR,
    OMAR,
    PAYMENTS,
    STAGING,
    bundle_of,
    decided,
    files_of,
    person,
    problems_of,
    review_by,
)

from loglease.model.ids import PrincipalId
from loglease.model.offer import Plan
from loglease.model.principal import Principal, directory_of
from loglease.model.review import Review, Verdict
from loglease.policy import load, run_tests
from loglease.policy.health import complaints
from loglease.policy.people import People
from loglease.policy.plan import Bench, eligible_reviewers, plan_state, review_refusal
from loglease.policy.supposed import with_approvers

STAGE = "{from: [approvers:payments-approvers], need: 1}"
WITH_ROTAS = CATALOG.replace("names:\n", "names:\n  rotas: [payments-manager, sre]\n")
ON_CALL = PAYMENTS.replace(STAGE, "{from: ['oncall:payments-manager'], need: 1}")
BUNDLE = bundle_of(WITH_ROTAS, ON_CALL)
TWO = bundle_of(
    WITH_ROTAS,
    PAYMENTS.replace(
        STAGE, "{from: ['oncall:payments-manager'], need: 1}\n      - {from: [group:payments-leads], need: 1}"
    ),
)
KIM, ZOE = person("kim"), person("zoe")
PEOPLE = (MARIA, NOOR, OMAR, KIM, ZOE)


def bench_of(*on_call: Principal, eligible: Iterable[Principal] | None = None, rota: str = "payments-manager") -> Bench:
    directory = directory_of(PEOPLE, {rota: frozenset(one.id for one in on_call)})
    who = None if eligible is None else frozenset(one.id for one in eligible)
    return Bench(people=People(directory), requester=MARIA.id, excluded=MARIA.persons, eligible=who)


def plans_of(bundle: object, *on_call: Principal) -> tuple[Plan, ...]:
    (offer,) = decided(bundle, directory=bench_of(*on_call).people.directory).offers
    return offer.plans


def on_call_review(reviewer: Principal, *rotas: str, number: int = 0) -> Review:
    return replace(review_by(reviewer, number=number), on_call=frozenset(rotas))


def test_whoever_is_on_call_completes_the_plan_and_nobody_else() -> None:
    plans, bench = plans_of(BUNDLE, KIM), bench_of(KIM)
    assert plans[0].stages[0].blocks[0].approvers == ("oncall:payments-manager",)
    assert eligible_reviewers(plans, bench) == {KIM.id}
    assert plan_state(plans, [], bench).waiting[0].people == {KIM.id}
    assert plan_state(plans, [on_call_review(KIM, "payments-manager")], bench).satisfied
    assert not plan_state(plans, [review_by(NOOR)], bench).satisfied
    assert not plan_state(plans, [on_call_review(KIM, "sre")], bench).satisfied


@pytest.mark.parametrize("on_call", [(), (MARIA,), (person("bot", enabled=False),)])
def test_a_plan_that_nobody_on_call_could_complete_is_refused(on_call: tuple[Principal, ...]) -> None:
    found = decided(BUNDLE, directory=bench_of(*on_call).people.directory)
    assert found.refusal is not None
    assert found.refusal.code == "no_eligible_approver"


def test_whoever_is_on_call_later_may_review_as_such_and_as_nothing_else() -> None:
    plans = plans_of(TWO, KIM)
    lead = person("zoe", "payments-leads")
    directory = directory_of((MARIA, NOOR, KIM, lead), {"payments-manager": frozenset({lead.id})})
    bench = Bench(
        people=People(directory), requester=MARIA.id, excluded=MARIA.persons, eligible=frozenset({KIM.id, NOOR.id})
    )
    assert review_refusal(plans, [], bench, lead, Verdict.APPROVE) is None
    given_review = on_call_review(lead, "payments-manager")
    assert plan_state(plans, [given_review], bench).complete == (1,)
    # Who joined the group after the submit fills no slot of it, whatever their shift.
    assert not plan_state(plans, [on_call_review(KIM, "payments-manager"), given_review], bench).satisfied
    off = replace(bench, people=People(directory_of((MARIA, NOOR, KIM, lead))))
    refusal = review_refusal(plans, [], off, lead, Verdict.APPROVE)
    assert refusal is not None
    assert refusal.code == "reviewer_not_eligible"


def test_the_end_of_a_shift_takes_no_review_back_and_gives_none() -> None:
    plans = plans_of(TWO, KIM)
    eligible = (KIM, NOOR)
    after_handover = bench_of(ZOE, eligible=eligible)
    first = on_call_review(KIM, "payments-manager")
    state = plan_state(plans, [first], after_handover)
    assert (state.complete, state.counted) == ((1,), (first,))
    assert plan_state(plans, [first, review_by(NOOR)], after_handover).satisfied
    assert plan_state(plans, [], after_handover).waiting[0].people == {ZOE.id}
    # Whoever reviewed before their shift began is not on call by it.
    assert plan_state(plans, [review_by(ZOE)], bench_of(ZOE, eligible=(ZOE, NOOR))).complete == (0,)
    gone = replace(after_handover, people=People(directory_of((MARIA, NOOR, replace(KIM, enabled=False)))))
    assert plan_state(plans, [first], gone).complete == (0,)


def test_names_of_rotas_are_checked() -> None:
    wrong = ON_CALL.replace("oncall:payments-manager", "oncall:payments")
    assert [one.code for one in problems_of(WITH_ROTAS, wrong)] == ["P302"]
    nested = APPROVERS.replace("any_of: [", "any_of: ['oncall:sre', ")
    assert "P303" in [one.code for one in problems_of(WITH_ROTAS, PAYMENTS, nested)]
    afterwards = "{from: ['oncall:sre'], need: 1, within: 24h}"
    auto = PAYMENTS.replace(f"stages: [{STAGE}]", f"auto: true\n    after_review: {afterwards}")
    if auto != PAYMENTS:
        assert "P303" in [one.code for one in problems_of(WITH_ROTAS, auto)]


def test_people_of_tests_are_on_call() -> None:
    test = """\
api: loglease/v1
kind: PolicyTest
id: one
now: 2026-11-23T09:30:00Z
people: {maria: {groups: [payments-eng]}, kim: {on_call: [payments-manager]}}
scopes: {api: {source: prod-logs, labels: {env: prod, service: pay-api, data_class: internal}, level_from: debug, from: -2h}}
cases:
  - it: waits for whoever is on call
    ask: {as: maria, scope: api, ticket: PAY-7, reason: cards fail at checkout since nine}
    want: {outcome: review, stages: 1}
"""
    files = files_of(WITH_ROTAS, ON_CALL)
    loaded = load(files | {"one.test.yaml": test.encode()})
    assert [one.ok for one in run_tests(loaded)] == [True]
    nobody = load(files | {"one.test.yaml": test.replace("[payments-manager]", "[sre]").encode()})
    assert [one.ok for one in run_tests(nobody)] == [False]
    assert isinstance(load(files | {"one.test.yaml": test.replace("[payments-manager]", "[dreams]").encode()}), list)


def test_somebody_is_assumed_to_be_on_call_where_nobody_said_who_there_is() -> None:
    assert decided(BUNDLE, directory=with_approvers(BUNDLE, MARIA)).offers
    assert complaints(BUNDLE, today=date(2026, 11, 23), directory=directory_of([MARIA, LEE])) == []


@given(
    st.sets(st.sampled_from(["kim", "zoe", "noor", "maria"])),
    st.lists(
        st.tuples(st.sampled_from(["kim", "zoe", "noor"]), st.booleans()), max_size=3, unique_by=lambda one: one[0]
    ),
    st.sets(st.sampled_from(["kim", "zoe", "noor"])),
)
def test_a_stage_counts_exactly_those_who_were_on_call_when_they_reviewed(
    now_on_call: set[str], given_reviews: list[tuple[str, bool]], at_submit: set[str]
) -> None:
    who = {"kim": KIM, "zoe": ZOE, "noor": NOOR, "maria": MARIA}
    plans = plans_of(BUNDLE, KIM)
    given_reviews = [one for one in given_reviews if one[1] or one[0] in at_submit]  # others are not accepted
    bench = bench_of(*(who[one] for one in now_on_call), eligible=[who[one] for one in at_submit])
    reviews = [
        on_call_review(who[name], *(["payments-manager"] if was else []), number=number)
        for number, (name, was) in enumerate(given_reviews)
    ]
    state = plan_state(plans, reviews, bench)
    assert state.satisfied is any(was for _, was in given_reviews)
    if not state.satisfied:
        assert state.waiting[0].people == {PrincipalId(f"prn_{one}") for one in now_on_call - {"maria"}}


def test_nobody_on_call_looks_at_what_was_read_afterwards() -> None:
    auto = "{otherwise: true, auto: true, after_review: {from: ['oncall:sre', group:privacy], need: 1, within: 24h%s}}"
    for escalate, names in (
        ("", ["oncall:sre"]),
        (", escalate: {to: ['oncall:payments-manager']}", ["oncall:payments-manager", "oncall:sre"]),
    ):
        policy = STAGING.replace("{otherwise: true, auto: true}", auto % escalate)
        found = problems_of(WITH_ROTAS, policy)
        assert [(one.code, one.message, one.help) for one in found] == [
            ("P303", f"'{name}' stands in an after-review, which outlasts a shift", "name a group") for name in names
        ]
    assert bundle_of(
        WITH_ROTAS, STAGING.replace("{otherwise: true, auto: true}", (auto % "").replace("'oncall:sre', ", ""))
    )
