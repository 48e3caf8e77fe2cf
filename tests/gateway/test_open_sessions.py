"""Which sessions a cut reaches, including those that open while it happens."""

from __future__ import annotations

from dataclasses import replace

import pytest
from tests.fakes.gateway import made_id, principal

from loglease.access.watch import GrantCut, LeaseLost, LockCut, SignInCut, SubjectCut
from loglease.gateway.open_sessions import OpenSession, OpenSessions
from loglease.model.hold import LockKind, LockOn
from loglease.model.ids import GrantId, SessionId, TokenId
from loglease.model.session import CloseWhy, SessionKind


class GrantLike:
    def __init__(self) -> None:
        self.id = GrantId(made_id("grt"))
        self.request = made_id("req")
        self.policy = "pay"
        self.terms = type("TermsLike", (), {"scopes": ()})()


def opened(index: OpenSessions, token: str = "tok_a", groups: frozenset[str] = frozenset()):  # noqa: S107 - an id, no secret
    cuts: list[CloseWhy] = []
    session = OpenSession(
        id=SessionId(made_id("ses")),
        kind=SessionKind.TAIL,
        grant=GrantLike(),  # type: ignore[arg-type]
        principal=principal("alice", groups),
        token=TokenId(token),
        sign_in=TokenId(f"{token}_first"),
        cut=lambda why, _text: cuts.append(why),
    )
    index.add(session)
    return session, cuts


@pytest.mark.parametrize(
    "cut_of",
    [
        lambda s: GrantCut(grant=s.grant.id, why=CloseWhy.REVOKED, text="x"),
        lambda s: LockCut(on=LockOn(LockKind.TOKEN, s.token), text="x", why=CloseWhy.REVOKED),
        lambda s: LockCut(on=LockOn(LockKind.GROUP, "oncall"), text="x"),
        lambda s: LockCut(on=LockOn(LockKind.PERSON, s.principal.person), text="x"),
        lambda s: SubjectCut(subject=s.principal.subject),
        lambda s: SignInCut(sign_in=s.sign_in),
    ],
)
def test_a_cut_reaches_what_depends_on_it_and_nothing_else(cut_of):
    index = OpenSessions()
    session, cuts = opened(index, "tok_a", frozenset({"oncall"}))
    _, others = opened(index, "tok_b")
    index.apply(cut_of(session))
    assert len(cuts) == 1
    assert others == []


def test_a_lost_lease_reaches_all():
    index = OpenSessions()
    found = [opened(index)[1] for _ in range(3)]
    index.apply(LeaseLost())
    assert found == [[CloseWhy.DATABASE]] * 3


def test_a_session_that_opens_meanwhile_hears_of_it():
    index = OpenSessions()
    with index.hearing(SessionKind.QUERY) as heard:
        index.apply(LeaseLost())
    index.apply(LeaseLost())
    assert heard == [LeaseLost()]


def test_what_is_removed_is_cut_no_more_and_removing_twice_is_harmless():
    index = OpenSessions()
    session, cuts = opened(index)
    assert index.open(SessionKind.TAIL) == 1
    index.remove(session)
    index.remove(session)
    index.remove(replace(session))
    index.apply(LeaseLost())
    assert cuts == []
    assert index.open(SessionKind.TAIL) == 0
