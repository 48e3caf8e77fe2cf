"""Operations on proposals: documents for the policy in force, and acts that need a second administrator."""

from __future__ import annotations

from typing import Annotated, Final

from fastapi import Path, Response

from loglease.access.acts import ActView, act_view, may_look_at_acts, visible_act
from loglease.access.caller import Caller
from loglease.access.policy_changes import ProposalView, proposal_view, proposals_page
from loglease.access.review_act import withdraw_act
from loglease.access.withdraw_policy import withdraw_policy
from loglease.model.ids import ProposalId
from loglease.model.instant import instant_text
from loglease.model.proposal import ProposalReview, ProposalState
from loglease.model.review import Verdict
from loglease.server import acting, managed
from loglease.server.api import policy_resources as p
from loglease.server.api import resources as r
from loglease.server.api.calls import CallerOf, IfMatch, PageOf, ServicesOf, next_cursor, seeing
from loglease.server.api.fields import id_pattern
from loglease.server.api.operations import Routes
from loglease.server.api.views import at, maybe_who, who
from loglease.server.services import Services
from loglease.store.interface import Transaction

routes = Routes("proposals")

ProposalPath = Annotated[str, Path(pattern=id_pattern("prp"))]
_REVIEW_PROBLEMS: Final = (
    "not_found",
    "policy_not_managed",
    "policy_invalid",
    "proposal_not_pending",
    "already_reviewed",
    "bundle_stale",
    "digest_mismatch",
    "precondition_required",
    "reason_required",
    "self_review",
    "same_person",
    "reviewer_not_eligible",
    "reviewer_not_human",
    "step_up_required",
    "under_hold",
    "still_needed",
)


@routes.get("/proposals", answers=r.Page[p.ProposalShown], problems=("invalid_cursor",))
async def list_proposals(caller: CallerOf, services: ServicesOf, page: PageOf) -> r.Page[p.ProposalShown]:
    """List proposals, newest first, without their documents."""
    before = None if page.before is None else ProposalId(page.before)
    now = services.clock.now()

    def query(tx: Transaction) -> r.Page[p.ProposalShown]:
        policies = proposals_page(tx, caller, before=before, limit=page.limit)
        acts = tx.acts.page(before=before, limit=page.limit) if may_look_at_acts(caller) else ()
        shown = [_policy_shown(tx, one, files=False) for one in policies]
        shown += [_act_shown(tx, act_view(tx, caller, one, now)) for one in acts]
        found = sorted(shown, key=lambda one: one.id, reverse=True)[: page.limit]
        last = found[-1].id if found else None
        return r.Page(items=found, next=next_cursor(services, caller, page, found, last))

    return await services.store.read(query)


@routes.get("/proposals/{proposal_id}", answers=p.ProposalShown, problems=("not_found",))
async def find_proposal(
    proposal_id: ProposalPath, caller: CallerOf, services: ServicesOf, response: Response
) -> p.ProposalShown:
    """Show one proposal with its documents; its ETag is the digest that reviews name."""
    found = await proposal_shown(services, caller, ProposalId(proposal_id))
    response.headers["ETag"] = f'"{found.digest}"'
    return found


@routes.post("/proposals/{proposal_id}/approve", answers=p.ProposalShown, problems=_REVIEW_PROBLEMS)
async def approve_proposal(
    proposal_id: ProposalPath, body: p.CommentBody, caller: CallerOf, services: ServicesOf, digest: IfMatch
) -> p.ProposalShown:
    """Approve a proposal; with the last approval that it needs it is in force, or done."""
    return await _reviewed(services, caller, proposal_id, Verdict.APPROVE, digest, body)


@routes.post("/proposals/{proposal_id}/deny", answers=p.ProposalShown, problems=_REVIEW_PROBLEMS)
async def deny_proposal(
    proposal_id: ProposalPath, body: p.CommentBody, caller: CallerOf, services: ServicesOf, digest: IfMatch
) -> p.ProposalShown:
    """Deny a proposal, with a comment; that ends it."""
    return await _reviewed(services, caller, proposal_id, Verdict.DENY, digest, body)


