"""What conditions may read of a request, of who asks, and of the calendars: the schema, and the values of one wish.

A request never gains by being vague: where a selector says nothing of a label, its list holds all that a stream may
have there, or is in fault where that cannot be told.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Final

from loglease.model.access_request import Wish
from loglease.model.instant import Instant
from loglease.model.labels import Matcher
from loglease.model.principal import Kind, Principal
from loglease.model.scope import Level, Scope
from loglease.policy.bundle import Bundle
from loglease.policy.calendars import Calendar
from loglease.policy.conditions import BOOL, DURATION, INT, Fault, Field, Listed, Record, Text
from loglease.policy.conditions.types import LONGEST_TEXT, MOST_ITEMS
from loglease.policy.conditions.values import LONGEST_DURATION, Value
from loglease.policy.documents import Catalog, FactRule, InputRule, RiskTerm
from loglease.policy.fact_values import OTHER, fact_values
from loglease.policy.observed import Facts
from loglease.policy.people import MAX_GROUPS
from loglease.policy.profiles import RAW

PRESENCE: Final = frozenset({"identity", "gateway"})
"""Who knows of a call itself: such facts exist only while the person is calling."""
RISK: Final = "risk"
MAX_RISK: Final = 100
UNASKED: Final = ""
"""Stands for the profile of a request that asks for none."""
_MICROSECONDS: Final = 1_000_000
_LEVELS: Final = tuple(str(level) for level in Level if level is not Level.UNKNOWN)


@dataclass(frozen=True, slots=True, kw_only=True)
class Readable:
    """What the conditions of a bundle may read: a schema for each place that has conditions.

    Attributes:
        catalog: the names that the bundle may use; a label's values are the words of its list.
        calendars: their names.
        facts: by name.
        has_risk: whether `ctx.risk` is declared.
    """

    catalog: Catalog
    calendars: Collection[str] = ()
    facts: Mapping[str, FactRule] = field(default_factory=dict)
    has_risk: bool = False

    def asked(self, inputs: Iterable[InputRule] = ()) -> Record:
        """Return what the conditions of a policy may read, with the inputs of its own, or those of a guardrail."""
        roots = self._common()
        if facts := self._facts("ctx"):
            roots["ctx"] = Field(Record(facts))
        if fields := {one.name: Field(one.type, optional=not one.required) for one in inputs}:
            roots["ask"] = Field(Record(fields))
        return Record(roots)

    def reviewed(self, inputs: Iterable[InputRule] = ()) -> Record:
        """Return what `approver_when` may read: besides, what is known of whoever reviews."""
        roots = dict(self.asked(inputs).fields)
        if facts := self._facts("approver"):
            roots["approver"] = Field(Record(facts))
        return Record(roots)

    def weighed(self) -> Record:
        """Return what the terms of risk may read: not the risk."""
        return replace(self, has_risk=False).asked()

    def alone(self, inputs: Iterable[InputRule] = ()) -> Record:
        """Return what can be told without any provider: the request, who asks, calendars, facts of the call."""
        own = {name: rule for name, rule in self.facts.items() if rule.provider in PRESENCE}
        return replace(self, facts=own, has_risk=False).asked(inputs)

    def _facts(self, root: str) -> dict[str, Field]:
        found = {
            name.removeprefix(f"{root}."): Field(rule.type, rule.optional)
            for name, rule in self.facts.items()
            if name.startswith(f"{root}.")
        }
        return found | ({RISK: Field(INT)} if self.has_risk and root == "ctx" else {})

    def _common(self) -> dict[str, Field]:
        catalog = self.catalog
        request = {
            "sources": Field(Listed(Text(words=catalog.sources), max(1, len(catalog.sources)))),
            "labels": Field(Record({name: Field(_label_type(words)) for name, words in catalog.labels.items()})),
            "level_from": Field(Text(words=frozenset(_LEVELS))),
            "duration": Field(DURATION),
            "lookback": Field(DURATION),
            "live": Field(BOOL),
            "redaction": Field(Text(words=frozenset({*catalog.redaction, RAW, UNASKED}))),
            "break_glass": Field(BOOL),
        }
        who = {
            "id": Field(Text()),
            "kind": Field(Text(words=frozenset(map(str, Kind)))),
            "groups": Field(Listed(Text(words=catalog.groups), MAX_GROUPS)),
        }
        roots = {"req": Field(Record(request)), "who": Field(Record(who))}
        if self.calendars:
            roots["cal"] = Field(Record({name: Field(BOOL) for name in self.calendars}))
        return roots


def _label_type(words: frozenset[str] | None) -> Listed:
    return Listed(Text()) if words is None else Listed(Text(words=words | {OTHER}), len(words) + 1)


def values_of(
    wish: Wish, principal: Principal, *, catalog: Catalog, open_now: Mapping[str, bool], submitted_at: Instant
) -> dict[str, Value]:
    """Return what a condition reads of one wish, of who asks, and of calendars.

    Args:
        wish: what is asked.
        principal: who asks.
        catalog: the names that the bundle may use.
        open_now: for each calendar, whether the instant of the decision lies in it.
        submitted_at: from where lookbacks count.
    """
    scopes = wish.scopes
    oldest_ns = min((scope.window.start_ns for scope in scopes), default=0)
    profiles = {(scope.profile or UNASKED).partition("@")[0] for scope in scopes}
    request: dict[str, Value] = {
        "sources": tuple(sorted({scope.source for scope in scopes})),
        "labels": label_values(wish, catalog),
        "level_from": _lowest(scopes),
        "duration": _span(None if wish.duration_s is None else wish.duration_s * _MICROSECONDS),
        "lookback": _span(max(0, submitted_at - oldest_ns // 1_000)),
        "live": any(scope.window.live for scope in scopes),
        "redaction": profiles.pop() if len(profiles) == 1 else Fault("the scopes ask for different profiles"),
        "break_glass": wish.break_glass,
    }
    who: dict[str, Value] = {
        "id": str(principal.id) if len(principal.id) <= LONGEST_TEXT else Fault("the principal's id is too long"),
        "kind": str(principal.kind),
        "groups": tuple(sorted(principal.groups)),
    }
    return {"req": request, "who": who, "cal": dict(open_now)}


def label_values(wish: Wish, catalog: Catalog) -> dict[str, Value]:
    """Return for each declared label all values that the wish may read, or a fault where that cannot be told."""
    return {name: _label_values(name, words, wish.scopes) for name, words in catalog.labels.items()}


def roots_of(
    bundle: Bundle, wish: Wish, principal: Principal, known: Facts, *, submitted_at: Instant, now: Instant
) -> dict[str, Value]:
    """Return all that a condition of a bundle may read of one wish but for what is a policy's own.

    Args:
        known: what providers and the call say.
        submitted_at: from where lookbacks count.
        now: the instant of the decision.
    """
    roots = values_of(wish, principal, catalog=bundle.catalog, open_now={}, submitted_at=submitted_at)
    roots["cal"] = _OpenNow(bundle.calendars, now)
    if bundle.facts or bundle.risk:
        roots["ctx"] = context_of(bundle.facts, bundle.risk, roots, known, now)
    return roots


class _OpenNow(dict[str, Value]):
    """Whether calendars are open at an instant; each is asked when a condition first reads it, and only then."""

    def __init__(self, calendars: Mapping[str, Calendar], now: Instant) -> None:
        super().__init__()
        self._calendars = calendars
        self._now = now

    def __missing__(self, name: str) -> Value:
        self[name] = found = self._calendars[name].is_open(self._now)
        return found


@dataclass(frozen=True)
class LateRoots:
    """What all conditions may read in one decision, found out when the first of them is asked."""

    bundle: Bundle
    wish: Wish
    principal: Principal
    known: Facts
    submitted_at: Instant
    now: Instant

    @cached_property
    def _roots(self) -> dict[str, Value]:
        at = self.submitted_at
        return roots_of(self.bundle, self.wish, self.principal, self.known, submitted_at=at, now=self.now)

    def read(self) -> Mapping[str, Value]:
        """Return it; each time the same."""
        return self._roots


def context_of(
    facts: Mapping[str, FactRule], risk: Iterable[RiskTerm], roots: Mapping[str, Value], known: Facts, now: Instant
) -> dict[str, Value]:
    """Return `ctx`: the facts, and the risk that its terms add up to, with these and the other roots read."""
    request = roots["req"]
    labels = request["labels"] if isinstance(request, dict) else {}
    found = fact_values(facts, "ctx", known, labels if isinstance(labels, dict) else {}, now)
    terms = tuple(risk)
    if terms:
        found[RISK] = risk_points(terms, {**roots, "ctx": dict(found)})
    return found


def risk_points(terms: Iterable[RiskTerm], roots: Mapping[str, Value]) -> int:
    """Return what terms of risk add up to; one that cannot be told counts."""
    return min(MAX_RISK, sum(term.add for term in terms if term.condition.answer(roots) is not False))


def _span(microseconds: int | None) -> int | Fault:
    if microseconds is None:
        return Fault("no duration was asked for")
    return microseconds if microseconds <= LONGEST_DURATION else Fault("it is longer than ten years")


def _lowest(scopes: Iterable[Scope]) -> str:
    """Return the lowest level asked for; a scope that names none asks for all of them."""
    return _LEVELS[min((0 if one.level_from is None else one.level_from.rank for one in scopes), default=0)]


def _label_values(name: str, words: frozenset[str] | None, scopes: Iterable[Scope]) -> Value:
    found: set[str] = set()
    for scope in scopes:
        matcher = scope.selector.matcher(name)
        values = _open_values(matcher) if words is None else _declared_values(matcher, words)
        if values is None:
            return Fault(f"the request does not say which values of {name} it means")
        found |= values
    if words is None and (len(found) > MOST_ITEMS or max(map(len, found), default=0) > LONGEST_TEXT):
        return Fault(f"the request names more than {MOST_ITEMS} values of {name}, or one that is too long")
    return tuple(sorted(found))


def _declared_values(matcher: Matcher | None, words: frozenset[str]) -> set[str]:
    if matcher is None:
        return {*words, OTHER}
    if not (matcher.any_value or matcher.prefixes or matcher.except_exact or matcher.except_prefixes):
        named = set(matcher.exact & words)
        return named if len(named) == len(matcher.exact) else named | {OTHER}
    declared = {word for word in words if matcher.matches(word)}
    has_others = matcher.any_value or bool(matcher.prefixes) or not matcher.exact <= words
    return declared | {OTHER} if has_others else declared


def _open_values(matcher: Matcher | None) -> set[str] | None:
    """Return the values that are named, or None where the label may have others."""
    if matcher is None or matcher.any_value or matcher.prefixes:
        return None
    return set(matcher.exact)
