"""What a grant's clock and its moves make of it: each state by each move, at each border."""

from __future__ import annotations

from dataclasses import replace
from itertools import product

import pytest

from loglease.model.errors import GrantEnded, GrantNotActive, LogLeaseError
from loglease.model.grant import (
    EndWhy,
    Grant,
    GrantMove,
    GrantState,
    Usage,
    ended_with,
    move,
    refusal,
)
from loglease.model.ids import GrantId, PrincipalId, RequestId
from loglease.model.instant import EventWindow, Instant, after
from loglease.model.labels import Selector
from loglease.model.limits import Limits
from loglease.model.offer import Outcome, Shape, Terms
from loglease.model.scope import Scope

T = Instant(1_000_000_000)
SCOPE = Scope(source="files", selector=Selector(()), window=EventWindow(0, None), profile="raw@1")
BY = PrincipalId("prn_bob")


def at(seconds: float) -> Instant:
    return Instant(T + round(seconds * 1_000_000))


SCHEDULED = Grant(
    id=GrantId("grt_1"),
    request=RequestId("req_1"),
    holder=PrincipalId("prn_alice"),
    policy="test",
    basis=Outcome.AUTO,
    reviews=(),
    terms=Terms(scopes=(SCOPE,), duration_s=60, limits=Limits()),
    shape=Shape(activate_within_s=30, review_within_s=30),
    digest="00",
    scheduled_at=T,
    activate_by=at(30),
    key_salt=b"s" * 32,
    epoch=1,
)
ACTIVE = replace(SCHEDULED, state=GrantState.ACTIVE, valid_from=T, valid_until=at(60))
IDLE_AFTER = replace(SCHEDULED.shape, idle_timeout_s=10)


def test_the_clock_alone_ends_what_is_due_and_nothing_before() -> None:
    for grant, end in ((SCHEDULED, 30), (ACTIVE, 60)):
        early = at(end - 0.000_001)
        assert (grant.lapse(early), grant.state_at(early, held=False)) == (None, grant.state)
        assert grant.state_at(early, held=True) is GrantState.SUSPENDED
        assert grant.is_live(early)
        for late in (at(end), at(end + 1)):
            assert grant.lapse(late) is GrantMove.EXPIRE
            assert grant.state_at(late, held=False) is grant.state_at(late, held=True) is GrantState.ENDED
            assert not grant.is_live(late)
    assert ACTIVE.has_run_out(at(60))
    assert not ACTIVE.has_run_out(at(59))
    assert not SCHEDULED.has_run_out(at(60))


def test_lying_idle_ends_it_before_its_end_and_never_after() -> None:
    idle = replace(ACTIVE, shape=IDLE_AFTER, idle_at=at(10))
    assert idle.lapse(at(9.999_999)) is None
    assert idle.lapse(at(10)) is GrantMove.IDLE
    assert idle.in_use().lapse(at(59)) is None
    assert idle.resting(at(55)).lapse(at(60)) is GrantMove.EXPIRE
    assert idle.resting(at(20)).lapse(at(30)) is GrantMove.IDLE
    assert not idle.has_run_out(at(10))
    assert ACTIVE.resting(at(20)) == ACTIVE
    assert ACTIVE.in_use() is ACTIVE
    assert idle.in_use().version == idle.resting(at(1)).version == idle.version + 1


LEGAL = {
    (GrantState.SCHEDULED, GrantMove.ACTIVATE): GrantState.ACTIVE,
    (GrantState.SCHEDULED, GrantMove.REVOKE): GrantState.REVOKED,
    (GrantState.SCHEDULED, GrantMove.RETURN): GrantState.ENDED,
    (GrantState.ACTIVE, GrantMove.REVOKE): GrantState.REVOKED,
    (GrantState.ACTIVE, GrantMove.RETURN): GrantState.ENDED,
    (GrantState.ACTIVE, GrantMove.USE_UP): GrantState.ENDED,
}


@pytest.mark.attack("AP-14")
def test_each_move_of_each_state_is_legal_or_refused() -> None:
    for state, how in product(GrantState, GrantMove):
        grant = replace(ACTIVE if state is not GrantState.SCHEDULED else SCHEDULED, state=state)
        if (state, how) in LEGAL:
            done = move(grant, how, by=BY, now=at(5), reason="why")
            assert (done.state, done.version) == (LEGAL[state, how], grant.version + 1), (state, how)
            if how is not GrantMove.ACTIVATE:
                assert (done.ended_at, done.ended_by, done.reason) == (at(5), BY, "why")
        else:
            with pytest.raises((GrantEnded, GrantNotActive)):
                move(grant, how, by=BY, now=at(5))


