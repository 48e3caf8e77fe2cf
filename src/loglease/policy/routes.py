"""Which route of a policy a request takes, and what its `when` says; a condition that nobody can answer never helps."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from loglease.model.offer import Stage
from loglease.policy.conditions import Fault
from loglease.policy.conditions.values import Value
from loglease.policy.documents import AccessPolicy, Guardrail, Route
from loglease.policy.plan import Refusal
from loglease.policy.trace import Fix, Step, StepName

Roots = Mapping[str, Value]


@dataclass(frozen=True, slots=True)
class Taken:
    """The route that is taken, and what else is demanded.

    Attributes:
        also: the stages of routes before it of which nobody can say whether they hold.
    """

    route: Route
    also: tuple[tuple[Stage, ...], ...]


def taken_route(policy: AccessPolicy, roots: Roots) -> Taken:
    """Return the first route that holds.

    Where it cannot be told whether an earlier one holds, an automatic one is left out, and the stages of another are
    demanded in addition: an outage makes nothing cheaper.

    Raises:
        LookupError: no route is without a condition, which loading refuses.
    """
    also: list[tuple[Stage, ...]] = []
    for route in policy.routes:
        answer = True if route.condition is None else route.condition.answer(roots)
        if answer is True:
            return Taken(route, tuple(also))
        if isinstance(answer, Fault) and not route.auto:
            also.append(route.stages)
    raise LookupError(policy.id)


def granted_route(policy: AccessPolicy, number: int) -> Route:
    """Return the route that a grant came by, as the policy has it now; the last one where there are fewer by now."""
    return policy.routes[min(number, len(policy.routes)) - 1]


def applies(guardrail: Guardrail, roots: Roots) -> bool:
    """Say whether the condition of a guardrail lets it apply: unless it is certainly false."""
    return guardrail.condition is None or guardrail.condition.answer(roots) is not False


def when_steps(policy: AccessPolicy, roots: Roots) -> list[Step]:
    """Ask what the policy demands besides; each part of it that does not hold is named."""
    if policy.when is None:
        return []
    if policy.when.answer(roots) is True:
        return [Step(StepName.WHEN, ok=True, text=policy.when.text)]
    asks_less = any(path[0] == "req" for path in policy.when.reads)
    steps = []
    for part in policy.when.parts:
        answer = part.answer(roots)
        if answer is True:
            continue
        why = f"cannot be told: {answer.reason}" if isinstance(answer, Fault) else "does not hold"
        refusal = Refusal(
            code="policy_denied",
            message=f"The policy demands {part.text}, which {why}.",
            next_step="Ask for less, or ask the owner of the policy." if asks_less else "Ask the owner of the policy.",
            rule=policy.id,
        )
        fix = Fix.NARROW if asks_less else Fix.ASK_OWNER
        steps.append(Step(StepName.WHEN, ok=False, text=f"{part.text}  {why}", fix=fix, refusal=refusal))
    return steps
