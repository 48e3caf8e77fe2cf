"""The life of a proposal: every legal move stands in the table, and what is decided stays decided."""

from __future__ import annotations

from dataclasses import fields, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loglease.model.errors import ProposalNotPending
from loglease.model.ids import PersonId, PrincipalId, ProposalId, SubjectId
from loglease.model.instant import Instant
from loglease.model.proposal import NEXT, Proposal, ProposalMove, ProposalState, ProposedChange, files_sha256, move

NOW = Instant(1_796_000_000_000_000)
CHANGE = ProposedChange(verdict="WIDENS", kind="AccessPolicy", document="x", text="grant 1 -> 2", at="a.yaml:1:1")
MADE = Proposal(
    id=ProposalId("prp_1"),
    author=PrincipalId("prn_pam"),
    subject=SubjectId("sub_pam"),
    persons=frozenset({PersonId("per_pam")}),
    comment="because",
    files={"a.yaml": "x", "b.yaml": "y"},
    bundle_sha256="a" * 64,
    base_revision=4,
    base_sha256="b" * 64,
    changes=(CHANGE,),
    verdict="WIDENS",
    needed=2,
    proposed_at=NOW,
)
BY = PrincipalId("prn_quinn")


def after(proposal: Proposal, how: ProposalMove, revision: int) -> Proposal:
    accepted = revision + 1 if how is ProposalMove.ACCEPT else None
    return move(proposal, how, by=BY, now=NOW, in_force=revision, revision=accepted)


@given(st.lists(st.tuples(st.sampled_from(ProposalMove), st.booleans()), max_size=8))
def test_any_sequence_of_moves_decides_once(steps: list[tuple[ProposalMove, bool]]) -> None:
    """Against a reference of two variables: has it been decided, and did another bundle come first?"""
    proposal, revision, decided = MADE, MADE.base_revision, None
    for how, another_first in steps:
        revision += another_first
        late = revision != MADE.base_revision
        legal = decided is None and (late if how is ProposalMove.SUPERSEDE else not late)
        if not legal:
            with pytest.raises(ProposalNotPending):
                after(proposal, how, revision)
            continue
        proposal = after(proposal, how, revision)
        decided = how
        if how is ProposalMove.ACCEPT:
            assert proposal.revision == MADE.base_revision + 1
            revision += 1
    expected = {
        ProposalMove.ACCEPT: ProposalState.ACCEPTED,
        ProposalMove.DENY: ProposalState.DENIED,
        ProposalMove.WITHDRAW: ProposalState.WITHDRAWN,
        ProposalMove.SUPERSEDE: ProposalState.SUPERSEDED,
        None: ProposalState.PENDING,
    }
    assert proposal.state is expected[decided]
    assert proposal.version == 1 + (decided is not None)
    unchanged = {"state", "decided_at", "decided_by", "revision", "version"}
    assert all(
        getattr(proposal, one.name) == getattr(MADE, one.name) for one in fields(MADE) if one.name not in unchanged
    )
    if decided is None and revision != MADE.base_revision:
        assert proposal.state_at(revision) is ProposalState.SUPERSEDED


def test_nothing_leaves_a_verdict() -> None:
    assert {state for state, _ in NEXT} == {ProposalState.PENDING, ProposalState.SUPERSEDED}
    assert ProposalState.PENDING not in NEXT.values()


@pytest.mark.parametrize(
    "other",
    [
        replace(MADE, id=ProposalId("prp_2")),
        replace(MADE, subject=SubjectId("sub_quinn")),
        replace(MADE, files={"a.yaml": "x", "b.yaml": "z"}),
        replace(MADE, files={"a.yaml": "x", "c.yaml": "y"}),
        replace(MADE, bundle_sha256="c" * 64),
        replace(MADE, base_revision=5),
        replace(MADE, base_sha256="c" * 64),
        replace(MADE, changes=()),
        replace(MADE, changes=(replace(CHANGE, at=None),)),
        replace(MADE, needed=1),
    ],
)
def test_the_digest_is_about_all_that_is_decided(other: Proposal) -> None:
    assert other.digest != MADE.digest


def test_a_verdict_changes_no_digest() -> None:
    assert after(MADE, ProposalMove.ACCEPT, 4).digest == MADE.digest
    assert files_sha256(dict(reversed(list(MADE.files.items())))) == MADE.files_sha256
