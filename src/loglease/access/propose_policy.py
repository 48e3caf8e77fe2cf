"""Propose a policy: documents that were loaded and tested, kept with what separates them from those in force."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from loglease.access.caller import Caller
from loglease.access.commitments import Commitments, Random
from loglease.access.errors import BundleStale, NoEligibleApprover, ReasonRequired, TooManyPending
from loglease.access.once import Once
from loglease.access.permissions import require_may_decide
from loglease.access.policy_changes import in_force, proposed_entry, require_may_propose
from loglease.access.rules import Rules
from loglease.audit.interface import EntryLog, Recorded
from loglease.model.errors import InvalidField
from loglease.model.ids import PROPOSAL, NewId, ProposalId
from loglease.model.instant import Instant
from loglease.model.proposal import Proposal, ProposalState
from loglease.policy.difference import differences, overall
from loglease.policy.proposals import approvers, changes_of, needed_for, widens
from loglease.store.interface import Transaction

MAX_PENDING: Final = 10
MAX_COMMENT: Final = 2_000


async def propose_policy(
    files: Mapping[str, str],
    *,
    comment: str,
    candidate: Rules,
    caller: Caller,
    log: EntryLog[Transaction],
    rules: Rules,
    new_id: NewId,
    random: Random,
    once: Once | None = None,
) -> Proposal:
    """Propose documents for the policy in force. Nothing comes into force by it.

    Args:
        files: text by path.
        comment: why, for the people who review.
        candidate: the rules of exactly these files, whose own tests have passed.
        caller: who proposes.
        log: records it.
        rules: those in force.
        new_id: gives the proposal its id.
        random: salts what is committed to.
        once: the idempotency key of the call.

    Raises:
        NotPermitted: the caller may not change the policy.
        ReasonRequired: no comment, or one that is too long.
        InvalidField: these are the documents in force already.
        BundleStale: another bundle came into force meanwhile.
        TooManyPending: undecided proposals of the caller have to be decided or withdrawn first.
        NoEligibleApprover: there are too few other people with the role policy_admin.
        Locked: a lock is aimed at the caller.
    """
    if not comment.strip() or len(comment) > MAX_COMMENT:
        raise ReasonRequired(
            f"A proposal needs a comment of at most {MAX_COMMENT:,} characters.", next_step="Say why, in one sentence."
        )
    found = differences(rules.bundle, candidate.bundle)

    def work(tx: Transaction, now: Instant) -> Recorded[Proposal]:
        if once is not None and (created := once.created(tx, now)) is not None:
            earlier = tx.proposals.find(ProposalId(created))
            if earlier is not None:
                return Recorded(earlier)
        require_may_decide(tx, caller, now)
        require_may_propose(tx, caller)
        present = in_force(tx)
        if present.revision != rules.revision:
            raise stale(present.revision)
        stored = tx.proposals.bundle()
        if stored is not None and dict(stored.files) == dict(files):
            raise InvalidField("These are the documents in force.", next_step="Change something, then propose it.")
        principal = caller.principal
        proposal = Proposal(
            id=ProposalId(new_id(PROPOSAL)),
            author=principal.id,
            subject=principal.subject,
            persons=principal.persons,
            comment=comment.strip(),
            files=dict(files),
            bundle_sha256=candidate.bundle_sha256,
            base_revision=present.revision,
            base_sha256=present.bundle_sha256,
            changes=changes_of(found),
            verdict=str(overall(found)),
            needed=needed_for(found),
            proposed_at=now,
        )
        _require_room(tx, proposal)
        _require_approvers(tx, proposal)
        tx.proposals.insert(proposal)
        if once is not None:
            once.remember(tx, proposal.id, now)
        entry = proposed_entry(proposal, Commitments(random), widening=widens(proposal.needed), new_id=new_id)
        return Recorded(proposal, (entry,))

    return await log.commit(work)


def stale(revision: int) -> BundleStale:
    """Return the refusal of what was about another revision than the one in force."""
    return BundleStale(
        f"Revision {revision} of the policy is in force by now.",
        next_step="Fetch it, bring in your change, and propose that: loglease policy fetch DIR",
    )


def _require_room(tx: Transaction, proposal: Proposal) -> None:
    mine = [
        one
        for one in tx.proposals.pending()
        if one.author == proposal.author and one.state_at(proposal.base_revision) is ProposalState.PENDING
    ]
    if len(mine) >= MAX_PENDING:
        raise TooManyPending(
            f"You have {len(mine)} undecided proposals.", next_step="Withdraw one: loglease proposals withdraw ID"
        )


def _require_approvers(tx: Transaction, proposal: Proposal) -> None:
    able = len(approvers(proposal, tx.principals.directory()))
    if able < proposal.needed:
        raise NoEligibleApprover(
            f"This change needs {proposal.needed} approvals, and {able or 'none'} of the other people may give one.",
            next_step="Give somebody the role: loglease admin user change NAME --add-role policy_admin",
        )
