"""Who has to agree before a bundle takes the place of another one, and who may."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, Protocol

from loglease.model.ids import PersonId, PrincipalId
from loglease.model.principal import Directory, Kind, Principal, Role
from loglease.model.proposal import Proposal, ProposalReview, ProposedChange
from loglease.model.review import Verdict
from loglease.policy.difference import Difference, overall
from loglease.policy.difference import Verdict as Meaning
from loglease.policy.people import People
from loglease.policy.plan import Bench, Refusal
from loglease.policy.problems import At

_PROVED_HARMLESS: Final = frozenset({Meaning.NARROWS, Meaning.SAME})
_FEW, _MANY = 1, 2


class Proposed(Protocol):
    """What somebody proposes and others decide on: a policy, or an act."""

    @property
    def author(self) -> PrincipalId:
        """Who proposed it."""

    @property
    def persons(self) -> frozenset[PersonId]:
        """Who counts as the author."""


def needed_for(found: Iterable[Difference]) -> int:
    """Return how many people beside the author have to approve: one where nobody is proved to get more, else two."""
    return _FEW if overall(found) in _PROVED_HARMLESS else _MANY


def widens(needed: int) -> bool:
    """Say whether so many approvals are demanded because somebody may get more."""
    return needed >= _MANY


def changes_of(found: Iterable[Difference]) -> tuple[ProposedChange, ...]:
    """Return differences as proposals keep them."""
    return tuple(
        ProposedChange(verdict=str(one.verdict), kind=one.kind, document=one.document, text=one.text, at=_place(one.at))
        for one in found
    )


def _place(at: At | None) -> str | None:
    return None if at is None else str(at)


def counted(proposal: Proposal, reviews: Iterable[ProposalReview], directory: Directory) -> tuple[ProposalReview, ...]:
    """Return the approvals that count now: of different people, none of them the author, who may still approve."""
    bench = _bench(proposal, directory)
    found: dict[PersonId, ProposalReview] = {}
    for review in sorted(reviews, key=lambda one: (one.given_at, one.id)):
        reviewer = directory.principal(review.reviewer)
        if review.verdict is Verdict.APPROVE and reviewer is not None and _may_approve(bench, reviewer):
            found.setdefault(bench.people.counted_as(reviewer), review)
    return tuple(found.values())


def approvers(proposal: Proposed, directory: Directory, role: Role = Role.POLICY_ADMIN) -> frozenset[PersonId]:
    """Return the different people who may approve a proposal."""
    bench = _bench(proposal, directory)
    return frozenset(bench.people.counted_as(one) for one in directory.humans() if _may_approve(bench, one, role))


def proposal_refusal(
    proposal: Proposed, reviewer: Principal, directory: Directory, role: Role = Role.POLICY_ADMIN
) -> Refusal | None:
    """Say why somebody may not review a proposal; None if they may.

    Args:
        role: which reviewing it takes.
    """
    bench = _bench(proposal, directory)
    if reviewer.kind is not Kind.HUMAN:
        return Refusal(code="reviewer_not_human", message=f"Only people review; {reviewer.name} is none.")
    if reviewer.id == proposal.author:
        return Refusal(
            code="self_review",
            message="Nobody approves their own proposal.",
            next_step=f"Ask another person with the role {role}.",
        )
    if bench.is_own(reviewer):
        return Refusal(
            code="same_person",
            message="This account may belong to the person who proposed this, so it cannot review.",
            next_step=f"Ask somebody else with the role {role}.",
        )
    if not _may_approve(bench, reviewer, role):
        return Refusal(
            code="reviewer_not_eligible",
            message=f"Reviewing this takes the role {role}.",
            next_step="Ask somebody with the role, or an administrator for it.",
        )
    return None


def _bench(proposal: Proposed, directory: Directory) -> Bench:
    return Bench(people=People(directory), requester=proposal.author, excluded=proposal.persons)


def _may_approve(bench: Bench, principal: Principal, role: Role = Role.POLICY_ADMIN) -> bool:
    return (
        principal.kind is Kind.HUMAN and principal.enabled and role in principal.roles and not bench.is_own(principal)
    )
