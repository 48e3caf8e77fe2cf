"""What the tests of a bundle never try: policies, routes, and the parts of conditions.

It asks conditions once more, with what the decisions of the tests read, so that deciding itself counts nothing.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from loglease.policy.bundle import Bundle
from loglease.policy.cases import CaseResult
from loglease.policy.conditions import Condition
from loglease.policy.conditions.values import Value
from loglease.policy.documents import AccessPolicy, Guardrail, RiskTerm
from loglease.policy.problems import At
from loglease.policy.steps import Act
from loglease.policy.stories import Later
from loglease.policy.trace import Decision, PolicyTrace, StepName

WHOLE: Final = 100
"""All of it, in percent."""
_NOWHERE: Final = At("bundle", 1, 1)
_Asked = tuple[str, Condition, Mapping[str, Value]]
"""A condition by name, and what it read."""


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
        leaves: of all conditions of policies, guardrails and risk; covered by a case in which the leaf is true and one
            in which it is false. A condition is asked in a case where who asks and the scopes fit the policy; that of a
            route, where no route before it is taken; that of a guardrail, where the scopes overlap; those of risk,
            always; `approver_when` and `keep.when`, where the case goes on with an approval, or with reading.
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


def covered(bundle: Bundle, results: Iterable[CaseResult]) -> Coverage:
    """Return how much of a bundle is tried by cases; what an older bundle decided of them does not count."""
    cases = list(results)
    decided = [decision for one in cases for decision in (one.decision, *one.again)]
    decisions = [one for one in decided if one.bundle_sha256 == bundle.hash]
    later = [moment for one in cases for moment in one.later]
    traces = [trace for one in decisions for trace in _fitting(one)]
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
        leaves=_leaves(bundle, _asked(bundle, decisions, later)),
    )


def _fitting(decision: Decision) -> Iterator[PolicyTrace]:
    """Yield the policies that are for who asked, and have the scopes."""
    return (trace for trace in decision.own if StepName.SCOPE not in trace.failed())


def _asked(bundle: Bundle, decisions: Iterable[Decision], later: Iterable[Later]) -> Iterator[_Asked]:
    """Yield what was asked, by name, and with what it read."""
    for one in decisions:
        yield from ((name, condition, one.roots) for name, condition in _of_risk(bundle.risk))
        for trace in _fitting(one):
            yield from ((name, condition, trace.roots) for name, condition in _of_request(trace.policy))
            for name, condition in _of_routes(trace.policy):
                yield name, condition, trace.roots
                if condition.answer(trace.roots) is True:
                    break
        for rail in one.guardrails:
            if rail.overlaps:
                yield from ((name, condition, rail.roots) for name, condition in _of_guardrail(rail.guardrail))
    for moment in later:
        yield from ((name, condition, moment.roots) for name, condition in _of_later(moment.policy, moment.act))


def _leaves(bundle: Bundle, asked: Iterable[_Asked]) -> Share:
    answers: dict[tuple[str, int], set[bool]] = defaultdict(set)
    for name, condition, roots in asked:
        for number, leaf in enumerate(condition.leaves):
            answer = leaf.answer(roots)
            if isinstance(answer, bool):
                answers[name, number].add(answer)
    conditions = [*_of_risk(bundle.risk)]
    conditions += [pair for one in bundle.every_policy for pair in _of_policy(one)]
    conditions += [pair for one in bundle.guardrails for pair in _of_guardrail(one)]
    gaps = [
        Gap(leaf.at or _NOWHERE, f"{name}: {leaf.text} is never {_never(answers[name, number])}")
        for name, condition in conditions
        for number, leaf in enumerate(condition.leaves)
        if len(answers[name, number]) < len((True, False))
    ]
    return Share(sum(len(condition.leaves) for _, condition in conditions), tuple(gaps))


def _never(seen: set[bool]) -> str:
    return " and never ".join(word for word, value in (("true", True), ("false", False)) if value not in seen)


def _of_risk(terms: Iterable[RiskTerm]) -> Iterator[tuple[str, Condition]]:
    return ((f"risk {one.id}", one.condition) for one in terms)


def _of_request(policy: AccessPolicy) -> Iterator[tuple[str, Condition]]:
    """Yield what is asked of a request, routes aside."""
    ticket = policy.ask.ticket
    if ticket is not None and ticket.state is not None:
        yield f"{policy.id} ask.ticket.state", ticket.state
    if policy.when is not None:
        yield f"{policy.id} when", policy.when


def _of_later(policy: AccessPolicy, act: Act) -> Iterator[tuple[str, Condition]]:
    """Yield what is asked of whoever approves, or when a grant is read."""
    keep = policy.grant.keep
    if act is Act.APPROVE and policy.approver_when is not None:
        yield f"{policy.id} approver_when", policy.approver_when
    if act is Act.READ and keep is not None:
        yield f"{policy.id} keep.when", keep.when


def _of_routes(policy: AccessPolicy) -> Iterator[tuple[str, Condition]]:
    routes = ((f"{policy.id} route {one.number}", one.condition) for one in policy.routes)
    return ((name, condition) for name, condition in routes if condition is not None)


def _of_policy(policy: AccessPolicy) -> Iterator[tuple[str, Condition]]:
    yield from _of_request(policy)
    yield from _of_routes(policy)
    yield from _of_later(policy, Act.READ)
    yield from _of_later(policy, Act.APPROVE)


def _of_guardrail(guardrail: Guardrail) -> Iterator[tuple[str, Condition]]:
    if guardrail.condition is not None:
        yield f"guardrail {guardrail.id}", guardrail.condition
