"""What may be known where a request is decided: the facts and calendars that are read, and what each may be."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from loglease.model.access_request import Wish
from loglease.model.instant import Instant
from loglease.policy.asking import ask_values
from loglease.policy.bundle import Bundle
from loglease.policy.conditions import Condition, Fault
from loglease.policy.conditions.comparing import compared
from loglease.policy.conditions.compiling import Path
from loglease.policy.conditions.points import Roots
from loglease.policy.conditions.syntax import Expression
from loglease.policy.conditions.values import Value
from loglease.policy.documents import AccessPolicy, RiskTerm
from loglease.policy.fact_values import fact_value, named
from loglease.policy.never.axes import Entry
from loglease.policy.never.moments import moments
from loglease.policy.observed import Observed
from loglease.policy.questions import facts_read
from loglease.policy.roots import RISK, Readable, label_values, risk_points
from loglease.policy.space import OUT as UNKNOWN
from loglease.policy.space import Space, space_of, spans_of


@dataclass(frozen=True, slots=True)
class _Part:
    """A condition as far as it reads some facts."""

    tree: Expression
    reads: frozenset[Path]


Member = tuple[Path, Sequence[Value]]
"""Something that is read, and what it may be."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """What is read of facts and calendars where one request is decided.

    Attributes:
        members: what it is; first what the rule reads.
        asked: the conditions that the decision asks, each with the claims that it reads.
        terms: of risk, where that is read.
        own: the paths of facts and calendars that the rule reads.
    """

    members: Sequence[Member]
    asked: tuple[tuple[Condition, Roots], ...]
    terms: tuple[RiskTerm, ...]
    own: tuple[Path, ...]

    def sort(self, roots: Roots) -> object:
        """Return all of what is known that the decision, or the rule, depends on.

        Args:
            roots: what is known, and what can be read of the request.
        """
        context = roots.get("ctx")
        found = dict(context) if isinstance(context, dict) else {}
        if self.terms:
            found[RISK] = risk_points(self.terms, {**roots, "ctx": found})
        read = {**roots, "ctx": found}
        answers = tuple(_plain(condition.answer({**read, **claims})) for condition, claims in self.asked)
        return answers, tuple(repr(value_at(read, path)) for path in self.own)


def value_at(roots: Roots, path: Path) -> Value | None:
    """Return what a path leads to, as far as that is known."""
    value: Value | None = dict(roots)
    for name in path:
        value = value.get(name) if isinstance(value, dict) else None
    return value


def _plain(answer: bool | Fault) -> bool | None:  # noqa: FBT001 - what conditions say
    return None if isinstance(answer, Fault) else answer


def _of_request(policy: AccessPolicy) -> Iterator[Condition]:
    ticket = policy.ask.ticket
    found = (None if ticket is None else ticket.state, policy.when, *(route.condition for route in policy.routes))
    return (one for one in found if one is not None)


class FactSpaces:
    """Finds out what may be known.

    Args:
        bundle: the documents.
        never: what must never happen.
        now: the instant of the test.
    """

    def __init__(self, bundle: Bundle, never: Condition, now: Instant) -> None:
        self._bundle = bundle
        self._never = never
        self._now = now
        self._with_rails = ("out", "code") in never.reads
        readable = Readable(
            catalog=bundle.catalog, calendars=bundle.calendars, facts=bundle.facts, has_risk=bool(bundle.risk)
        )
        self._schema = readable.asked()
        self._spans = spans_of(bundle)
        self._spaces: dict[tuple[int, ...], Space] = {}
        self._moments: dict[tuple[str, ...], dict[tuple[bool, ...], Instant]] = {}
        self._asked: dict[int, Condition] = {id(never): never}

    def known(self, wish: Wish, entries: Sequence[Entry]) -> Known:
        """Return what the decision on a request, or the rule, reads.

        Args:
            wish: the request.
            entries: those that it lies inside of.
        """
        policies = list({entry.policy.id: entry.policy for entry in entries}.values())
        asked = list(self._conditions(wish, policies))
        reading = [self._never, *(one for one, _ in asked)]
        terms = self._bundle.risk if any(("ctx", RISK) in one.reads for one in reading) else ()
        reading += [term.condition for term in terms]
        self._asked |= {id(one): one for one in reading}
        labels = label_values(wish, self._bundle.catalog)
        found: list[Member] = []
        for path, values in self._space(reading).values.items():
            label = self._bundle.facts[".".join(path)].per
            is_open = label is not None and isinstance(named(labels, label), Fault)
            found.append((path, (UNKNOWN,) if is_open else values))
        calendars = tuple(sorted({path[1] for one in reading for path in one.reads if path[0] == "cal"}))
        if calendars:
            answers = self._answers(calendars)
            found.append((("cal",), [dict(zip(calendars, one, strict=True)) for one in answers]))
        found.sort(key=lambda one: not any(path[: len(one[0])] == one[0] for path in self._never.reads))
        own = tuple(sorted(path for path in self._never.reads if path[0] in ("ctx", "cal")))
        return Known(members=found, asked=tuple(asked), terms=terms, own=own)

    def instant(self, opened: Value | None) -> Instant:
        """Return an instant at which calendars are open as one of the members says; without one, that of the test."""
        if not isinstance(opened, dict):
            return self._now
        return self._answers(tuple(opened))[tuple(one is True for one in opened.values())]

    def unclear(self) -> set[str]:
        """Return which paths conditions that were asked compare so that not all values are known that matter."""
        found = {path for space in self._spaces.values() for path in space.unclear}
        others = compared(one.tree for one in self._asked.values()).unclear
        found |= {path for path in others if path[0] in ("req", "ask")}
        return {".".join(path) for path in found}

    def _conditions(self, wish: Wish, policies: Sequence[AccessPolicy]) -> Iterator[tuple[Condition, Roots]]:
        """Yield the conditions of what a request lies inside of, and of the guardrails that it overlaps."""
        for policy in policies:
            claims: Roots = {"ask": ask_values(policy.ask, wish)}
            yield from ((one, claims) for one in _of_request(policy))
        for rail in self._bundle.guardrails if policies or self._with_rails else ():
            scopes = (one for one in wish.scopes if one.source in (rail.applies.sources or {one.source}))
            if rail.condition is not None and any(rail.applies.selector.overlaps(one.selector) for one in scopes):
                yield rail.condition, {}

    def _space(self, asked: Sequence[Condition]) -> Space:
        """Return what facts may be, as a decision reads it; worked out once for the same conditions."""
        key = tuple(sorted(map(id, asked)))
        found = self._spaces.get(key)
        if found is None:
            names = facts_read(asked, self._bundle.facts, ())
            facts = {tuple(name.split(".")) for name in names}
            parts = [_Part(one.tree, frozenset(path for path in one.reads if path[:2] in facts)) for one in asked]
            raw = space_of(parts, self._schema, self._spans)
            values = {path: tuple(self._fitting(path, one) for one in known) for path, known in raw.values.items()}
            found = self._spaces[key] = Space(values, raw.unclear)
        return found

    def _fitting(self, path: Path, value: Value) -> Value:
        name = ".".join(path)
        rule = replace(self._bundle.facts[name], per=None, combine=None)
        return fact_value(rule, {(name, None): Observed(value, "", self._now)}, {}, self._now)

    def _answers(self, calendars: tuple[str, ...]) -> dict[tuple[bool, ...], Instant]:
        found = self._moments.get(calendars)
        if found is None:
            known = {name: self._bundle.calendars[name] for name in calendars}
            found = self._moments[calendars] = moments(known, self._now)
        return found
