"""In what requests differ that makes a difference: one axis for each thing, with the few choices of it that matter.

Which these are follows from the documents: the selectors, levels, times and literals that policies, guardrails and
conditions name, and what lies just beside them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

from loglease.model.access_request import Wish
from loglease.model.instant import MAX_DURATION_S, MICROSECONDS, NANOSECONDS, EventWindow, Instant
from loglease.model.labels import Matcher, Selector, selector_of
from loglease.model.principal import Principal
from loglease.model.scope import MAX_LITERAL_BYTES, MAX_LITERALS, Level, Scope
from loglease.policy.bundle import Bundle
from loglease.policy.conditions.comparing import Compared
from loglease.policy.conditions.compiling import Path
from loglease.policy.conditions.distinct import something_else
from loglease.policy.conditions.types import Bool, Int
from loglease.policy.conditions.values import Scalar, Value
from loglease.policy.documents import AccessPolicy, InputRule, ScopeRule
from loglease.policy.never.matchers import matchers_of
from loglease.policy.people import People
from loglease.policy.profiles import RAW
from loglease.policy.roots import values_of

REASON: Final = "why " * 125
TICKET: Final = "T"
"""Stands for any ticket that has the form which a policy asks for; see `taken_tickets`."""
_HOUR_S: Final = 3_600

Draft = Mapping[str, Any]
"""The choice on each axis, by its name; what is not chosen yet is usual."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry of the scopes of a policy; a request gets an offer of the policy only if it is inside of some."""

    policy: AccessPolicy
    rule: ScopeRule
    is_emergency: bool


@dataclass(frozen=True, slots=True)
class Reach:
    """What a guardrail or an exclusive policy is about: requests that overlap it.

    Attributes:
        sources: None is every source.
    """

    name: str
    sources: frozenset[str] | None
    selector: Selector


@dataclass(frozen=True, slots=True)
class Axis:
    """One thing in which requests differ.

    Attributes:
        name: what it is called in a draft.
        choices: what it may be.
        path: what a condition reads of it; None where it reads nothing.
        admits: whether a request with this choice can still lie inside an entry.
        touches: whether it can still overlap a reach.
        is_all: nothing else makes a difference.
    """

    name: str
    choices: Sequence[Any]
    path: Path | None = None
    admits: Callable[[Any, Entry], bool] = field(default=lambda _choice, _entry: True)
    touches: Callable[[Any, Reach], bool] = field(default=lambda _choice, _reach: True)
    is_all: bool = True


def taken_tickets(bundle: Bundle) -> Bundle:
    """Return the bundle so that any ticket has the form that policies ask for: no condition reads more of one."""

    def taken(policy: AccessPolicy) -> AccessPolicy:
        rule = policy.ask.ticket
        return policy if rule is None else replace(policy, ask=replace(policy.ask, ticket=replace(rule, key=TICKET)))

    emergencies = tuple(replace(one, policy=taken(one.policy)) for one in bundle.emergencies)
    return replace(bundle, policies=tuple(map(taken, bundle.policies)), emergencies=emergencies, expires=None)


def entries_of(bundle: Bundle) -> list[Entry]:
    """Return all that a request can lie inside of."""
    own = [Entry(policy, rule, is_emergency=False) for policy in bundle.policies for rule in policy.scopes]
    emergencies = [one.policy for one in bundle.emergencies]
    return own + [Entry(policy, rule, is_emergency=True) for policy in emergencies for rule in policy.scopes]


def reaches_of(bundle: Bundle) -> list[Reach]:
    """Return all that a request can overlap."""
    rails = [Reach(one.id, one.applies.sources, one.applies.selector) for one in bundle.guardrails]
    exclusive = [entry for entry in entries_of(bundle) if entry.policy.exclusive]
    return rails + [Reach(one.policy.id, frozenset(one.rule.sources), one.rule.selector) for one in exclusive]


def inputs_of(bundle: Bundle) -> dict[str, list[InputRule]]:
    """Return the fields that policies ask for by name; one name may mean several things."""
    found: dict[str, list[InputRule]] = {}
    for one in (rule for policy in bundle.every_policy for rule in policy.ask.inputs):
        found.setdefault(one.name, []).append(one)
    return found


def wish_of(draft: Draft, now: Instant) -> Wish:
    """Return the request that a draft means, made at an instant."""
    live, start_ns = draft.get("live", False), now * 1_000 - draft.get("lookback", _HOUR_S) * NANOSECONDS
    matchers = {name.partition(":")[2]: one for name, one in draft.items() if name.startswith("label:") and one}
    scopes = tuple(
        Scope(
            source=source,
            selector=selector_of(matchers),
            window=EventWindow(start_ns, None if live else now * 1_000),
            level_from=draft.get("level"),
            contains=draft.get("contains", ()),
            profile=draft.get("profile"),
        )
        for source in draft.get("sources", ("",))
    )
    inputs = {name.partition(":")[2]: text for name, text in draft.items() if name.startswith("input:")}
    return Wish(
        scopes=scopes,
        reason=REASON,
        ticket=TICKET,
        duration_s=draft.get("duration"),
        break_glass=draft.get("break_glass", False),
        inputs=inputs,
    )


