"""Review an act: another administrator approves, and it is done in the same transaction, or denies."""

from __future__ import annotations

from typing import Final

from loglease.access.acts import MAX_COMMENT, ROLE, reviewed_entry, visible_act, withdrawn_entry
from loglease.access.caller import REVIEW_SIGN_IN_S, STEP_UP_S, Caller
from loglease.access.commitments import Random
from loglease.access.erasing import erase
from loglease.access.errors import DigestMismatch, NotPermitted, PreconditionRequired, ReasonRequired
from loglease.access.permissions import require_may_decide
from loglease.access.pruning import Retention, prune
from loglease.access.review_policy import require_person
from loglease.access.rules import refused
from loglease.audit.interface import Draft, EntryLog, Recorded
from loglease.audit.privacy import Vault
from loglease.model.act import Act, ActKind, decided
from loglease.model.ids import NewId, ProposalId
from loglease.model.instant import Instant
from loglease.model.proposal import ProposalState
from loglease.model.review import Verdict
from loglease.policy.proposals import proposal_refusal
from loglease.store.interface import Transaction

WITHIN_S: Final = 60.0
"""How long an act may take: it is rare, and walks over all that somebody wrote."""


async def review_act(
    act_id: ProposalId,
    *,
    verdict: Verdict,
    digest: str | None,
    comment: str = "",
    retention: Retention,
    vault: Vault,
    caller: Caller,
    log: EntryLog[Transaction],
    new_id: NewId,
    random: Random,
) -> Act:
    """Give the verdict on an act. With an approval it is done, in the transaction that records both.

    Whether it can be done is looked at again: what stood in its way may have come meanwhile.

    Args:
        act_id: which.
        verdict: approve or deny.
        digest: the act's, as it was shown to the reviewer.
        comment: for the record; a denial needs one.
        retention: how long entries have to be kept.
        vault: opens a private text, so that its copies are found.
        caller: who reviews.
        log: records it.
        new_id: gives entries their ids.
        random: salts what is committed to, and draws subjects.

    Raises:
        NotFound, NotPermitted: there is none, or the caller may not look at acts.
        SelfReview, SamePerson, ReviewerNotHuman, ReviewerNotEligible: this caller may not review it.
        PreconditionRequired, DigestMismatch: the review does not name what is decided.
        ProposalNotPending: it came too late.
        ReasonRequired: a denial without a comment, or a comment that is too long.
        StepUpRequired: the sign-in is too old for this.
        UnderHold, StillNeeded: it cannot be done now.
    """
    require_person(caller)
    if len(comment) > MAX_COMMENT:
        raise ReasonRequired(f"The comment has more than {MAX_COMMENT:,} characters.", next_step="Shorten it.")

    def work(tx: Transaction, now: Instant) -> Recorded[Act]:
        act = visible_act(tx, caller, act_id)
        require_may_decide(tx, caller, now)
        reviewer = tx.principals.find(caller.principal.id) or caller.principal
        # SECURITY: nobody approves their own act, under whatever login (tests/access/test_erasing.py).
        refusal = proposal_refusal(act, reviewer, tx.principals.directory(), ROLE)
        if refusal is not None:
            raise refused(refusal)
        _require_same(digest, act)
        caller.require_sign_in(now, STEP_UP_S if verdict is Verdict.APPROVE else REVIEW_SIGN_IN_S)
        if verdict is Verdict.DENY:
            _require_comment(comment)
        done = decided(act, verdict, by=reviewer.id, now=now, answer=comment)
        tx.acts.update(done)
        given = reviewed_entry(act, verdict, comment, caller, now, new_id=new_id, random=random)
        if verdict is Verdict.DENY:
            return Recorded(done, (given,))
        return Recorded(done, (given, *_carried_out(tx, act, reviewer.subject, now)))

    def _carried_out(tx: Transaction, act: Act, approved_by: str, now: Instant) -> tuple[Draft, ...]:
        match act.kind:
            case ActKind.ERASE:
                return (erase(tx, act, approved_by=approved_by, vault=vault, new_id=new_id, random=random),)
            case ActKind.PRUNE:
                return (prune(tx, act, now, approved_by=approved_by, retention=retention, new_id=new_id),)

    return await log.commit(work, limit_s=WITHIN_S)


async def withdraw_act(act_id: ProposalId, *, caller: Caller, log: EntryLog[Transaction], new_id: NewId) -> Act:
    """Withdraw a pending act. Repeating it answers the first result and writes nothing.

    Raises:
        NotFound: there is none.
        NotPermitted: the caller may not look at acts, or somebody else proposed it.
        ProposalNotPending: it has its verdict.
    """

    def work(tx: Transaction, now: Instant) -> Recorded[Act]:
        act = visible_act(tx, caller, act_id)
        require_may_decide(tx, caller, now)
        if act.author != caller.principal.id:
            raise NotPermitted("Only its author withdraws a proposal.", next_step="You may deny it.")
        if act.state is ProposalState.WITHDRAWN:
            return Recorded(act)
        done = decided(act, None, by=caller.principal.id, now=now)
        tx.acts.update(done)
        return Recorded(done, (withdrawn_entry(act, caller, new_id=new_id),))

    return await log.commit(work)


def _require_same(digest: str | None, act: Act) -> None:
    if digest is None:
        raise PreconditionRequired(
            "The review does not say what it is about.", next_step=f'Send If-Match: "{act.digest}".'
        )
    if digest != act.digest:
        raise DigestMismatch(act.digest)


def _require_comment(comment: str) -> None:
    if not comment:
        raise ReasonRequired("A denial needs a comment.", next_step="Say why.")
