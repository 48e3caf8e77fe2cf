"""An after-review as a value: which way it moves, when it is late, and what it closes."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loglease.model.after_review import NEXT, AfterOpinion, AfterReview, AfterState, AfterVerdict, Closes, with_opinion
from loglease.model.errors import AlreadyReviewed
from loglease.model.ids import GrantId, PersonId, PrincipalId, RequestId, ReviewId
from loglease.model.instant import Instant
from loglease.model.offer import AfterPlan, Outcome, Plan, Slots, Stage
from loglease.model.review import Channel

OPENED, DUE = Instant(1_000), Instant(2_000)
STAGE = Stage(blocks=(Slots(("group:leads",), 2),))
REVIEW = AfterReview(
    request=RequestId("req_1"),
    grant=GrantId("grt_1"),
    basis=Outcome.BREAK_GLASS,
    policy="emergency",
    requester=PrincipalId("prn_alice"),
    person=PersonId("per_alice"),
    persons=frozenset({PersonId("per_alice")}),
    plan=AfterPlan(plans=(Plan("emergency", (STAGE,)),), within_s=1),
    eligible=frozenset({PrincipalId("prn_bob")}),
    escalated=frozenset({PrincipalId("prn_bob"), PrincipalId("prn_carol")}),
    opened_at=OPENED,
    due_at=DUE,
)
verdicts = st.sampled_from(AfterVerdict)
times = st.sampled_from([1_001, 1_999, 2_000, 2_001])


def opinion(verdict: AfterVerdict, at: int = 1_500, who: str = "bob") -> AfterOpinion:
    return AfterOpinion(
        id=ReviewId(f"rev_{who}_{at}"),
        reviewer=PrincipalId(f"prn_{who}"),
        person=PersonId(f"per_{who}"),
        verdict=verdict,
        given_at=Instant(at),
        channel=Channel.WEB,
        comment="looked at it",
    )


def after(*verdicts: tuple[AfterVerdict, int]) -> AfterReview:
    review = REVIEW
    for verdict, at in verdicts:
        review = with_opinion(review, opinion(verdict, at), completes=True)
    return review


def test_every_state_is_reached_and_only_justified_is_the_end() -> None:
    assert {*NEXT.values(), AfterState.OPEN} == set(AfterState)
    assert set(AfterState) - {state for state, _ in NEXT} == {AfterState.JUSTIFIED}
    assert all(state is not AfterState.OPEN for state in NEXT.values())


@given(st.lists(st.tuples(verdicts, times), max_size=5))
def test_only_what_the_table_allows_happens(given_verdicts: list[tuple[AfterVerdict, int]]) -> None:
    review = REVIEW
    for verdict, at in given_verdicts:
        wanted = NEXT.get((review.state, verdict))
        if wanted is None:
            with pytest.raises(AlreadyReviewed):
                with_opinion(review, opinion(verdict, at), completes=True)
            continue
        moved = with_opinion(review, opinion(verdict, at), completes=True)
        assert (moved.state, moved.version, moved.decided_at) == (wanted, review.version + 1, at)
        assert moved.opinions == (*review.opinions, opinion(verdict, at))
        review = moved


def test_justified_waits_for_all_who_have_to_say_so_and_the_others_do_not() -> None:
    waiting = with_opinion(REVIEW, opinion(AfterVerdict.JUSTIFIED), completes=False)
    assert (waiting.state, waiting.decided_at, len(waiting.counted)) == (AfterState.OPEN, None, 1)
    for verdict in (AfterVerdict.NOT_JUSTIFIED, AfterVerdict.FOLLOW_UP):
        moved = with_opinion(waiting, opinion(verdict, who="carol"), completes=False)
        assert moved.state is NEXT[AfterState.OPEN, verdict]
        assert moved.counted == ()


@pytest.mark.parametrize(
    ("verdicts", "now", "closes"),
    [
        ([], 1_999, None),
        ([], 2_000, Closes.OVERDUE),
        ([(AfterVerdict.JUSTIFIED, 1_500)], 9_999, None),
        ([(AfterVerdict.JUSTIFIED, 2_500)], 9_999, None),
        ([(AfterVerdict.FOLLOW_UP, 1_999)], 9_999, None),
        ([(AfterVerdict.FOLLOW_UP, 2_000)], 9_999, Closes.OVERDUE),
        ([(AfterVerdict.FOLLOW_UP, 2_000), (AfterVerdict.JUSTIFIED, 2_001)], 9_999, None),
        ([(AfterVerdict.NOT_JUSTIFIED, 1_001)], 1_002, Closes.NOT_JUSTIFIED),
        ([(AfterVerdict.NOT_JUSTIFIED, 1_001), (AfterVerdict.JUSTIFIED, 1_500)], 9_999, None),
    ],
)
def test_what_is_late_or_was_not_justified_closes(
    verdicts: list[tuple[AfterVerdict, int]], now: int, closes: Closes | None
) -> None:
    assert after(*verdicts).closes(Instant(now)) is closes


def test_who_objected_is_known_while_that_stands() -> None:
    assert REVIEW.objectors() == frozenset()
    objected = after((AfterVerdict.NOT_JUSTIFIED, 1_500))
    assert objected.objectors() == {"per_bob"}
    again = with_opinion(objected, opinion(AfterVerdict.JUSTIFIED, who="carol"), completes=True)
    assert again.objectors() == frozenset()


def test_it_waits_for_those_it_is_escalated_to_once_it_is_late_and_never_for_the_person_itself() -> None:
    from tests.fakes.world import principal

    bob, carol = principal("bob"), principal("carol")
    assert REVIEW.may_be_done_by(bob, OPENED)
    assert not REVIEW.may_be_done_by(carol, OPENED)
    assert REVIEW.may_be_done_by(carol, DUE)
    twin = replace(bob, suspected=frozenset({PersonId("per_alice")}))
    assert not REVIEW.may_be_done_by(twin, DUE)
