"""Operations that answer what policy would say: to a draft, to everybody, and to what was asked before."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from loglease.access.policy_changes import require_may_look, visible_proposal
from loglease.model.errors import FieldFault, InvalidField, ScopeInvalid
from loglease.model.ids import ProposalId
from loglease.model.instant import instant_text
from loglease.model.rights import Right
from loglease.model.wish import WishDraft
from loglease.policy.simulation import Cases, Change, Replayed, answer_words
from loglease.policy.who_can import who_can, who_can_data
from loglease.server.api import explanation_resources as e
from loglease.server.api.bodies import ExplainBody, WishBody
from loglease.server.api.calls import CallerOf, ServicesOf
from loglease.server.api.conversions import wish_of
from loglease.server.api.operations import Routes
from loglease.server.api.policy_resources import SimulateBody
from loglease.server.api.requests import SCOPE_PROBLEMS
from loglease.server.asking import explained
from loglease.server.services import Services
from loglease.server.simulating import Simulated, simulated

routes = Routes("explanations")


def _draft(body: WishBody, services: Services) -> WishDraft:
    if body.reveal is not None:
        raise ScopeInvalid(
            "A reveal is not explained: whether there may be one is a matter of its grant.",
            next_step="Send a scope.",
            faults=(FieldFault("/reveal", "not_allowed", "Only what is asked for lines is explained."),),
        )
    return wish_of(body, services.sources)


@routes.post("/policies/explain", answers=e.ExplanationShown, problems=(*SCOPE_PROBLEMS, "not_found"))
async def explain_wish(body: ExplainBody, caller: CallerOf, services: ServicesOf) -> e.ExplanationShown:
    """Say why policy would offer what it would for a draft, and what would help; nothing is asked for."""
    caller.require(Right.REQUESTS_WRITE if body.principal is None else Right.POLICY_READ)
    told = await explained(services, caller, _draft(body, services), about=body.principal)
    return e.ExplanationShown.model_validate(told.data)


@routes.post("/policies/who-can", answers=e.WhoCanShown, problems=SCOPE_PROBLEMS)
async def list_who_can(body: WishBody, caller: CallerOf, services: ServicesOf) -> e.WhoCanShown:
    """Say, policy by policy, what those whom it is for would be offered; facts are taken not to be known."""
    require_may_look(caller)
    now, rules = services.clock.now(), services.rules.current
    wish = _draft(body, services).at(now)
    answers = await asyncio.to_thread(who_can, rules.bundle, wish, now=now, profiles=rules.profiles)
    return e.WhoCanShown.model_validate(who_can_data(rules.bundle, wish, answers))


@routes.post(
    "/policies/simulate",
    answers=e.SimulationShown,
    problems=("not_found", "policy_invalid", "simulation_running", "simulation_too_large"),
)
async def simulate_policy(body: SimulateBody, caller: CallerOf, services: ServicesOf) -> e.SimulationShown:
    """Decide recorded requests again by other documents and by those in force; say who would gain or lose what."""
    require_may_look(caller)
    if (body.files is None) == (body.proposal is None):
        raise InvalidField(
            "Which documents?",
            next_step="Send either files or a proposal.",
            faults=(FieldFault("/files", "exclusive", "Exactly one of files and proposal is needed."),),
        )
    files: Mapping[str, str] | None = body.files
    if files is None:
        proposal_id = ProposalId(body.proposal or "")
        files = (await services.store.read(lambda tx: visible_proposal(tx, caller, proposal_id))).files
    return _simulation_shown(await simulated(services, caller, files, since_s=body.since_s))


def _simulation_shown(found: Simulated) -> e.SimulationShown:
    summary = found.summary
    return e.SimulationShown(
        since=instant_text(found.since),
        in_force=e.BundleExplained(revision=found.present.revision, hash=f"sha256:{found.present.bundle_sha256}"),
        bundle_sha256=found.new.bundle_sha256,
        replayed=summary.total,
        same=summary.same,
        changed=summary.changed,
        undecided=dict(summary.undecided),
        kinds=[_kind_shown(*row) for row in summary.rows()],
    )


def _kind_shown(change: Change, group: str, cases: Cases) -> e.KindShown:
    return e.KindShown(
        kind=change, group=group, count=cases.count, examples=[_case_shown(one) for one in cases.examples]
    )


def _case_shown(one: Replayed) -> e.CaseShown:
    return e.CaseShown(
        account=one.record.principal.account,
        request=one.record.request,
        before=answer_words(one.before),
        after="" if one.answer is None else answer_words(one.answer),
    )
