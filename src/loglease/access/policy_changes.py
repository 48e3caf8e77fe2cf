"""What the use cases of a managed policy share: what is in force, who may look and act, what is written down."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from loglease.access.caller import Caller
from loglease.access.commitments import Commitments
from loglease.access.errors import NotFound, NotPermitted
from loglease.access.records import Data, refs
from loglease.access.rules import refused
from loglease.audit.interface import SYSTEM, Draft
from loglease.model.ids import ENTRY, EntryId, NewId, PrincipalId, ProposalId
from loglease.model.instant import Instant
from loglease.model.principal import Directory, Principal, Role
from loglease.model.proposal import Proposal, ProposalMove, ProposalReview, ProposalState, move
from loglease.model.rights import Right
from loglease.policy.proposals import counted, proposal_refusal
from loglease.store.interface import Transaction

REVISION: Final = "policy_revision"
POLICY: Final = "policy_sha256"
"""Named values: the revision in force and its hash."""

MANAGED: Final = "managed"
"""The trust mode in which policy lives in the database."""

_LOOKERS: Final = frozenset({Role.POLICY_ADMIN, Role.AUDITOR, Role.ADMIN})


@dataclass(frozen=True, slots=True)
class InForce:
    """Which policy is in force."""

    revision: int
    bundle_sha256: str


def in_force(tx: Transaction) -> InForce:
    """Return which policy is in force, as the database knows it."""
    return InForce(int(tx.values.find(REVISION) or 0), tx.values.find(POLICY) or "")


def may_look(caller: Caller) -> bool:
    """Say whether somebody may see all of the policy: with a role for it, and a token that may."""
    return caller.has(Right.POLICY_READ) and bool(caller.principal.roles & _LOOKERS)


def require_may_look(caller: Caller) -> None:
    """Refuse whoever may not see policy documents and proposals.

    Raises:
        NotPermitted: the token lacks the right to read policy, or the person has no role for it.
    """
    caller.require(Right.POLICY_READ)
    if not caller.principal.roles & _LOOKERS:
        raise NotPermitted(
            "Seeing the policy takes the role policy_admin, auditor or admin.",
            next_step="See what you would be offered: loglease request --dry-run",
        )


def require_may_propose(tx: Transaction, caller: Caller) -> None:
    """Refuse whoever may not propose a change of the policy, as the directory has them now.

    Raises:
        NotPermitted: the token lacks the right to write policy, or the person the role.
    """
    caller.require(Right.POLICY_WRITE)
    stored = tx.principals.find(caller.principal.id)
    if stored is None or Role.POLICY_ADMIN not in stored.roles:
        raise NotPermitted("Changing the policy takes the role policy_admin.", next_step="Ask an administrator.")


def visible_proposal(tx: Transaction, caller: Caller, proposal_id: ProposalId) -> Proposal:
    """Return a proposal that the caller may see.

    Raises:
        NotPermitted: see `require_may_look`.
        NotFound: there is none.
    """
    require_may_look(caller)
    found = tx.proposals.find(proposal_id)
    if found is None:
        raise NotFound(f"There is no proposal {proposal_id}.", next_step="loglease proposals list")
    return found


@dataclass(frozen=True, slots=True, kw_only=True)
class ProposalView:
    """A proposal as of one moment, with those it concerns.

    Attributes:
        approvals: how many approvals count by now.
        may_review: whether the caller may approve or deny it, and has not yet.
    """

    proposal: Proposal
    state: ProposalState
    author: Principal | None
    reviews: Sequence[ProposalReview]
    approvals: int
    may_review: bool


def proposal_view(tx: Transaction, caller: Caller, proposal_id: ProposalId) -> ProposalView:
    """Return one proposal.

    Raises:
        NotPermitted, NotFound: see `visible_proposal`.
    """
    found = visible_proposal(tx, caller, proposal_id)
    return _view(tx, caller, found, tx.principals.directory(), in_force(tx).revision)


def proposals_page(
    tx: Transaction, caller: Caller, *, before: ProposalId | None = None, limit: int = 50
) -> list[ProposalView]:
    """Return proposals, newest first, older than `before`.

    Raises:
        NotPermitted: see `require_may_look`.
    """
    require_may_look(caller)
    directory, revision = tx.principals.directory(), in_force(tx).revision
    return [_view(tx, caller, one, directory, revision) for one in tx.proposals.page(before=before, limit=limit)]


def _view(tx: Transaction, caller: Caller, proposal: Proposal, directory: Directory, revision: int) -> ProposalView:
    reviews = tx.proposals.reviews(proposal.id)
    state = proposal.state_at(revision)
    reviewed = any(one.person in caller.principal.persons for one in reviews)
    able = proposal_refusal(proposal, caller.principal, directory) is None
    return ProposalView(
        proposal=proposal,
        state=state,
        author=directory.principal(proposal.author),
        reviews=reviews,
        approvals=len(counted(proposal, reviews, directory)),
        may_review=state is ProposalState.PENDING and able and not reviewed,
    )


def awaited(tx: Transaction, proposal: Proposal) -> frozenset[PrincipalId]:
    """Return who may review a proposal and has not yet; nobody where it is decided, or about another revision."""
    if proposal.state_at(in_force(tx).revision) is not ProposalState.PENDING:
        return frozenset()
    directory = tx.principals.directory()
    reviewed = {one.person for one in tx.proposals.reviews(proposal.id)}
    return frozenset(
        one.id
        for one in directory.humans()
        if proposal_refusal(proposal, one, directory) is None and one.persons.isdisjoint(reviewed)
    )


def require_may_review(proposal: Proposal, reviewer: Principal, directory: Directory) -> None:
    """Refuse somebody who may not review a proposal.

    Raises:
        SelfReview, SamePerson, ReviewerNotHuman, ReviewerNotEligible: why.
    """
    refusal = proposal_refusal(proposal, reviewer, directory)
    if refusal is not None:
        raise refused(refusal)


def superseded(
    tx: Transaction, *, before: int, now: Instant, except_for: ProposalId, new_id: NewId
) -> tuple[Draft, ...]:
    """Write down that all other pending proposals were about a revision that is not in force any more.

    Args:
        before: the revision that was in force until now.
        except_for: the proposal that took its place.
    """
    entries = []
    for one in tx.proposals.pending():
        if one.id != except_for:
            tx.proposals.update(move(one, ProposalMove.SUPERSEDE, by=None, now=now, in_force=before + 1))
            entries.append(withdrawn_entry(one, "superseded", actor=SYSTEM, new_id=new_id))
    return tuple(entries)


def proposed_entry(proposal: Proposal, commitments: Commitments, *, widening: bool, new_id: NewId) -> Draft:
    """Return the entry that records a proposal: digests of what is proposed, and how many have to agree."""
    data: Data = {
        "digest_sha256": proposal.digest,
        "bundle_sha256": proposal.bundle_sha256,
        "base_revision": proposal.base_revision,
        "files_sha256": proposal.files_sha256,
        "diff_sha256": proposal.diff_sha256,
        "needed": proposal.needed,
        "widens": widening,
        "comment_c": commitments.to("comment_c", proposal.comment),
    }
    return Draft(
        id=EntryId(new_id(ENTRY)),
        type="policy.proposed",
        actor=proposal.subject,
        ref=refs(proposal=proposal.id),
        data=data,
        private=commitments.taken(),
    )


def withdrawn_entry(proposal: Proposal, why: str, *, actor: str, new_id: NewId) -> Draft:
    """Return the entry that records that a proposal is not to be decided any more."""
    return Draft(
        id=EntryId(new_id(ENTRY)),
        type="policy.withdrawn",
        actor=actor,
        ref=refs(proposal=proposal.id),
        data={"why": why},
    )
