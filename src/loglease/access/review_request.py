"""Review a request: one eligible person's approval or denial, bound to the digest of exactly what was asked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from loglease.access.approval import approved
from loglease.access.caller import REVIEW_SIGN_IN_S, STEP_UP_S, Caller
from loglease.access.commitments import Commitments, Random, commitments_of
from loglease.access.errors import (
    DigestMismatch,
    GuardrailDenied,
    PolicyDenied,
    PreconditionRequired,
    ReasonRequired,
    ReviewerNotEligible,
    ReviewerNotHuman,
    SamePerson,
    SelfReview,
)
from loglease.access.knowing import commit_knowing
from loglease.access.once import Once
from loglease.access.permissions import counting, require_may_decide, visible_request
from loglease.access.records import Data, refs
from loglease.access.rules import Rules
from loglease.audit.interface import SYSTEM, Draft, EntryLog, Recorded
from loglease.model.access_request import AccessRequest, RequestMove, RequestState, move
from loglease.model.errors import AlreadyReviewed, NarrowingEmpty, RequestNotPending
from loglease.model.grant import Grant
from loglease.model.ids import ENTRY, REVIEW, EntryId, NewId, RequestId, ReviewId
from loglease.model.instant import MICROSECONDS, EventWindow, Instant
from loglease.model.labels import Selector
from loglease.model.limits import Limits
from loglease.model.offer import Terms
from loglease.model.principal import Directory, Kind
from loglease.model.review import Review, Verdict, checked_narrowing, granted_terms
from loglease.model.scope import Level
from loglease.policy.decision import Point
from loglease.policy.entry_shapes import profiles_of, terms_data
from loglease.store.interface import Transaction

MAX_COMMENT: Final = 2_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Narrowing:
    """What a reviewer allows instead of all that was offered; what is None stays as it was."""

    selector: Selector | None = None
    window: EventWindow | None = None
    level_from: Level | None = None
    contains: tuple[str, ...] = ()
    duration_s: int | None = None
    limits: Limits = Limits()

    def applied_to(self, terms: Terms) -> Terms:
        """Return the narrowed terms, still to be proven a subset."""
        scopes = tuple(
            replace(
                scope,
                selector=self.selector or scope.selector,
                window=self.window or scope.window,
                level_from=self.level_from or scope.level_from,
                contains=tuple(sorted({*scope.contains, *self.contains})),
            )
            for scope in terms.scopes
        )
        return Terms(
            scopes=scopes,
            duration_s=self.duration_s or terms.duration_s,
            limits=Limits(**{**terms.limits.named(), **self.limits.named()}),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Reviewed:
    """What a review led to; `grant` is there once the request is approved."""

    request: AccessRequest
    review: Review
    grant: Grant | None = None


async def review_request(
    request_id: RequestId,
    *,
    verdict: Verdict,
    digest: str | None,
    comment: str = "",
    narrowing: Narrowing | None = None,
    caller: Caller,
    log: EntryLog[Transaction],
    rules: Rules,
    new_id: NewId,
    random: Random,
    once: Once | None = None,
) -> Reviewed:
    """Give a review. The same person with the same verdict again is the same review; nothing is written twice.

    Policy is decided again with the last approval. Where it asks for more approvals by then, the request goes on
    waiting for them; where it allows nothing any more, the request is denied.

    Raises:
        SelfReview, SamePerson, ReviewerNotHuman, ReviewerNotEligible, StageNotOpen: this caller may not, or not now.
        PreconditionRequired, DigestMismatch: the review does not name what is decided.
        RequestNotPending, AlreadyReviewed: it came too late, or contradicts an own earlier one.
        ReasonRequired: a denial without a comment.
        NarrowingNotSubset, NarrowingEmpty: the narrowing is none.
        StepUpRequired: the sign-in is too old for this act.
    """
    require_person(caller)
    if len(comment) > MAX_COMMENT:
        raise ReasonRequired(f"The comment has more than {MAX_COMMENT} characters.", next_step="Shorten it.")

    def work(tx: Transaction, now: Instant, rules: Rules) -> Recorded[Reviewed]:
        if once is not None:
            once.created(tx, now)
        request = visible_request(tx, caller, request_id)
        require_may_decide(tx, caller, now)
        require_other_person(caller, request)
        _require_same_terms(digest, request)
        reviews = tx.reviews.of_request(request.id)
        repeated = _repeated(caller, verdict, reviews)
        if repeated is not None:
            return Recorded(Reviewed(request=request, review=repeated, grant=tx.grants.of_request(request.id)))
        if request.state_at(now) is not RequestState.PENDING:
            raise RequestNotPending(
                f"{request.id} is already {request.state_at(now)}.", next_step=f"loglease requests {request.id}"
            )
        raw = any((scope.profile or "").partition("@")[0] == "raw" for scope in request.terms.scopes)
        shows_values = raw or request.wish.reveal is not None
        caller.require_sign_in(now, STEP_UP_S if shows_values else REVIEW_SIGN_IN_S)
        directory = tx.principals.directory()
        _require_eligible(tx, caller, request, reviews, verdict, rules=rules, directory=directory, now=now)
        stands_for = rules.stands_for(request, caller.principal, directory, now)
        review = Review(
            id=ReviewId(new_id(REVIEW)),
            request=request.id,
            reviewer=caller.principal.id,
            person=caller.principal.person,
            verdict=verdict,
            digest=request.digest,
            given_at=now,
            channel=caller.channel,
            comment=comment,
            narrowed=_narrowed(request, verdict, narrowing),
            on_call=directory.rotas_of(caller.principal.id),
            stands_for=None if stands_for is None else stands_for.id,
        )
        tx.reviews.insert(review)
        commitments = commitments_of(request.private, random)
        given = _given(
            review, request, caller, now, commitments=commitments, rules=rules, directory=directory, new_id=new_id
        )
        if once is not None:
            once.remember(tx, review.id, now)
        if verdict is Verdict.DENY:
            denied, entry = _denied(tx, request, review, caller, now, new_id=new_id)
            return Recorded(Reviewed(request=denied, review=review), (given, entry))
        counted = rules.satisfied(request, counting(tx, [*reviews, review], now), directory, now)
        if counted is None:
            return Recorded(Reviewed(request=request, review=review), (given,))
        terms = granted_terms(request, counted)
        try:
            allowed = rules.still_allowed(Point.FINAL_APPROVAL, request, terms, directory, now)
        except (PolicyDenied, GuardrailDenied) as refusal:
            denied, entry = _denied_by_policy(tx, request, refusal, now, new_id=new_id)
            return Recorded(Reviewed(request=denied, review=review), (given, entry))
        done, grant, entries = approved(
            tx,
            request,
            counted,
            by=caller.principal,
            now=now,
            allowed=allowed,
            rules=rules,
            new_id=new_id,
            random=random,
        )
        return Recorded(Reviewed(request=done, review=review, grant=grant), (given, *entries))

    return await commit_knowing(work, caller=caller, log=log, rules=rules)


def _narrowed(request: AccessRequest, verdict: Verdict, narrowing: Narrowing | None) -> Terms | None:
    if narrowing is None or verdict is Verdict.DENY:
        return None
    if request.wish.reveal is not None:
        raise NarrowingEmpty("One value cannot be narrowed.", next_step="Approve it, or deny it.")
    return checked_narrowing(request, narrowing.applied_to(request.terms))


def require_person(caller: Caller) -> None:
    """Refuse whoever is no person who signed in interactively.

    Raises:
        ReviewerNotHuman: an agent, a service, or a token.
    """
    if caller.principal.kind is not Kind.HUMAN:
        raise ReviewerNotHuman(f"A {caller.principal.kind} cannot review.", next_step="Ask a person.")
    if caller.rights is not None or caller.signed_in_at is None:
        raise ReviewerNotHuman("A token cannot review; reviewing takes a sign-in.", next_step="loglease login")


def require_other_person(caller: Caller, request: AccessRequest) -> None:
    """Refuse the requester, and whoever is or may be the same person.

    Raises:
        SelfReview, SamePerson: it is one of them.
    """
    if caller.principal.id == request.requester:
        raise SelfReview(
            "Nobody reviews their own request.",
            rule="An approval comes from another person than the requester.",
            next_step="Wait for somebody else, or see whom it was sent to: loglease requests " + request.id,
        )
    if caller.principal.persons & request.persons:
        raise SamePerson(
            "You and the requester count as the same person.",
            rule="An approval comes from another person than the requester.",
            next_step="Ask somebody else to review.",
        )


def _require_same_terms(digest: str | None, request: AccessRequest) -> None:
    if digest is None:
        raise PreconditionRequired(
            "The review does not say what it is about.", next_step=f'Send If-Match: "{request.digest}".'
        )
    if digest != request.digest:
        raise DigestMismatch(request.digest)


def _repeated(caller: Caller, verdict: Verdict, reviews: Sequence[Review]) -> Review | None:
    mine = {review.verdict: review for review in reversed(reviews) if review.person in caller.principal.persons}
    if Verdict.DENY in mine and verdict is not Verdict.DENY:
        raise AlreadyReviewed("You denied this request; that cannot be taken back.", next_step="It is decided.")
    return mine.get(verdict)


def _require_eligible(
    tx: Transaction,
    caller: Caller,
    request: AccessRequest,
    reviews: Sequence[Review],
    verdict: Verdict,
    *,
    rules: Rules,
    directory: Directory,
    now: Instant,
) -> None:
    me = tx.principals.find(caller.principal.id)
    if me is None:
        raise ReviewerNotEligible(
            "The policy does not let you review this request.",
            rule=request.offer.policy,
            next_step="Ask its approvers.",
        )
    rules.require_may_review(request, reviews, me, verdict, directory, now)


def _given(
    review: Review,
    request: AccessRequest,
    caller: Caller,
    now: Instant,
    *,
    commitments: Commitments,
    rules: Rules,
    directory: Directory,
    new_id: NewId,
) -> Draft:
    age_s = 0 if caller.signed_in_at is None else max(0, (now - caller.signed_in_at) // MICROSECONDS)
    data: Data = {
        "verdict": str(review.verdict),
        "digest_sha256": review.digest,
        "eligible": list(rules.names_of(request, caller.principal, directory, now)),
        "channel": str(review.channel),
        "auth": {"method": "password", "mfa": False, "age_s": age_s},
    }
    member = None if review.stands_for is None else directory.principal(review.stands_for)
    if member is not None:
        data["stands_for"] = member.subject
    if review.comment:
        data["comment_c"] = commitments.to("comment_c", review.comment)
    if review.narrowed is not None:
        data["narrowed"] = terms_data(review.narrowed, commitments, profiles_of(rules.profiles, rules.profile_digests))
    return Draft(
        id=EntryId(new_id(ENTRY)),
        type="review.given",
        actor=caller.principal.subject,
        ref=refs(request=request.id, review=review.id),
        data=data,
        private=commitments.taken(),
    )


def _denied(
    tx: Transaction, request: AccessRequest, review: Review, caller: Caller, now: Instant, *, new_id: NewId
) -> tuple[AccessRequest, Draft]:
    if not review.comment.strip():
        raise ReasonRequired("A denial needs a comment.", next_step="Say why, so that the requester can do better.")
    denied = move(request, RequestMove.DENY, by=caller.principal.id, now=now, cause="review")
    tx.requests.update(denied)
    entry = Draft(
        id=EntryId(new_id(ENTRY)),
        type="request.denied",
        actor=caller.principal.subject,
        ref=refs(request=request.id),
        data={"by": "review", "review": review.id},
    )
    return denied, entry


def _denied_by_policy(
    tx: Transaction, request: AccessRequest, refusal: PolicyDenied | GuardrailDenied, now: Instant, *, new_id: NewId
) -> tuple[AccessRequest, Draft]:
    denied = move(request, RequestMove.DENY, by=None, now=now, cause="policy")
    tx.requests.update(denied)
    entry = Draft(
        id=EntryId(new_id(ENTRY)),
        type="request.denied",
        actor=SYSTEM,
        ref=refs(request=request.id),
        data={"by": "policy", "rule": refusal.rule or request.offer.policy},
    )
    return denied, entry
