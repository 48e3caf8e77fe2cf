"""Withdraw a proposal: its author changes their mind."""

from __future__ import annotations

from loglease.access.caller import Caller
from loglease.access.errors import NotPermitted
from loglease.access.permissions import require_may_decide
from loglease.access.policy_changes import in_force, visible_proposal, withdrawn_entry
from loglease.audit.interface import EntryLog, Recorded
from loglease.model.ids import NewId, ProposalId
from loglease.model.instant import Instant
from loglease.model.proposal import Proposal, ProposalMove, ProposalState, move
from loglease.model.rights import Right
from loglease.store.interface import Transaction


async def withdraw_policy(
    proposal_id: ProposalId, *, caller: Caller, log: EntryLog[Transaction], new_id: NewId
) -> Proposal:
    """Withdraw a pending proposal. Repeating it answers the first result and writes nothing.

    Raises:
        NotFound: there is none.
        NotPermitted: the caller may not look at proposals, or somebody else made it.
        ProposalNotPending: it has its verdict.
    """
    caller.require(Right.POLICY_WRITE)

    def work(tx: Transaction, now: Instant) -> Recorded[Proposal]:
        proposal = visible_proposal(tx, caller, proposal_id)
        require_may_decide(tx, caller, now)
        if proposal.author != caller.principal.id:
            raise NotPermitted("Only its author withdraws a proposal.", next_step="You may deny it.")
        if proposal.state is ProposalState.WITHDRAWN:
            return Recorded(proposal)
        revision = in_force(tx).revision
        done = move(proposal, ProposalMove.WITHDRAW, by=caller.principal.id, now=now, in_force=revision)
        tx.proposals.update(done)
        return Recorded(done, (withdrawn_entry(done, "author", actor=caller.principal.subject, new_id=new_id),))

    return await log.commit(work)
