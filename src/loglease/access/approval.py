"""What the last missing approval does: the request is approved and its grant is scheduled, in one transaction.

So is a grant that takes no approval; with it, where policy asks for that, an after-review opens.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from loglease.access.commitments import Random, commitments_of
from loglease.access.extensions import beginning
from loglease.access.pseudonym_keys import SALT_BYTES, shared_salt
from loglease.access.records import actor_of, refs, scheduled_data
from loglease.access.rules import Allowed, Rules
from loglease.audit.interface import Draft
from loglease.model.access_request import AccessRequest, RequestMove, move
from loglease.model.ack import strongest
from loglease.model.after_review import AfterReview
from loglease.model.grant import Grant
from loglease.model.ids import ENTRY, GRANT, EntryId, GrantId, NewId
from loglease.model.instant import Instant, after
from loglease.model.principal import Directory, Principal
from loglease.model.reveal import Reveal
from loglease.model.review import Review
from loglease.policy.entry_shapes import profiles_of
from loglease.store.interface import Transaction


def bounded(tx: Transaction, reveal: Reveal | None, until: Instant) -> Instant:
    """Return `until`, for a reveal not later than the end of the grant that it is about."""
    parent = None if reveal is None else tx.grants.find(reveal.grant)
    return until if parent is None else min(until, parent.due_at)


def opened_with(
    request: AccessRequest, grant: Grant, *, rules: Rules, directory: Directory, now: Instant
) -> AfterReview | None:
    """Return the after-review that opens with a grant; None where the offer asks for none."""
    plan, requester = request.offer.after, directory.principal(request.requester)
    if plan is None or requester is None:
        return None
    in_time, late = (
        rules.eligible(plan.demanded(late=late), requester=requester, directory=directory, now=now)
        for late in (False, True)
    )
    return AfterReview(
        request=request.id,
        grant=grant.id,
        basis=request.offer.outcome,
        policy=request.offer.policy,
        requester=request.requester,
        person=requester.person,
        persons=request.persons,
        plan=plan,
        eligible=in_time,
        escalated=late,
        opened_at=now,
        due_at=after(now, plan.within_s),
    )


def approved(
    tx: Transaction,
    request: AccessRequest,
    reviews: Sequence[Review],
    *,
    by: Principal | None,
    now: Instant,
    allowed: Allowed,
    rules: Rules,
    new_id: NewId,
    random: Random,
) -> tuple[AccessRequest, Grant, tuple[Draft, ...]]:
    """Approve a pending request and schedule its grant over what is allowed; the clock of the grant does not start yet.

    Raises:
        RequestNotPending: it has its verdict already.
        GrantEnded: it is an extension, and the grant before it ended early.
    """
    done = move(request, RequestMove.APPROVE, by=by.id if by else None, now=now)
    reveal, extends = request.wish.reveal, request.wish.extends
    starts_at = None if extends is None else beginning(tx, extends, now)
    activate_by = after(now, request.offer.shape.activate_within_s)
    if starts_at is not None:
        activate_by = after(starts_at, allowed.terms.duration_s)
    shape = replace(
        request.offer.shape,
        network_bound=allowed.network_bound,
        pseudonyms=allowed.pseudonyms,
        ack=strongest((request.offer.shape.ack, allowed.ack)),
    )
    grant = Grant(
        id=GrantId(new_id(GRANT)),
        request=request.id,
        holder=request.requester,
        policy=request.offer.policy,
        basis=request.offer.outcome,
        reviews=tuple(review.id for review in reviews),
        terms=allowed.terms,
        shape=shape,
        digest=request.digest,
        scheduled_at=now,
        activate_by=bounded(tx, reveal, activate_by),
        key_salt=random(SALT_BYTES),
        shared_salt=shared_salt(tx, shape.pseudonyms, request.offer.policy, now, random=random),
        epoch=tx.epoch,
        network=request.network,
        parent=None if reveal is None else reveal.grant,
        extends=() if extends is None else extends.chain,
        starts_at=starts_at,
    )
    tx.requests.update(done)
    tx.grants.insert(grant)
    after_review = opened_with(request, grant, rules=rules, directory=tx.principals.directory(), now=now)
    if after_review is not None:
        tx.after_reviews.insert(after_review)
    commitments = commitments_of(request.private, random)
    holder = tx.principals.directory().principal(request.requester)
    if holder is None:
        raise LookupError(request.requester)
    review_by = None if after_review is None else after_review.due_at
    data = scheduled_data(
        grant, reveal, holder, commitments, profiles_of(rules.profiles, rules.profile_digests), review_by
    )
    actor = actor_of(by)
    return (
        done,
        grant,
        (
            Draft(
                id=EntryId(new_id(ENTRY)),
                type="request.approved",
                actor=actor,
                ref=refs(request=request.id),
                data={"digest_sha256": request.digest, "reviews": [review.id for review in reviews]},
            ),
            Draft(
                id=EntryId(new_id(ENTRY)),
                type="grant.scheduled",
                actor=actor,
                ref=refs(request=request.id, grant=grant.id),
                data=data,
                private=commitments.taken(),
            ),
        ),
    )