async def _reviewed(
    services: Services,
    caller: Caller,
    proposal_id: str,
    verdict: Verdict,
    digest: str | None,
    body: p.CommentBody,
) -> p.ProposalShown:
    chosen = ProposalId(proposal_id)
    if await _is_act(services, chosen):
        await acting.review(services, chosen, verdict=verdict, digest=digest, comment=body.comment, caller=caller)
    else:
        await managed.review(services, chosen, verdict=verdict, digest=digest, comment=body.comment, caller=caller)
    return await proposal_shown(services, seeing(caller), chosen)


@routes.post(
    "/proposals/{proposal_id}/withdraw", answers=p.ProposalShown, problems=("not_found", "proposal_not_pending")
)
async def withdraw_proposal(proposal_id: ProposalPath, caller: CallerOf, services: ServicesOf) -> p.ProposalShown:
    """Withdraw an own proposal."""
    chosen = ProposalId(proposal_id)
    withdraw = withdraw_act if await _is_act(services, chosen) else withdraw_policy
    await withdraw(chosen, caller=caller, log=services.log, new_id=services.new_id)
    return await proposal_shown(services, seeing(caller), chosen)


async def _is_act(services: Services, proposal_id: ProposalId) -> bool:
    return await services.store.read(lambda tx: tx.acts.find(proposal_id) is not None)


async def proposal_shown(services: Services, caller: Caller, proposal_id: ProposalId) -> p.ProposalShown:
    """Return a proposal with all that its reviewers look at.

    Raises:
        NotPermitted, NotFound: the caller may not see it, or there is none.
    """
    now = services.clock.now()

    def query(tx: Transaction) -> p.ProposalShown:
        if tx.acts.find(proposal_id) is None:
            return _policy_shown(tx, proposal_view(tx, caller, proposal_id), files=True)
        return _act_shown(tx, act_view(tx, caller, visible_act(tx, caller, proposal_id), now))

    return await services.store.read(query)


def _act_shown(tx: Transaction, view: ActView) -> p.ProposalShown:
    act = view.act
    terms = act.terms
    return p.ProposalShown(
        id=act.id,
        kind=p.ProposalKind(act.kind),
        state=view.state,
        author=who(tx, act.author),
        comment=act.comment,
        act=p.ActShown(
            subject=terms.get("subject"),
            person=None if view.about is None else who(tx, view.about.id),
            texts=view.texts,
            entry=terms.get("entry"),
            field=terms.get("field"),
            before=terms.get("before"),
            min_index=int(terms["min_index"]) if "min_index" in terms else None,
        ),
        needed=1,
        approvals=int(view.state is ProposalState.ACCEPTED),
        reviews=[],
        may_review=view.may_review,
        digest=act.digest,
        proposed_at=instant_text(act.proposed_at),
        decided_at=at(act.decided_at),
        decided_by=maybe_who(tx, act.decided_by),
        answer=act.answer or None,
    )


def _policy_shown(tx: Transaction, view: ProposalView, *, files: bool) -> p.ProposalShown:
    proposal = view.proposal
    return p.ProposalShown(
        id=proposal.id,
        kind=p.ProposalKind.POLICY,
        state=view.state,
        author=who(tx, proposal.author),
        comment=proposal.comment,
        bundle_sha256=proposal.bundle_sha256,
        base_revision=proposal.base_revision,
        verdict=p.Meaning(proposal.verdict),
        needed=proposal.needed,
        approvals=view.approvals,
        changes=[p.change_shown(one) for one in proposal.changes],
        reviews=[_review_shown(tx, one) for one in view.reviews],
        may_review=view.may_review,
        digest=proposal.digest,
        proposed_at=instant_text(proposal.proposed_at),
        decided_at=at(proposal.decided_at),
        decided_by=maybe_who(tx, proposal.decided_by),
        revision=proposal.revision,
        files=dict(proposal.files) if files else None,
    )


def _review_shown(tx: Transaction, review: ProposalReview) -> p.ProposalReviewShown:
    return p.ProposalReviewShown(
        id=review.id,
        reviewer=who(tx, review.reviewer),
        verdict=review.verdict,
        comment=review.comment,
        given_at=instant_text(review.given_at),
        channel=review.channel,
    )
