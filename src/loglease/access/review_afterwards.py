"""Look afterwards at what was read under a grant that nobody approved, and say whether it was justified."""

from __future__ import annotations

from loglease.access.caller import REVIEW_SIGN_IN_S, STEP_UP_S, Caller
from loglease.access.commitments import Commitments, Random
from loglease.access.errors import NotFound, ReasonRequired
from loglease.access.once import Once
from loglease.access.permissions import require_may_decide, visible_request
from loglease.access.records import Data, refs
from loglease.access.review_request import MAX_COMMENT, require_other_person, require_person
from loglease.access.rules import Rules
from loglease.audit.interface import Draft, EntryLog, Recorded
from loglease.model.after_review import AfterOpinion, AfterReview, AfterVerdict, with_opinion
from loglease.model.ids import ENTRY, REVIEW, EntryId, NewId, RequestId, ReviewId
from loglease.model.instant import Instant
from loglease.model.offer import Outcome
from loglease.store.interface import Transaction


async def review_afterwards(
    request_id: RequestId,
    *,
    verdict: AfterVerdict,
    comment: str = "",
    caller: Caller,
    log: EntryLog[Transaction],
    rules: Rules,
    new_id: NewId,
    random: Random,
    once: Once | None = None,
) -> AfterReview:
    """Give a verdict. The same person with the same verdict as before is the same act; nothing is written twice.

    What was not justified opens again when somebody else than who said so calls it justified.

    Raises:
        SelfReview, SamePerson, ReviewerNotHuman, ReviewerNotEligible: this caller may not.
        NotFound: there is no such request for the caller, or it has no after-review.
        AlreadyReviewed: it does not move that way any more.
        ReasonRequired: anything but `justified` needs a comment.
        StepUpRequired: the sign-in is too old for this act.
        Locked: a lock is aimed at the caller.
    """
    require_person(caller)
    if len(comment) > MAX_COMMENT:
        raise ReasonRequired(f"The comment has more than {MAX_COMMENT} characters.", next_step="Shorten it.")
    if verdict is not AfterVerdict.JUSTIFIED and not comment.strip():
        raise ReasonRequired("This verdict needs a comment.", next_step="Say what was wrong, or what is still open.")

    def work(tx: Transaction, now: Instant) -> Recorded[AfterReview]:
        if once is not None:
            once.created(tx, now)
        request = visible_request(tx, caller, request_id)
        after_review = tx.after_reviews.find(request.id)
        if after_review is None:
            raise NotFound(f"{request.id} has no after-review.", next_step=f"loglease requests {request.id}")
        require_may_decide(tx, caller, now)
        require_other_person(caller, request)
        caller.require_sign_in(now, STEP_UP_S if after_review.basis is Outcome.BREAK_GLASS else REVIEW_SIGN_IN_S)
        if _is_repeated(after_review, caller, verdict):
            return Recorded(after_review)
        directory = tx.principals.directory()
        me = directory.principal(caller.principal.id) or caller.principal
        rules.require_may_review_afterwards(request, after_review, me, directory, now)
        opinion = AfterOpinion(
            id=ReviewId(new_id(REVIEW)),
            reviewer=caller.principal.id,
            person=caller.principal.person,
            verdict=verdict,
            given_at=now,
            channel=caller.channel,
            comment=comment,
        )
        completes = rules.is_justified(request, after_review, opinion, directory)
        done = with_opinion(after_review, opinion, completes=completes)
        tx.after_reviews.update(done)
        if once is not None:
            once.remember(tx, opinion.id, now)
        return Recorded(done, (_entry(done, opinion, caller, random=random, new_id=new_id),))

    return await log.commit(work)


def _is_repeated(after_review: AfterReview, caller: Caller, verdict: AfterVerdict) -> bool:
    last = after_review.opinions[-1] if after_review.opinions else None
    return last is not None and last.verdict is verdict and last.person in caller.principal.persons


def _entry(review: AfterReview, opinion: AfterOpinion, caller: Caller, *, random: Random, new_id: NewId) -> Draft:
    commitments = Commitments(random)
    data: Data = {"verdict": str(opinion.verdict), "state": str(review.state)}
    if opinion.comment:
        data["comment_c"] = commitments.to("comment_c", opinion.comment)
    return Draft(
        id=EntryId(new_id(ENTRY)),
        type="breakglass.reviewed",
        actor=caller.principal.subject,
        ref=refs(request=review.request, grant=review.grant),
        data=data,
        private=commitments.taken(),
    )
