"""Approval plans: matching against brute force, order, persons, exclusions, and who may review when."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

from hypothesis import assume, given, settings
from hypothesis import strategies as st
from tests.policy.world import BOT, DIRECTORY, EVERYONE, LEE, MARIA, NOOR, OMAR, PRIYA, SAM, person, review_by
from tests.volume import volume

from loglease.model.ids import PersonId, PrincipalId
from loglease.model.offer import Escalation, Joint, Plan, Slots, Stage
from loglease.model.principal import Directory, Kind, Principal, directory_of
from loglease.model.review import Review, Verdict
from loglease.policy import Bench, People, Refusal, eligible_reviewers, plan_state, review_refusal, unsatisfiable
from loglease.policy.plan import matched

LEADS, PRIVACY, SRE = "group:payments-leads", "group:privacy", "group:sre-leads"


def one_stage(*approvers: str, need: int = 1) -> Stage:
    return Stage(blocks=(Slots(approvers, need),))


def plan_of(*stages: Stage) -> Plan:
    return Plan("policy", stages)


def bench_of(
    directory: Directory = DIRECTORY,
    requester: Principal = MARIA,
    eligible: Sequence[Principal] | None = None,
    *,
    waited_s: int = 0,
) -> Bench:
    return Bench(
        people=People(directory),
        requester=requester.id,
        excluded=requester.persons,
        eligible=None if eligible is None else frozenset(one.id for one in eligible),
        waited_s=waited_s,
    )


def satisfied(plan: Plan, *reviewers: Principal, bench: Bench | None = None) -> bool:
    return plan_state([plan], [review_by(one) for one in reviewers], bench or bench_of()).satisfied


def code(refusal: Refusal | None) -> str | None:
    return None if refusal is None else refusal.code


def test_one_review_of_the_right_group_is_enough() -> None:
    plan = plan_of(one_stage(LEADS))
    assert not satisfied(plan)
    assert satisfied(plan, NOOR)
    assert not satisfied(plan, PRIYA)


def test_a_plan_without_stages_waits_for_nobody_and_no_plan_allows_nothing() -> None:
    assert plan_state([Plan("policy", ())], [], bench_of()).satisfied
    assert not plan_state([], [], bench_of()).satisfied


def test_one_person_in_two_groups_fills_one_slot() -> None:
    both = plan_of(Stage(blocks=(Slots((LEADS,), 1), Slots((PRIVACY,), 1))))
    stages = plan_of(one_stage(LEADS), one_stage(PRIVACY))
    for plan in (both, stages):
        assert not satisfied(plan, NOOR)
        assert satisfied(plan, NOOR, PRIYA)
        assert satisfied(plan, NOOR, OMAR)
        assert not satisfied(plan, OMAR, person("olga", LEADS.removeprefix("group:")))


def test_any_of_lets_one_choose() -> None:
    plan = plan_of(Stage(blocks=(Slots((LEADS,), 2), Slots((PRIVACY,), 1)), joint=Joint.ANY))
    assert satisfied(plan, PRIYA)
    assert not satisfied(plan, OMAR)
    assert satisfied(plan, OMAR, NOOR)


def test_the_open_stage_and_who_can_help_are_named() -> None:
    plan = plan_of(one_stage(LEADS), one_stage(PRIVACY))
    first = plan_state([plan], [], bench_of()).waiting[0]
    assert (first.stage, first.stages, first.missing, first.approvers) == (1, 2, 1, (LEADS,))
    assert first.people == {NOOR.id, OMAR.id}
    second = plan_state([plan], [review_by(NOOR)], bench_of()).waiting[0]
    assert (second.stage, second.missing, second.approvers) == (2, 1, (PRIVACY,))
    assert second.people == {OMAR.id, PRIYA.id}  # omar could take the slot of noor, who then counts for privacy


def test_a_denial_ends_it_whatever_was_approved() -> None:
    plan = plan_of(one_stage(LEADS))
    reviews = [review_by(NOOR), review_by(OMAR, Verdict.DENY, at=5)]
    state = plan_state([plan], reviews, bench_of())
    assert not state.satisfied
    assert state.denied_by == reviews[1]


def test_all_plans_must_be_satisfied_and_a_review_counts_in_each() -> None:
    plans = [plan_of(one_stage(LEADS)), Plan("guardrail", (one_stage(PRIVACY),))]
    assert plan_state(plans, [review_by(NOOR)], bench_of()).satisfied
    assert not plan_state(plans, [review_by(OMAR)], bench_of()).satisfied


def test_nobody_approves_their_own_request() -> None:
    plan = plan_of(one_stage(LEADS))
    bench = bench_of(requester=NOOR)
    assert not satisfied(plan, NOOR, bench=bench)
    assert code(review_refusal([plan], [], bench, NOOR, Verdict.APPROVE)) == "self_review"
    assert code(review_refusal([plan], [], bench, NOOR, Verdict.DENY)) == "self_review"


def test_neither_does_a_second_account_of_the_same_person() -> None:
    second = person("noor2", "payments-leads", who=NOOR.person)
    directory = directory_of([*EVERYONE, second])
    bench = bench_of(directory, NOOR)
    plan = plan_of(one_stage(LEADS))
    assert not satisfied(plan, second, bench=bench)
    assert code(review_refusal([plan], [], bench, second, Verdict.APPROVE)) == "same_person"


def test_neither_does_an_account_that_may_be_the_same_person() -> None:
    plan = plan_of(one_stage(LEADS))
    suspicious = person("omar2", "payments-leads", suspected=frozenset({NOOR.person}))
    by_requester = person("quinn", suspected=frozenset({OMAR.person}))
    for directory, requester, reviewer in (
        (directory_of([*EVERYONE, suspicious]), NOOR, suspicious),  # the reviewer's record has the suspicion
        (directory_of([*EVERYONE, by_requester]), by_requester, OMAR),  # the requester's has it
    ):
        bench = bench_of(directory, requester)
        assert not satisfied(plan, reviewer, bench=bench)
        assert code(review_refusal([plan], [], bench, reviewer, Verdict.APPROVE)) == "same_person"


def test_suspicion_reaches_through_other_accounts() -> None:
    """Quinn's second account is suspected to be Omar: then Quinn's first one may be, too."""
    first = person("quinn")
    second = person("quinn2", who=first.person, suspected=frozenset({OMAR.person}))
    bench = bench_of(directory_of([*EVERYONE, first, second]), first)
    assert code(review_refusal([plan_of(one_stage(LEADS))], [], bench, OMAR, Verdict.APPROVE)) == "same_person"


def test_two_accounts_that_may_be_one_person_count_once() -> None:
    twin = person("omar2", "payments-leads", suspected=frozenset({OMAR.person}))
    bench = bench_of(directory_of([*EVERYONE, twin]))
    assert not satisfied(plan_of(one_stage(LEADS, need=2)), OMAR, twin, bench=bench)
    assert satisfied(plan_of(one_stage(LEADS, need=2)), OMAR, twin, NOOR, bench=bench)


def test_agents_never_review_nor_do_their_owners_for_them() -> None:
    plan = plan_of(one_stage(LEADS, SRE, "user:bot"))
    assert code(review_refusal([plan], [], bench_of(requester=LEE), BOT, Verdict.APPROVE)) == "reviewer_not_human"
    assert not satisfied(plan, BOT, bench=bench_of(requester=LEE))
    owned = person("agent", kind=Kind.AGENT, who=NOOR.person)
    bench = bench_of(directory_of([*EVERYONE, owned]), owned)
    assert code(review_refusal([plan], [], bench, NOOR, Verdict.APPROVE)) == "same_person"
    assert eligible_reviewers([plan], bench) == {OMAR.id, SAM.id}


def test_who_joins_after_submit_cannot_review() -> None:
    plan = plan_of(one_stage(LEADS))
    bench = bench_of(eligible=[NOOR])
    assert code(review_refusal([plan], [], bench, OMAR, Verdict.APPROVE)) == "reviewer_not_eligible"
    assert not satisfied(plan, OMAR, bench=bench)
    assert satisfied(plan, NOOR, bench=bench)


def test_who_leaves_before_the_end_does_not_count() -> None:
    plan = plan_of(one_stage(LEADS))
    gone = directory_of([MARIA, person("noor", "privacy"), OMAR])
    disabled = directory_of([MARIA, person("noor", "payments-leads", enabled=False), OMAR])
    for directory in (gone, disabled, directory_of([MARIA])):
        assert not satisfied(plan, NOOR, bench=bench_of(directory, eligible=[NOOR, OMAR]))


def test_a_stage_takes_reviews_once_those_before_it_are_complete() -> None:
    plans = [plan_of(one_stage(LEADS), one_stage(PRIVACY))]
    bench = bench_of()
    assert code(review_refusal(plans, [], bench, PRIYA, Verdict.APPROVE)) == "stage_not_open"
    assert review_refusal(plans, [], bench, PRIYA, Verdict.DENY) is None
    assert review_refusal(plans, [], bench, NOOR, Verdict.APPROVE) is None
    assert review_refusal(plans, [review_by(OMAR)], bench, PRIYA, Verdict.APPROVE) is None
    assert code(review_refusal(plans, [], bench, SAM, Verdict.APPROVE)) == "reviewer_not_eligible"


LATER = Escalation(1_800, (SRE,))


def test_an_escalation_counts_from_its_instant_and_never_before() -> None:
    plan = plan_of(Stage(blocks=(Slots((LEADS,), 1),), escalate=LATER))
    before, since = (bench_of(eligible=[NOOR], waited_s=waited) for waited in (1_799, 1_800))
    assert not satisfied(plan, SAM, bench=before)
    assert satisfied(plan, SAM, bench=since)
    assert code(review_refusal([plan], [], before, SAM, Verdict.APPROVE)) == "reviewer_not_eligible"
    assert code(review_refusal([plan], [], before, SAM, Verdict.DENY)) == "reviewer_not_eligible"
    assert review_refusal([plan], [], since, SAM, Verdict.APPROVE) is None
    assert plan_state([plan], [], before).waiting[0].people == {NOOR.id}
    waiting = plan_state([plan], [], since).waiting[0]
    assert waiting.people == {NOOR.id, SAM.id}
    assert waiting.approvers == (LEADS, SRE)
    assert eligible_reviewers([plan], bench_of()) == {NOOR.id, OMAR.id}, "nobody is stored as eligible for later"


def test_an_escalation_adds_people_and_no_approval_less() -> None:
    two = plan_of(Stage(blocks=(Slots((LEADS,), 2),), escalate=LATER))
    bench = bench_of(waited_s=9_999)
    assert not satisfied(two, SAM, bench=bench)
    assert satisfied(two, SAM, NOOR, bench=bench)
    assert (
        code(review_refusal([two], [], bench_of(requester=SAM, waited_s=9_999), SAM, Verdict.APPROVE)) == "self_review"
    )


def test_an_escalation_is_for_its_stage_alone_and_opens_none() -> None:
    plan = plan_of(one_stage(LEADS), Stage(blocks=(Slots((PRIVACY,), 1),), escalate=LATER))
    bench = bench_of(waited_s=9_999)
    assert code(review_refusal([plan], [], bench, SAM, Verdict.APPROVE)) == "stage_not_open"
    assert review_refusal([plan], [review_by(OMAR)], bench, SAM, Verdict.APPROVE) is None
    assert not satisfied(plan, SAM, bench=bench)
    assert satisfied(plan, OMAR, SAM, bench=bench)


def test_a_plan_that_only_an_escalation_could_satisfy_is_refused() -> None:
    plan = plan_of(Stage(blocks=(Slots((LEADS,), 1),), escalate=LATER))
    alone = bench_of(directory_of([NOOR, SAM]), NOOR)
    assert code(unsatisfiable(plan, alone)) == "no_eligible_approver"


def test_what_nobody_can_satisfy_says_how_to_help() -> None:
    alone = bench_of(directory_of([NOOR]), NOOR)
    refusal = unsatisfiable(plan_of(one_stage(LEADS)), alone)
    assert refusal is not None
    assert refusal.code == "no_eligible_approver"
    assert refusal.message.startswith("Nobody but you may approve this.")
    assert "loglease admin user add" in (refusal.next_step or "")
    two = unsatisfiable(plan_of(one_stage(LEADS, need=3)), bench_of())
    assert two is not None
    assert "needs 3 of group:payments-leads" in two.message
    assert unsatisfiable(plan_of(one_stage(LEADS, need=2)), bench_of()) is None


def test_an_ambiguous_account_approves_nothing() -> None:
    plan = plan_of(one_stage("user:omar"))
    assert satisfied(plan, OMAR)
    other = person("omar", id=PrincipalId("prn_other"), issuer="elsewhere")
    assert not satisfied(plan, OMAR, bench=bench_of(directory_of([*EVERYONE, other])))


# --- against brute force


def brute_matched(seats: Sequence[frozenset[PersonId]]) -> int:
    """Try every way to seat people."""
    best = 0
    for chosen in itertools.product(*[[None, *sorted(seat)] for seat in seats]):
        seated = [one for one in chosen if one is not None]
        if len(seated) == len(set(seated)):
            best = max(best, len(seated))
    return best


people_sets = st.frozensets(st.sampled_from([PersonId(f"p{number}") for number in range(4)]), max_size=3)


@given(st.lists(people_sets, max_size=5))
@settings(max_examples=volume(75, 300))
def test_matching_is_maximum(seats: list[frozenset[PersonId]]) -> None:
    assert matched(seats) == brute_matched(seats)


GROUPS = ["a", "b", "c"]
slots = st.builds(
    Slots,
    st.lists(st.sampled_from([f"group:{one}" for one in GROUPS]), min_size=1, max_size=2, unique=True).map(tuple),
    st.integers(1, 2),
)
escalations = st.none() | st.builds(
    Escalation, st.integers(1, 3), st.sampled_from([f"group:{one}" for one in GROUPS]).map(lambda name: (name,))
)
stages = st.builds(
    lambda blocks, joint, escalate: Stage(blocks=tuple(blocks), joint=joint, escalate=escalate),
    st.lists(slots, min_size=1, max_size=2),
    st.sampled_from(Joint),
    escalations,
)
plans_drawn = st.builds(lambda drawn: Plan("p", tuple(drawn)), st.lists(stages, min_size=1, max_size=2))


@st.composite
def crowds(draw: st.DrawFn) -> list[Principal]:
    """Up to five people; some have two accounts, some are suspected to be another."""
    persons = [PersonId(f"per{number}") for number in range(4)]
    return [
        person(
            f"u{number}",
            *draw(st.sets(st.sampled_from(GROUPS))),
            who=draw(st.sampled_from(persons)),
            suspected=frozenset(draw(st.lists(st.sampled_from(persons), max_size=1 if draw(st.booleans()) else 0))),
            kind=draw(st.sampled_from([Kind.HUMAN, Kind.HUMAN, Kind.HUMAN, Kind.AGENT])),
        )
        for number in range(draw(st.integers(1, 5)))
    ]


def human_beings(crowd: Sequence[Principal]) -> dict[PrincipalId, int]:
    """Number human beings: accounts with a person in common, through any chain, are one."""
    number = {person_id: place for place, person_id in enumerate({one for each in crowd for one in each.persons})}
    for _ in range(len(number)):
        for one in crowd:
            least = min(number[person_id] for person_id in one.persons)
            number |= dict.fromkeys(one.persons, least)
    return {one.id: number[one.person] for one in crowd}


def brute_satisfied(
    plan: Plan,
    requester: Principal,
    reviewers: Sequence[Principal],
    crowd: Sequence[Principal],
    *,
    waited_s: int = 0,
    eligible: Sequence[Principal] | None = None,
) -> bool:
    being = human_beings(crowd)
    voters = [one for one in reviewers if one.kind is Kind.HUMAN and being[one.id] != being[requester.id]]
    since_submit = {one.id for one in (crowd if eligible is None else eligible)}

    def may(stage: Stage, block: Slots, one: Principal) -> bool:
        names = [name for name in block.approvers if one.id in since_submit]
        if stage.escalate is not None and waited_s >= stage.escalate.after_s:
            names += stage.escalate.to
        return any(name.removeprefix("group:") in one.groups for name in names)

    ways = [[stage.blocks] if stage.joint is Joint.ALL else [(one,) for one in stage.blocks] for stage in plan.stages]
    for chosen in itertools.product(*ways):
        seats = [
            (stage, block)
            for stage, blocks in zip(plan.stages, chosen, strict=True)
            for block in blocks
            for _ in range(block.need)
        ]
        for seated in itertools.permutations(voters, len(seats)):
            fits = all(may(*seat, one) for seat, one in zip(seats, seated, strict=True))
            if fits and len({being[one.id] for one in seated}) == len(seated):
                return True
    return False


@given(plans_drawn, crowds(), st.data())
@settings(max_examples=volume(62, 250))
def test_plans_agree_with_brute_force_in_every_order(plan: Plan, crowd: list[Principal], data: st.DataObject) -> None:
    requester = data.draw(st.sampled_from(crowd))
    reviewers = data.draw(st.lists(st.sampled_from(crowd), unique_by=lambda one: one.id, max_size=5))
    eligible = data.draw(st.none() | st.lists(st.sampled_from(crowd), unique_by=lambda one: one.id))
    waited_s = data.draw(st.integers(0, 3))
    bench = bench_of(directory_of(crowd), requester, eligible, waited_s=waited_s)
    reviews = [review_by(one, at=number) for number, one in enumerate(reviewers)]
    expected = brute_satisfied(plan, requester, reviewers, crowd, waited_s=waited_s, eligible=eligible)
    assert plan_state([plan], reviews, bench).satisfied == expected
    shuffled = data.draw(st.permutations(reviewers))
    other = plan_state([plan], [review_by(one, at=number) for number, one in enumerate(shuffled)], bench)
    assert other.satisfied == expected


@given(plans_drawn, crowds(), st.data())
@settings(max_examples=volume(30, 120))
def test_accepted_reviews_lead_to_the_end_if_there_is_one(
    plan: Plan, crowd: list[Principal], data: st.DataObject
) -> None:
    """Everybody tries again and again, in any order: the plan ends satisfied exactly if it can be."""
    requester = data.draw(st.sampled_from(crowd))
    bench = bench_of(directory_of(crowd), requester)
    order = data.draw(st.permutations(crowd))
    reviews: list[Review] = []
    for one in [*order] * (len(crowd) + 1):
        given_already = any(review.reviewer == one.id for review in reviews)
        if not given_already and review_refusal([plan], reviews, bench, one, Verdict.APPROVE) is None:
            reviews.append(review_by(one, at=len(reviews)))
    state = plan_state([plan], reviews, bench)
    assert state.satisfied == (unsatisfiable(plan, bench) is None)
    if not state.satisfied:
        assert state.waiting[0].missing >= 1


@given(plans_drawn, crowds(), st.data())
def test_more_approvals_never_take_away(plan: Plan, crowd: list[Principal], data: st.DataObject) -> None:
    requester = data.draw(st.sampled_from(crowd))
    bench = bench_of(directory_of(crowd), requester)
    some = data.draw(st.lists(st.sampled_from(crowd), unique_by=lambda one: one.id))
    assume(len(some) > 1)
    fewer = plan_state([plan], [review_by(one) for one in some[1:]], bench)
    more = plan_state([plan], [review_by(one) for one in some], bench)
    assert more.satisfied or not fewer.satisfied
    assert more.complete >= fewer.complete
