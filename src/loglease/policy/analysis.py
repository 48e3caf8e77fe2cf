"""What is wrong with documents that load: what never holds, is never taken, or always says the same.

Loading leaves this out, since it takes long for some bundles and makes nothing that is granted wrong.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from loglease.policy.bundle import Bundle
from loglease.policy.conditions import Condition, Fault, Record
from loglease.policy.conditions.compiling import Leaf, Path
from loglease.policy.conditions.distinct import Span
from loglease.policy.conditions.points import MAX_POINTS, Roots, can_hold
from loglease.policy.documents import AccessPolicy
from loglease.policy.problems import At, Problem, Problems, Severity, shown
from loglease.policy.roots import Readable
from loglease.policy.space import space_of, spans_of


def analysed(bundle: Bundle, files: Mapping[str, bytes]) -> list[Problem]:
    """Return what is wrong with the conditions of a bundle, sorted by file and line.

    Args:
        bundle: the documents.
        files: what it was loaded from, to show lines with what is found.
    """
    problems = Problems()
    for file, content in files.items():
        problems.read(file, content.decode().replace("\r\n", "\n").split("\n"))
    problems.add_all(_Analysis(bundle).found())
    return problems.found()


def readable_of(bundle: Bundle) -> Readable:
    """Return what the conditions of a bundle may read."""
    return Readable(catalog=bundle.catalog, calendars=bundle.calendars, facts=bundle.facts, has_risk=bool(bundle.risk))


def possible(
    condition: Condition, schema: Record, spans: Mapping[Path, Span], before: Sequence[Condition] = ()
) -> bool | None:
    """Say whether a condition can hold while none of some others does.

    Args:
        condition: with all others compiled for the schema.
        schema: what they may read.
        spans: the numbers that a path can have, where that is known.
        before: conditions that must not hold; that one of them cannot be told is enough.

    Returns:
        None where that cannot be told: they compare in other ways than with literals, or there is too much to try.
    """
    # An outage makes no condition hold that would not hold without it; it can only keep those before from holding.
    space = space_of([condition, *before], schema, spans, with_faults=bool(before))
    return can_hold(condition, space.values, before) if space.is_all else None


@dataclass(frozen=True, slots=True)
class _Not:
    """A leaf, the other way round."""

    leaf: Leaf

    def answer(self, roots: Roots) -> bool | Fault:
        """Return what it says."""
        found = self.leaf.answer(roots)
        return found if isinstance(found, Fault) else not found


def same_answer(leaf: Leaf, schema: Record, spans: Mapping[Path, Span]) -> bool | None:
    """Return what a leaf says whatever it reads; None where it says both, or that cannot be told."""
    space = space_of([leaf], schema, spans, with_faults=False)
    if not space.is_all:
        return None
    if can_hold(leaf, space.values) is False:
        return False
    return True if can_hold(_Not(leaf), space.values) is False else None


class _Analysis:
    """Looks at one bundle."""

    def __init__(self, bundle: Bundle) -> None:
        self._bundle = bundle
        self._readable = readable_of(bundle)
        self._spans = spans_of(bundle)

    def found(self) -> Iterator[Problem]:
        """Yield what is wrong."""
        for term in self._bundle.risk:
            yield from self._one(term.condition, self._readable.weighed(), "its points never count")
        for policy in self._bundle.policies:
            yield from self._policy(policy)
        for one in self._bundle.emergencies:
            schema = self._readable.alone(one.policy.ask.inputs)
            yield from self._one(one.policy.when, schema, "the glass can never be broken")
        for rail in self._bundle.guardrails:
            yield from self._one(
                rail.condition, self._readable.asked(), "the guardrail applies only where nobody can tell"
            )

    def _policy(self, policy: AccessPolicy) -> Iterator[Problem]:
        schema = self._readable.asked(policy.ask.inputs)
        keep, ticket = policy.grant.keep, policy.ask.ticket
        nobody = "nobody ever gets an offer of this policy"
        yield from self._one(None if ticket is None else ticket.state, schema, nobody)
        yield from self._one(policy.when, schema, nobody)
        yield from self._routes(policy, schema)
        yield from self._one(None if keep is None else keep.when, schema, "no grant of this policy can be used")
        reviewed = self._readable.reviewed(policy.ask.inputs)
        yield from self._one(policy.approver_when, reviewed, "nobody may ever approve")

    def _routes(self, policy: AccessPolicy, schema: Record) -> Iterator[Problem]:
        before: list[Condition] = []
        for condition in (route.condition for route in policy.routes if route.condition is not None):
            found = list(self._one(condition, schema, "the route is never taken"))
            if not any(one.severity is Severity.ERROR for one in found) and condition.at is not None:
                verdict = possible(condition, schema, self._spans, before) if before else True
                if verdict is False:
                    text = "a route before this one is taken whenever this holds"
                    yield _error(condition.at, "P215", text, "put it further up")
            yield from found
            before.append(condition)

    def _one(self, condition: Condition | None, schema: Record, effect: str) -> Iterator[Problem]:
        if condition is None or condition.at is None:
            return
        space = space_of([condition], schema, self._spans, with_faults=False)
        holds = can_hold(condition, space.values) if space.is_all else True
        if holds is False:
            text = f"this can never hold: {effect}"
            yield _error(condition.at, "P214", text, "see which of its parts contradict each other")
            return
        if holds is None:
            text = f"more than {MAX_POINTS:,} cases would have to be tried to tell whether this can ever hold"
            yield _warning(condition.at, "P422", text, "make it smaller")
        for leaf in condition.leaves:
            answer = same_answer(leaf, schema, self._spans)
            if answer is not None:
                word = str(answer).lower()
                text = f"{shown(leaf.text)} is always {word}, whatever it reads"
                yield _warning(leaf.at or condition.at, "P421", text, "leave it out, or see what it should ask")


def _error(at: At, code: str, message: str, remedy: str) -> Problem:
    return Problem(at=at, code=code, message=message, help=remedy)


def _warning(at: At, code: str, message: str, remedy: str) -> Problem:
    return Problem(at=at, code=code, message=message, help=remedy, severity=Severity.WARNING)
