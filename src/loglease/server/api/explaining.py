"""Operations that answer what policy would say: to a draft, to everybody, and to what was asked before."""

from __future__ import annotations

import asyncio

from loglease.access.policy_changes import require_may_look
from loglease.model.errors import FieldFault, ScopeInvalid
from loglease.model.rights import Right
from loglease.model.wish import WishDraft
from loglease.policy.who_can import who_can, who_can_data
from loglease.server.api import explanation_resources as e
from loglease.server.api.bodies import ExplainBody, WishBody
from loglease.server.api.calls import CallerOf, ServicesOf
from loglease.server.api.conversions import wish_of
from loglease.server.api.operations import Routes
from loglease.server.api.requests import SCOPE_PROBLEMS
from loglease.server.asking import explained
from loglease.server.services import Services

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