@pytest.mark.attack("AP-14", "AP-13")
def test_what_the_clock_has_ended_takes_no_other_end() -> None:
    for grant, end in ((SCHEDULED, 30), (ACTIVE, 60)):
        for how in set(GrantMove) - {GrantMove.EXPIRE}:
            with pytest.raises((GrantEnded, GrantNotActive)):
                move(grant, how, by=BY, now=at(end))
        with pytest.raises(GrantNotActive):
            move(grant, GrantMove.EXPIRE, by=None, now=at(end - 1))
        done = move(grant, GrantMove.EXPIRE, by=None, now=at(end + 100))
        assert (done.state, done.ended_why, done.ended_at) == (GrantState.ENDED, EndWhy.EXPIRED, at(end))
    idle = replace(ACTIVE, shape=IDLE_AFTER, idle_at=at(10))
    done = move(idle, GrantMove.IDLE, by=None, now=at(100))
    assert (done.ended_why, done.ended_at) == (EndWhy.IDLE, at(10))


def test_validity_counts_from_the_activation_or_from_where_the_grant_before_ends() -> None:
    done = move(replace(SCHEDULED, shape=IDLE_AFTER), GrantMove.ACTIVATE, by=None, now=at(7))
    assert (done.valid_from, done.valid_until, done.idle_at) == (at(7), at(67), at(17))
    extension = replace(SCHEDULED, starts_at=at(10), extends=(GrantId("grt_0"),))
    for early in (0, 9.999_999):
        with pytest.raises(GrantNotActive):
            move(extension, GrantMove.ACTIVATE, by=None, now=at(early))
    for late in (10, 12):
        done = move(extension, GrantMove.ACTIVATE, by=None, now=at(late))
        assert (done.valid_from, done.valid_until, done.idle_at) == (at(10), at(70), None)


def test_stricter_terms_never_lengthen_it() -> None:
    shorter, longer = (replace(ACTIVE.terms, duration_s=seconds) for seconds in (20, 600))
    assert ACTIVE.within(shorter).valid_until == at(20)
    assert ACTIVE.within(longer).valid_until == at(60)
    assert SCHEDULED.within(shorter).valid_until is None
    assert SCHEDULED.within(shorter).terms == shorter


def test_an_extension_ends_with_the_grant_before_it_unless_that_ran_out() -> None:
    extension = replace(SCHEDULED, id=GrantId("grt_2"), extends=(ACTIVE.id,))
    revoked = move(ACTIVE, GrantMove.REVOKE, by=BY, now=at(5), reason="over")
    done = ended_with(extension, revoked, now=at(6))
    assert (done.state, done.ended_at, done.ended_by, done.reason) == (GrantState.REVOKED, at(6), BY, "over")
    ran_out = move(ACTIVE, GrantMove.EXPIRE, by=None, now=at(60))
    other = replace(revoked, id=GrantId("grt_9"))
    for before in (ran_out, ACTIVE, other):
        with pytest.raises(GrantNotActive):
            ended_with(extension, before, now=at(6))
    for late, changed in ((at(30), extension), (at(6), replace(extension, state=GrantState.REVOKED))):
        with pytest.raises((GrantEnded, GrantNotActive)):
            ended_with(changed, revoked, now=late)


def test_budgets_count_down_to_nothing() -> None:
    usage = Usage(lines=7, bytes=70, subjects=2)
    assert usage.left(Limits()) == (None, None)
    assert usage.left(Limits(lines=10, bytes=100)) == (3, 30)
    assert usage.left(Limits(lines=7, bytes=70)) == (0, 0)
    assert usage.left(Limits(lines=5, bytes=50)) == (0, 0)
    assert [usage.subjects_left(Limits(subjects=most)) for most in (None, 3, 2, 1)] == [None, 1, 0, 0]


def test_a_refusal_says_in_which_way_it_is_over() -> None:
    revoked = move(ACTIVE, GrantMove.REVOKE, by=BY, now=at(5), reason="enough")
    returned = move(ACTIVE, GrantMove.RETURN, by=BY, now=at(5))
    found: list[tuple[LogLeaseError, type, str]] = [
        (refusal(revoked, at(6)), GrantEnded, "enough"),
        (refusal(returned, at(6)), GrantEnded, "returned"),
        (refusal(ACTIVE, at(60)), GrantEnded, "expired"),
        (refusal(ACTIVE, at(6), held=True), GrantNotActive, "suspended"),
        (refusal(SCHEDULED, at(6)), GrantNotActive, "scheduled"),
    ]
    for error, kind, words in found:
        assert type(error) is kind
        assert words in error.message
    assert after(T, 5) == at(5)
