"""Review a proposal: another person's approval or denial, bound to the digest of exactly what was proposed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from loglease.access.caller import REVIEW_SIGN_IN_S, STEP_UP_S, Caller
from loglease.access.commitments import Commitments, Random
from loglease.access.errors import (
    BundleStale,
    DigestMismatch,
    PreconditionRequired,
    ReasonRequired,
    ReviewerNotHuman,
)
from loglease.access.permissions import require_may_decide
from loglease.access.policy_changes import (
    MANAGED,
    POLICY,
    REVISION,
    in_force,
    require_may_review,
    superseded,
    visible_proposal,
)
from loglease.access.propose_policy import MAX_COMMENT, stale
from loglease.access.records import Data, refs
from loglease.audit.interface import Draft, EntryLog, Recorded
from loglease.model.errors import AlreadyReviewed, ProposalNotPending
from loglease.model.ids import ENTRY, REVIEW, EntryId, NewId, ProposalId, ReviewId
from loglease.model.instant import MICROSECONDS, Instant
from loglease.model.principal import Kind
from loglease.model.proposal import Proposal, ProposalMove, ProposalReview, ProposalState, StoredBundle, move
from loglease.model.review import Verdict
from loglease.policy.proposals import counted, widens
from loglease.store.interface import Transaction


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyReviewed:
    """What a review of a proposal led to; once `proposal` is accepted, its revision is in force in the database."""

    proposal: Proposal
    review: ProposalReview


async def review_policy(
    proposal_id: ProposalId,
    *,
    verdict: Verdict,
    digest: str | None,
    comment: str = "",
    loads_as: str | None = None,
    caller: Caller,
    log: EntryLog[Transaction],
    new_id: NewId,
    random: Random,
) -> PolicyReviewed:
    """Give a review. The same person with the same verdict again is the same review; nothing is written twice.

    With the last approval the proposal comes into force under the next revision, in the same transaction as the entries
    that say so, and every other pending proposal is superseded. A denial ends the proposal.

    Args:
        proposal_id: which.
        verdict: approve or deny.
        digest: the proposal's, as it was shown to the reviewer.
        comment: for the record; a denial needs one.
        loads_as: the hash that the proposed documents have when they are loaded and tested now; for approvals.
        caller: who reviews.
        log: records it.
        new_id: gives the review its id.
        random: salts what is committed to.

    Raises:
        NotFound, NotPermitted: there is none, or the caller may not look at proposals.
        SelfReview, SamePerson, ReviewerNotHuman, ReviewerNotEligible: this caller may not review it.
        PreconditionRequired, DigestMismatch: the review does not name what is decided.
        ProposalNotPending, AlreadyReviewed: it came too late, or contradicts an own earlier one.
        BundleStale: another bundle came into force since it was proposed, or the documents mean something else now.
        ReasonRequired: a denial without a comment, or a comment that is too long.
        StepUpRequired: the sign-in is too old for this act.
    """
    require_person(caller)
    if len(comment) > MAX_COMMENT:
        raise ReasonRequired(f"The comment has more than {MAX_COMMENT:,} characters.", next_step="Shorten it.")

    def work(tx: Transaction, now: Instant) -> Recorded[PolicyReviewed]:
        proposal = visible_proposal(tx, caller, proposal_id)
        require_may_decide(tx, caller, now)
        reviewer = tx.principals.find(caller.principal.id) or caller.principal
        directory = tx.principals.directory()
        # SECURITY: nobody approves their own change, under whatever login (tests/api/test_proposals.py).
        require_may_review(proposal, reviewer, directory)
        _require_same(digest, proposal)
        reviews = tx.proposals.reviews(proposal.id)
        if (repeated := _repeated(caller, verdict, reviews)) is not None:
            return Recorded(PolicyReviewed(proposal=proposal, review=repeated))
        _require_open(tx, proposal)
        caller.require_sign_in(now, STEP_UP_S if verdict is Verdict.APPROVE else REVIEW_SIGN_IN_S)
        review = ProposalReview(
            id=ReviewId(new_id(REVIEW)),
            proposal=proposal.id,
            reviewer=caller.principal.id,
            subject=caller.principal.subject,
            person=caller.principal.person,
            verdict=verdict,
            digest=proposal.digest,
            given_at=now,
            channel=caller.channel,
            comment=comment.strip(),
        )
        given = _given(review, caller, now, Commitments(random), new_id)
        if verdict is Verdict.DENY:
            if not review.comment:
                raise ReasonRequired("A denial needs a comment.", next_step="Say why.")
            tx.proposals.insert_review(review)
            return Recorded(PolicyReviewed(proposal=_denied(tx, proposal, caller, now), review=review), (given,))
        if loads_as != proposal.bundle_sha256:
            raise BundleStale(
                "These documents mean something else to this server than when they were proposed.",
                next_step="Propose them again, so that the difference is looked at again.",
            )
        tx.proposals.insert_review(review)
        counting = counted(proposal, [*reviews, review], directory)
        if len(counting) < proposal.needed:
            return Recorded(PolicyReviewed(proposal=proposal, review=review), (given,))
        done, entries = _accepted(tx, proposal, counting, caller, now, new_id)
        return Recorded(PolicyReviewed(proposal=done, review=review), (given, *entries))

    return await log.commit(work)


def require_person(caller: Caller) -> None:
    """Refuse whoever is no person who has signed in.

    Raises:
        ReviewerNotHuman: an agent, a service, or a token.
    """
    if caller.principal.kind is not Kind.HUMAN:
        raise ReviewerNotHuman(f"A {caller.principal.kind} cannot review.", next_step="Ask a person.")
    if caller.rights is not None or caller.signed_in_at is None:
        raise ReviewerNotHuman("A token cannot review; reviewing takes a sign-in.", next_step="loglease login")


def _require_same(digest: str | None, proposal: Proposal) -> None:
    if digest is None:
        raise PreconditionRequired(
            "The review does not say what it is about.", next_step=f'Send If-Match: "{proposal.digest}".'
        )
    if digest != proposal.digest:
        raise DigestMismatch(proposal.digest)


def _require_open(tx: Transaction, proposal: Proposal) -> None:
    revision = in_force(tx).revision
    state = proposal.state_at(revision)
    if state is ProposalState.SUPERSEDED:
        raise stale(revision)
    if state is not ProposalState.PENDING:
        raise ProposalNotPending(
            f"{proposal.id} is already {state}.", next_step=f"loglease proposals show {proposal.id}"
        )


def _repeated(caller: Caller, verdict: Verdict, reviews: Sequence[ProposalReview]) -> ProposalReview | None:
    mine = {review.verdict: review for review in reversed(reviews) if review.person in caller.principal.persons}
    if Verdict.DENY in mine and verdict is not Verdict.DENY:
        raise AlreadyReviewed("You denied this proposal; that cannot be taken back.", next_step="It is decided.")
    return mine.get(verdict)


def _denied(tx: Transaction, proposal: Proposal, caller: Caller, now: Instant) -> Proposal:
    denied = move(proposal, ProposalMove.DENY, by=caller.principal.id, now=now, in_force=in_force(tx).revision)
    tx.proposals.update(denied)
    return denied


def _accepted(
    tx: Transaction,
    proposal: Proposal,
    counting: Sequence[ProposalReview],
    caller: Caller,
    now: Instant,
    new_id: NewId,
) -> tuple[Proposal, tuple[Draft, ...]]:
    """Take a proposal into force under the next revision."""
    before = in_force(tx).revision
    revision = before + 1
    done = move(proposal, ProposalMove.ACCEPT, by=caller.principal.id, now=now, in_force=before, revision=revision)
    tx.proposals.update(done)
    tx.proposals.insert_bundle(
        StoredBundle(
            revision=revision,
            bundle_sha256=done.bundle_sha256,
            files=done.files,
            loaded_at=now,
            proposal=done.id,
        )
    )
    tx.bundle_documents.keep(done.bundle_sha256, done.files, now)
    tx.values.put(REVISION, str(revision))
    tx.values.put(POLICY, done.bundle_sha256)
    data: Data = {
        "bundle_sha256": done.bundle_sha256,
        "revision": revision,
        "trust": MANAGED,
        "author": done.subject,
        "reviewers": [review.subject for review in counting],
        "signers": [],
        "needed": done.needed,
        "widens": widens(done.needed),
    }
    loaded = Draft(
        id=EntryId(new_id(ENTRY)),
        type="policy.loaded",
        actor=caller.principal.subject,
        ref=refs(proposal=done.id),
        data=data,
    )
    return done, (loaded, *superseded(tx, before=before, now=now, except_for=done.id, new_id=new_id))


def _given(review: ProposalReview, caller: Caller, now: Instant, commitments: Commitments, new_id: NewId) -> Draft:
    age_s = 0 if caller.signed_in_at is None else max(0, (now - caller.signed_in_at) // MICROSECONDS)
    data: Data = {
        "verdict": str(review.verdict),
        "digest_sha256": review.digest,
        "channel": str(review.channel),
        "auth": {"method": "password", "mfa": False, "age_s": age_s},
    }
    if review.comment:
        data["comment_c"] = commitments.to("comment_c", review.comment)
    return Draft(
        id=EntryId(new_id(ENTRY)),
        type="policy.reviewed",
        actor=caller.principal.subject,
        ref=refs(proposal=review.proposal, review=review.id),
        data=data,
        private=commitments.taken(),
    )
