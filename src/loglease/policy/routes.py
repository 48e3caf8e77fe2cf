"""Which route of a policy a request takes; a condition that nobody can answer never helps."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from loglease.model.offer import AfterPlan, Plan, Stage
from loglease.policy.conditions import Fault
from loglease.policy.conditions.values import Value
from loglease.policy.documents import AccessPolicy, Guardrail, Route
from loglease.policy.plan import Refusal
from loglease.policy.trace import Step, StepName

Roots = Mapping[str, Value]


class Taken(NamedTuple):
    """The route that is taken, and what else is demanded.

    Attributes:
        also: the stages of routes before it of which nobody can say whether they hold.
        closed: why an automatic route was left out that holds otherwise, or why the one taken is none; None else.
    """

    route: Route
    also: tuple[tuple[Stage, ...], ...]
    closed: str | None = None


def taken_route(policy: AccessPolicy, roots: Roots, *, closed: str | None = None) -> Taken:
    """Return the first route that holds.

    Where it cannot be told whether an earlier one holds, an automatic one is left out, and the stages of another are
    demanded in addition: an outage makes nothing cheaper. Where automatic routes are closed to who asks, they are left
    out as well; where no other is left, the last one is returned with the reason.

    Raises:
        LookupError: no route is without a condition, which loading refuses.
    """
    also: list[tuple[Stage, ...]] = []
    left_out: Route | None = None
    for route in policy.routes:
        answer = True if route.condition is None else route.condition.answer(roots)
        if answer is True and not (route.auto and closed):
            return Taken(route, tuple(also), None if left_out is None else closed)
        if answer is True:
            left_out = route
        elif isinstance(answer, Fault) and not route.auto:
            also.append(route.stages)
    if left_out is None:
        raise LookupError(policy.id)
    return Taken(left_out, tuple(also), closed)


def standing_steps(policy: AccessPolicy, taken: Taken) -> list[Step]:
    """Say that an automatic route was left out, or that there is no other; nothing where none was."""
    if taken.closed is None:
        return []
    if not taken.route.auto:
        text = f"automatic routes are closed to you: {taken.closed}"
        return [Step(StepName.STANDING, ok=True, text=text)]
    refusal = Refusal(
        code="policy_denied",
        message=f"Nothing is given to you without a review for now: {taken.closed}.",
        next_step="Ask for access that somebody approves, or ask for your after-review to be done.",
        rule=policy.id,
    )
    return [Step(StepName.STANDING, ok=False, text=f"closed to you: {taken.closed}", refusal=refusal)]


def after_plan(
    policy: AccessPolicy, route: Route, rails: Iterable[Guardrail], plans: Iterable[Plan]
) -> AfterPlan | None:
    """Return who looks at it afterwards; None where somebody has to approve, or nobody is named.

    The stages that guardrails demand are among the plans where approvals are; in an emergency they come afterwards.
    """
    rule = route.after_review
    if rule is None or any(plan.stages for plan in plans):
        return None
    extra = tuple(Plan(rail.id, (rail.require,)) for rail in rails if rail.require is not None)
    own = Plan(policy.id, (rule.stage,))
    return AfterPlan(plans=(own, *extra), within_s=rule.within_s, escalate_to=rule.escalate_to)


def granted_route(policy: AccessPolicy, number: int) -> Route:
    """Return the route that a grant came by, as the policy has it now; the last one where there are fewer by now."""
    return policy.routes[min(number, len(policy.routes)) - 1]


def applies(guardrail: Guardrail, roots: Roots) -> bool:
    """Say whether the condition of a guardrail lets it apply: unless it is certainly false."""
    return guardrail.condition is None or guardrail.condition.answer(roots) is not False
