"""Stand-ins: who may speak in a member's place, from when on, and what two of them are worth together."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.policy.naive import naive_seats
from tests.policy.world import (
    APPROVERS,
    CATALOG,
    MARIA,
    NOW,
    PAYMENTS,
    bundle_of,
    decided,
    person,
    problems_of,
    review_by,
)
from tests.volume import volume

from loglease.model.ids import PersonId
from loglease.model.instant import MICROSECONDS, Instant, after
from loglease.model.principal import Kind, Principal, StandIn, directory_of
from loglease.model.review import Review, Verdict
from loglease.policy import Bench, People, eligible_reviewers, plan_state
from loglease.policy.plan import review_refusal

DAY_S = 86_400
RULE = "stand_ins: {from: [group:sre-leads, group:contractors], max: 7d}\n"
BUNDLE = bundle_of(CATALOG, PAYMENTS, APPROVERS + RULE)
TWO = bundle_of(CATALOG, PAYMENTS.replace("need: 1", "need: 2"), APPROVERS + RULE)
SETS = BUNDLE.approver_sets
LATER = after(NOW, 3600)


def standing(who: str, *, since: Instant = NOW, for_s: int = DAY_S) -> StandIn:
    return StandIn(person=PersonId(f"per_{who}"), since=since, until=after(since, for_s))


def lead(name: str, stand_in: StandIn | None = None, *groups: str) -> Principal:
    return person(name, "payments-leads", *groups, stand_in=stand_in)


SAM = person("sam", "sre-leads")


def bench_of(*people: Principal, asks: Principal = MARIA, now: Instant = LATER) -> Bench:
    found = People(directory_of([asks, *people]), SETS, now=now, named_by=NOW)
    return Bench(people=found, requester=asks.id, excluded=asks.persons)


def eligible(*people: Principal, **more: object) -> set[str]:
    (plan,) = decided(BUNDLE, directory=directory_of([MARIA, lead("x")])).offers[0].plans
    return {one.removeprefix("prn_") for one in eligible_reviewers([plan], bench_of(*people, **more))}  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("stand_in", "counts"),
    [
        (standing("sam"), True),
        (standing("sam", for_s=7 * DAY_S), True),
        (standing("sam", for_s=7 * DAY_S + 1), False),
        (standing("sam", for_s=3600), False),
        (standing("sam", for_s=3601), True),
        (standing("sam", since=Instant(NOW + 1)), False),
        (standing("sam", since=after(NOW, 7200)), False),
        (standing("omar"), False),
    ],
    ids=["named", "longest", "too long", "over", "not over yet", "named after submit", "to come", "somebody else"],
)
def test_a_stand_in_counts_in_time_and_no_longer_than_the_set_allows(stand_in: StandIn, counts: bool) -> None:
    assert eligible(lead("noor", stand_in), SAM) == ({"noor", "sam"} if counts else {"noor"})


@pytest.mark.parametrize(
    ("member", "other"),
    [
        (lead("noor", standing("sam"), "contractors"), SAM),
        (person("noor", "engineering", stand_in=standing("sam")), SAM),
        (person("noor", "payments-leads", stand_in=standing("sam"), enabled=False), SAM),
        (lead("noor", standing("sam")), person("sam", "engineering")),
        (lead("noor", standing("sam")), person("sam", "contractors")),
        (lead("noor", standing("sam")), person("sam", "sre-leads", kind=Kind.AGENT)),
        (lead("noor", standing("sam")), person("sam", "sre-leads", enabled=False)),
    ],
    ids=["member banned", "no member", "member gone", "not from", "banned", "an agent", "gone"],
)
def test_both_have_to_be_who_the_set_says(member: Principal, other: Principal) -> None:
    assert "sam" not in eligible(member, other)


def test_nobody_stands_in_for_a_stand_in() -> None:
    people = (
        lead("noor", standing("sam")),
        person("sam", "sre-leads", stand_in=standing("tess")),
        person("tess", "sre-leads"),
    )
    assert eligible(*people) == {"noor", "sam"}


def test_a_stand_in_of_who_asks_is_excluded_whenever_named_with_all_accounts() -> None:
    late = standing("sam", since=Instant(NOW + 1))
    for stand_in in (standing("sam"), late):
        asks = person("maria", "payments-eng", "payments-leads", stand_in=stand_in)
        second = person("sam2", "payments-leads", who="per_sam")
        suspect = person("sam3", "payments-leads", suspected=frozenset({PersonId("per_sam")}))
        assert eligible(lead("noor"), SAM, second, suspect, asks=asks) == {"noor"}
        bench = bench_of(lead("noor"), second, asks=asks)
        (plan,) = decided(BUNDLE, directory=directory_of([MARIA, lead("x")])).offers[0].plans
        refusal = review_refusal([plan], [], bench, second, Verdict.APPROVE)
        assert refusal is not None
        assert refusal.code == "same_person"


def test_a_member_and_the_stand_in_are_one_approval() -> None:
    noor, omar = lead("noor", standing("sam")), lead("omar")
    (plan,) = decided(TWO, directory=directory_of([MARIA, noor, omar, SAM])).offers[0].plans
    bench = bench_of(noor, omar, SAM)

    def satisfied(*reviewers: Principal) -> bool:
        return plan_state([plan], [review_by(one) for one in reviewers], bench).satisfied

    assert satisfied(noor, omar)
    assert satisfied(SAM, omar)
    assert not satisfied(noor, SAM)
    assert satisfied(noor, SAM, omar)
    assert decided(TWO, directory=directory_of([MARIA, noor, SAM])).refusal is not None


def test_what_was_approved_in_anothers_place_is_nobodys_own_word_later() -> None:
    noor = lead("noor", standing("sam"))
    (plan,) = decided(BUNDLE, directory=directory_of([MARIA, noor])).offers[0].plans
    earlier = replace(review_by(SAM), stands_for=noor.id)

    def satisfied(*people: Principal, review: Review = earlier) -> bool:
        return plan_state([plan], [review], bench_of(*people)).satisfied

    assert satisfied(noor, SAM)
    assert not satisfied(lead("noor"), SAM)
    promoted = person("sam", "sre-leads", "payments-leads")
    assert not satisfied(lead("noor"), promoted)
    assert satisfied(lead("noor"), promoted, review=review_by(SAM))
    assert satisfied(lead("noor"), lead("omar", standing("sam")), SAM), "they stand in for another member"


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("stand_ins: {from: [], max: 7d}\n", "P119"),
        ("stand_ins: {from: [group:sre-leads]}\n", "P111"),
        ("stand_ins: {max: 7d}\n", "P111"),
        ("stand_ins: {from: [agent:bot], max: 7d}\n", "P310"),
        ("stand_ins: {from: ['approvers:payments-approvers'], max: 7d}\n", "P303"),
        ("stand_ins: {from: ['relation:manager'], max: 7d}\n", "P303"),
        ("stand_ins: {from: [group:sre-leads], max: 0s}\n", "P114"),
    ],
)
def test_what_is_wrong_has_a_code(text: str, code: str) -> None:
    assert code in [one.code for one in problems_of(CATALOG, PAYMENTS, APPROVERS + text)]


LEADS, SRE = frozenset({"payments-leads"}), frozenset({"sre-leads"})
groups = st.sampled_from([LEADS, SRE, LEADS | SRE, LEADS | {"contractors"}, SRE | {"contractors"}, frozenset()])


@st.composite
def directories(draw: st.DrawFn) -> list[Principal]:
    names = ["maria", "a", "b", "c"]
    found = []
    for name in names:
        other = draw(st.sampled_from([None, *(one for one in names if one != name)]))
        since = Instant(NOW + draw(st.sampled_from([0, -10, 1])) * MICROSECONDS)
        span = draw(st.sampled_from([DAY_S, 7 * DAY_S, 3600, 8 * DAY_S]))
        stand_in = None if other is None else standing(other, since=since, for_s=span)
        extra = ["payments-eng"] if name == "maria" else []
        found.append(person(name, *draw(groups), *extra, stand_in=stand_in))
    return found


@settings(max_examples=volume(37, 150), deadline=None)
@given(directories())
def test_who_may_speak_is_who_a_naive_rule_names(people: list[Principal]) -> None:
    asks, *others = people
    (plan,) = decided(BUNDLE, directory=directory_of([MARIA, lead("x")])).offers[0].plans
    bench = bench_of(*others, asks=asks)
    seats = naive_seats(SETS["payments-approvers"], asks, directory_of(people), NOW, LATER)
    assert {one.removeprefix("prn_") for one in eligible_reviewers([plan], bench)} == set(seats)
    for one in others:
        member = bench.people.stands_for("approvers:payments-approvers", one)
        if one.account in seats:
            direct = bench.people.is_named_itself("approvers:payments-approvers", one)
            assert direct == (seats[one.account] == one.account)
            assert direct or seats[one.account] in {found.account for found in member}
