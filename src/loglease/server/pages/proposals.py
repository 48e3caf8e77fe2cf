"""Proposals to change a managed policy: the list, and one with its difference for other people to decide on."""

from __future__ import annotations

from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from loglease.access.caller import Caller
from loglease.access.policy_changes import ProposalView, proposal_view, proposals_page
from loglease.access.withdraw_policy import withdraw_policy
from loglease.model.errors import LogLeaseError
from loglease.model.ids import PROPOSAL, ProposalId, checked_id
from loglease.model.proposal import ProposalState
from loglease.model.review import Verdict
from loglease.policy.simulation import answer_words
from loglease.server import managed
from loglease.server.pages.site import Site, shown_error, text_of
from loglease.server.policies import PolicyInvalid
from loglease.server.problems import kind_of
from loglease.server.simulating import WITHIN_S, SimulationRunning, SimulationTooLarge, simulated
from loglease.store.interface import Transaction

_PAGE = 50
_GLANCE_S = 2
"""How long a page waits for what a proposal would change for people, before it is asked for."""
_SHOWN_AGAIN = frozenset({"reason_required", "proposal_not_pending", "bundle_stale", "policy_invalid"})


async def proposals_list(site: Site, request: Request, caller: Caller) -> Response:
    """Show proposals, newest first, and which policy is in force."""
    before = request.query_params.get("before", "")
    last = ProposalId(checked_id(PROPOSAL, before)) if before else None
    found = await site.services.store.read(lambda tx: proposals_page(tx, caller, before=last, limit=_PAGE + 1))
    values = {
        "views": found[:_PAGE],
        "more": found[_PAGE - 1].proposal.id if len(found) > _PAGE else None,
        "rules": site.services.rules.current,
        "managed": managed.is_managed(site.services.settings),
    }
    return site.page(request, "proposals.html", values)


async def proposal_page(site: Site, request: Request, caller: Caller) -> Response:
    """Show one proposal: who wants what, what it changes, who agreed."""
    return await _show(site, request, caller, _id_of(request))


async def decide_proposal(site: Site, request: Request, caller: Caller) -> Response:
    """Give a review; with the last approval that it needs the proposal is in force."""
    fields = await site.form(request)
    proposal_id = _id_of(request)
    comment = text_of(fields, "comment")
    try:
        await managed.review(
            site.services,
            proposal_id,
            verdict=Verdict.DENY if text_of(fields, "verdict") == "deny" else Verdict.APPROVE,
            digest=text_of(fields, "digest") or None,
            comment=comment.strip(),
            caller=caller,
        )
    except LogLeaseError as error:
        if error.code not in _SHOWN_AGAIN:
            raise
        return await _show(site, request, caller, proposal_id, comment=comment, error=error)
    return site.go(f"/proposals/{proposal_id}")


async def withdraw_proposal(site: Site, request: Request, caller: Caller) -> Response:
    """Withdraw an own proposal."""
    await site.form(request)
    proposal_id = _id_of(request)
    await withdraw_policy(proposal_id, caller=caller, log=site.services.log, new_id=site.services.new_id)
    return site.go(f"/proposals/{proposal_id}")


def _id_of(request: Request) -> ProposalId:
    return ProposalId(checked_id(PROPOSAL, request.path_params["proposal_id"]))


async def _show(
    site: Site,
    request: Request,
    caller: Caller,
    proposal_id: ProposalId,
    *,
    comment: str = "",
    error: LogLeaseError | None = None,
) -> Response:
    def query(tx: Transaction) -> dict[str, Any]:
        view = proposal_view(tx, caller, proposal_id)
        return {
            "view": view,
            "proposal": view.proposal,
            "who": {one.reviewer: tx.principals.find(one.reviewer) for one in view.reviews},
        }

    values = await site.services.store.read(query)
    patient = request.query_params.get("replay") == "1"
    values |= {
        "effect": await _effect(site, caller, values["view"], within_s=WITHIN_S if patient else _GLANCE_S),
        "patient": patient,
        "mine": values["proposal"].author == caller.principal.id,
        "comment": comment,
        "error": None if error is None else shown_error(error),
    }
    return site.page(request, "proposal.html", values, status=200 if error is None else kind_of(error).status)


async def _effect(site: Site, caller: Caller, view: ProposalView, *, within_s: int) -> dict[str, Any] | None:
    """Return what a pending proposal would have changed of recent decisions, or why that is not known."""
    if view.state is not ProposalState.PENDING:
        return None
    try:
        found = await simulated(site.services, caller, view.proposal.files, within_s=within_s)
    except (SimulationRunning, SimulationTooLarge, PolicyInvalid) as error:
        return {"error": shown_error(error)}
    rows = [
        {
            "kind": change.replace("-", " "),
            "group": group,
            "count": cases.count,
            "account": cases.examples[0].record.principal.account,
            "before": answer_words(cases.examples[0].before),
            "after": answer_words(answer) if (answer := cases.examples[0].answer) is not None else "unknown",
        }
        for change, group, cases in found.summary.rows()
    ]
    return {
        "error": None,
        "summary": found.summary,
        "rows": rows,
        "since": found.since,
        "revision": found.present.revision,
    }
