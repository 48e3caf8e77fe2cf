"""What the tests of a bundle never try: policies, routes, and the parts of conditions.

It asks conditions once more, with what the decisions of the tests read, so that deciding itself counts nothing.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from loglease.policy.bundle import Bundle
from loglease.policy.conditions import Condition
from loglease.policy.conditions.values import Value
from loglease.policy.documents import AccessPolicy, Guardrail
from loglease.policy.problems import At
from loglease.policy.trace import Decision, PolicyTrace, StepName

WHOLE: Final = 100
"""All of it, in percent."""
_NOWHERE: Final = At("bundle", 1, 1)
_Roots = Mapping[str, Value]


@dataclass(frozen=True, slots=True)
class Gap:
    """Something that no case tries."""

    at: At
    what: str


@dataclass(frozen=True, slots=True)
class Share:
    """How many things of a kind there are, and which of them no case tries."""

    total: int
    gaps: tuple[Gap, ...]

    @property
    def covered(self) -> int:
        """How many are tried."""
        return self.total - len(self.gaps)

    def reaches(self, percent: int) -> bool:
        """Say whether so much is tried; of nothing everything is."""
        return self.covered * WHOLE >= percent * self.total

    def as_json(self) -> dict[str, object]:
        """Return the share for programs."""
        gaps = [
            {"file": one.at.file, "line": one.at.line, "column": one.at.column, "what": one.what} for one in self.gaps
        ]
        return {"covered": self.covered, "total": self.total, "missing": gaps}


@dataclass(frozen=True, slots=True)
class Coverage:
    """How much of a bundle its tests try.

    Attributes:
        policies: covered by a case that gets an offer of the policy.
        routes: covered by a case whose offer came by the route.
        leaves: of conditions of policies, routes and guardrails; covered by a case in which the leaf is true and one in
            which it is false. A condition is asked in a case where who asks and the scopes fit the policy; that of a
            route, where no route before it is taken; that of a guardrail, where the scopes overlap.
    """

    policies: Share
    routes: Share
    leaves: Share

    def reaches(self, percent: int) -> bool:
        """Say whether of each kind so much is tried."""
        return all(one.reaches(percent) for one in (self.policies, self.routes, self.leaves))

    def render(self) -> str:
        """Write the coverage as people read it: a line with numbers, then one for each gap."""
        shares = {"policies": self.policies, "routes": self.routes, "leaves": self.leaves}
        head = ", ".join(f"{name} {one.covered}/{one.total}" for name, one in shares.items())
        gaps = [gap for one in shares.values() for gap in one.gaps]
        return "\n".join([f"coverage: {head}", *(f"  {gap.at}: {gap.what}" for gap in gaps)])

    def as_json(self) -> dict[str, object]:
        """Return the coverage for programs."""
        return {
            "policies": self.policies.as_json(),
            "routes": self.routes.as_json(),
            "leaves": self.leaves.as_json(),
        }


def covered(bundle: Bundle, decisions: Sequence[Decision]) -> Coverage:
    """Return how much of a bundle is tried by some decisions that were made with it."""
    traces = [trace for one in decisions for trace in one.own if StepName.SCOPE not in trace.failed()]
    offers = {(trace.policy.id, trace.offer.route) for trace in traces if trace.offer is not None}
    offering = {policy for policy, _ in offers}
    routes = [(policy, route) for policy in bundle.policies for route in policy.routes]
    return Coverage(
        policies=Share(
            len(bundle.every_policy),
            tuple(Gap(one.at, f"{one.id} is never offered") for one in bundle.every_policy if one.id not in offering),
        ),
        routes=Share(
            len(routes),
            tuple(
                Gap(route.at, f"{policy.id} route {route.number} is never taken")
                for policy, route in routes
                if (policy.id, route.number) not in offers
            ),
        ),
        leaves=_leaves(bundle, [*_asked(decisions, traces)]),
    )


def _asked(decisions: Iterable[Decision], traces: Iterable[PolicyTrace]) -> Iterator[tuple[str, Condition, _Roots]]:
    """Yield what was asked, by name, and with what it read."""
    for trace in traces:
        for name, condition in _of_policy(trace.policy):
            yield name, condition, trace.roots
            if name != _when(trace.policy) and condition.answer(trace.roots) is True:
                break
    for rail in (rail for one in decisions for rail in one.guardrails if rail.overlaps):
        for name, condition in _of_guardrail(rail.guardrail):
            yield name, condition, rail.roots


def _leaves(bundle: Bundle, asked: Sequence[tuple[str, Condition, _Roots]]) -> Share:
    answers: dict[tuple[str, int], set[bool]] = defaultdict(set)
    for name, condition, roots in asked:
        for number, leaf in enumerate(condition.leaves):
            answer = leaf.answer(roots)
            if isinstance(answer, bool):
                answers[name, number].add(answer)
    conditions = [pair for one in bundle.every_policy for pair in _of_policy(one)]
    conditions += [pair for one in bundle.guardrails for pair in _of_guardrail(one)]
    gaps = [
        Gap(condition.at or _NOWHERE, f"{name}: {leaf.text} is never {_never(answers[name, number])}")
        for name, condition in conditions
        for number, leaf in enumerate(condition.leaves)
        if len(answers[name, number]) < len((True, False))
    ]
    return Share(sum(len(condition.leaves) for _, condition in conditions), tuple(gaps))


def _never(seen: set[bool]) -> str:
    return " and never ".join(word for word, value in (("true", True), ("false", False)) if value not in seen)


def _of_policy(policy: AccessPolicy) -> Iterator[tuple[str, Condition]]:
    if policy.when is not None:
        yield _when(policy), policy.when
    for route in policy.routes:
        if route.condition is not None:
            yield f"{policy.id} route {route.number}", route.condition


def _of_guardrail(guardrail: Guardrail) -> Iterator[tuple[str, Condition]]:
    if guardrail.condition is not None:
        yield f"guardrail {guardrail.id}", guardrail.condition


def _when(policy: AccessPolicy) -> str:
    return f"{policy.id} when"