class Axes:
    """Finds the axes of one search.

    Args:
        bundle: the documents.
        reads: the paths that conditions read, those of `never` among them.
        found: what they compare.
        people: who may ask, and how they fit policies.
    """

    def __init__(
        self,
        bundle: Bundle,
        reads: frozenset[Path],
        found: Compared,
        people: Mapping[Principal, People],
    ) -> None:
        self._bundle = bundle
        self._reads = reads
        self._found = found
        self._people = people
        self._inputs = inputs_of(bundle)
        self._entries = entries_of(bundle)

    def found(self) -> list[Axis]:
        """Return the axes; those that rule out most policies first."""
        whether = ((False, True) if self._bundle.policies else (True,)) if self._bundle.emergencies else (False,)
        return [
            Axis("break_glass", whether, ("req", "break_glass"), lambda one, entry: entry.is_emergency is one),
            Axis("person", tuple(self._people), ("who",), self._fits),
            Axis("sources", self._sources(), ("req", "sources"), _is_among, _is_about),
            *self._labels(),
            Axis("level", self._levels(), ("req", "level_from"), lambda one, entry: _is_above(entry.rule, one)),
            Axis("live", (False, True), ("req", "live"), lambda one, entry: entry.rule.live or not one),
            Axis("lookback", self._lookbacks(), ("req", "lookback"), lambda one, entry: one <= entry.rule.lookback_s),
            self._literals(),
            Axis("profile", self._profiles(), ("req", "redaction")),
            Axis("duration", self._durations(), ("req", "duration")),
            *(Axis(f"input:{name}", self._texts(name, rules), ("ask", name)) for name, rules in self._inputs.items()),
        ]

    def _fits(self, principal: Principal, entry: Entry) -> bool:
        return self._people[principal].fits(entry.policy.who, principal)

    def _sources(self) -> tuple[tuple[str, ...], ...]:
        """Return one source of each sort; where conditions look at them, also two together."""
        known = sorted(self._bundle.catalog.sources)
        literals = self._found.literals.get(("req", "sources"), frozenset())
        sorts: dict[Any, str] = {}
        for source in known:
            rules = tuple(source in entry.rule.sources for entry in self._entries)
            rails = tuple(source in (rail.applies.sources or {source}) for rail in self._bundle.guardrails)
            sorts.setdefault((rules, rails, source if source in literals else None), source)
        single = list(sorts.values())
        pairs = [(a, b) for a in single for b in single if a < b] if ("req", "sources") in self._reads else []
        return (*((one,) for one in single), *pairs)

    def _labels(self) -> Iterator[Axis]:
        selectors = [entry.rule.selector for entry in self._entries]
        selectors += [rail.applies.selector for rail in self._bundle.guardrails]
        read = {".".join(path[:2]) for path in self._reads}
        # Such a fact is known only where a request names values of the label.
        asked_per = {rule.per for name, rule in self._bundle.facts.items() if name in read}
        for name, words in sorted(self._bundle.catalog.labels.items()):
            path = ("req", "labels", name)
            own = [matcher for one in selectors if (matcher := one.matcher(name)) is not None]
            if own or path in self._reads or name in asked_per:
                literals = frozenset(map(str, self._found.literals.get(path, ())))
                choices, is_all = matchers_of(own, words, literals)
                yield Axis(f"label:{name}", choices, path, _label_inside(name), _label_overlap(name), is_all)

    def _levels(self) -> tuple[Level | None, ...]:
        """Return one level of each sort, and none."""
        path = ("req", "level_from")
        literals = self._found.literals.get(path, frozenset())
        sorts: dict[Any, Level] = {}
        for level in (level for level in Level if level is not Level.UNKNOWN):
            is_named = str(level) in literals or path in self._found.unclear
            admitted = tuple(_is_above(entry.rule, level) for entry in self._entries)
            sorts.setdefault((admitted, level if is_named else None), level)
        return (*sorts.values(), None)

    def _lookbacks(self) -> tuple[int, ...]:
        """Return how far back entries, guardrails and conditions let one look, and a second more and less."""
        bounds = {entry.rule.lookback_s for entry in self._entries}
        bounds |= {rail.caps.lookback_s for rail in self._bundle.guardrails if rail.caps.lookback_s is not None}
        read = self._seconds("lookback")
        near = {*bounds, max(bounds, default=_HOUR_S) + 1, *(bound + step for bound in read for step in (-1, 0, 1))}
        return tuple(sorted(one for one in near if 0 < one <= MAX_DURATION_S))

    def _durations(self) -> tuple[int | None, ...]:
        """Return no duration; where conditions look at it, or at what is granted, what they name and its like."""
        asked, granted = ("req", "duration"), ("out", "duration")
        if not {asked, granted} & self._reads:
            return (None,)
        bounds = {*self._seconds("duration")}
        bounds |= {int(one) // MICROSECONDS for one in self._found.literals.get(granted, ())}
        if {asked, granted} & self._found.unclear:
            bounds |= {policy.grant.max_s for policy in self._bundle.every_policy}
        near = {bound + step for bound in bounds for step in (-1, 0, 1)} | {MAX_DURATION_S}
        return (None, *sorted(one for one in near if 0 < one <= MAX_DURATION_S))

    def _seconds(self, name: str) -> set[int]:
        return {int(one) // MICROSECONDS for one in self._found.literals.get(("req", name), ())}

    def _profiles(self) -> tuple[str | None, ...]:
        read = {("req", "redaction"), ("out", "redaction")} & self._reads
        has_raw = any(policy.grant.redaction.partition("@")[0] == RAW for policy in self._bundle.every_policy)
        return (None, *(sorted(self._bundle.catalog.redaction) if read else ()), *((RAW,) if read or has_raw else ()))

    def _literals(self) -> Axis:
        """Demand all literals that entries want lines to hold: no condition looks at them."""
        wanted = sorted({one for entry in self._entries for one in entry.rule.contains})
        lines: list[str] = []
        for literal in wanted:
            joined = f"{lines[-1]} {literal}" if lines else literal
            if lines and len(joined.encode()) <= MAX_LITERAL_BYTES:
                lines[-1] = joined
            else:
                lines.append(literal)
        given = tuple(lines[:MAX_LITERALS])
        return Axis("contains", (given,), is_all=len(lines) <= MAX_LITERALS)

    def _texts(self, name: str, rules: Sequence[InputRule]) -> tuple[str, ...]:
        """Return what a field may be filled in with; where nobody looks at it, any one text that it takes."""
        literals = self._found.literals.get(("ask", name), frozenset())
        is_read = any(path[:2] == ("ask", name) for path in self._reads)
        texts = dict.fromkeys(text for rule in rules for text in _fitting(rule, literals, everything=is_read))
        may_be_empty = is_read and not all(rule.required for rule in rules)
        return (*texts, *(("",) if may_be_empty else ()))


def _fitting(rule: InputRule, literals: frozenset[Scalar], *, everything: bool) -> Sequence[str]:
    match rule.type:
        case Bool():
            texts = ["true", "false"]
        case Int():
            near = {int(one) + step for one in literals if isinstance(one, int) for step in (-1, 0, 1)}
            texts = list(map(str, sorted(near | {0})))
        case kind:
            named = sorted(one for one in literals if isinstance(one, str))
            texts = sorted(kind.words) if kind.words is not None else [*named, something_else(named, kind.longest)]
    return texts if everything else texts[:1]


def _is_above(rule: ScopeRule, level: Level | None) -> bool:
    lowest = rule.level_from
    return lowest is None or lowest.rank == 0 or (level is not None and level.rank >= lowest.rank)


def _is_among(sources: tuple[str, ...], entry: Entry) -> bool:
    return not set(entry.rule.sources).isdisjoint(sources)


def _is_about(sources: tuple[str, ...], reach: Reach) -> bool:
    return reach.sources is None or not reach.sources.isdisjoint(sources)


def _label_overlap(name: str) -> Callable[[Matcher | None, Reach], bool]:
    def touches(choice: Matcher | None, reach: Reach) -> bool:
        demanded = reach.selector.matcher(name)
        return demanded is None or choice is None or demanded.intersect(choice) is not None

    return touches


def _label_inside(name: str) -> Callable[[Matcher | None, Entry], bool]:
    def admits(choice: Matcher | None, entry: Entry) -> bool:
        demanded = entry.rule.selector.matcher(name)
        return demanded is None or (choice is not None and demanded.contains(choice))

    return admits


def reads_of(
    axis: Axis, choice: Any, bundle: Bundle, somebody: Principal, now: Instant
) -> Iterator[tuple[Path, Value]]:
    """Yield what a condition reads of one choice; inputs aside, which are only known with all of a request."""
    if axis.path is None or axis.path[0] == "ask":
        return
    principal = choice if axis.name == "person" else somebody
    wish = wish_of({axis.name: choice}, now)
    roots = values_of(wish, principal, catalog=bundle.catalog, open_now={}, submitted_at=now)
    value: Any = roots
    for name in axis.path:
        value = value[name]
    yield axis.path, value
