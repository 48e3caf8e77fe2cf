"""A loaded bundle and its hash."""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field, fields, is_dataclass
from datetime import date
from functools import cache

from loglease.model.access_request import Wish
from loglease.model.digest import Canonical, canonical_bytes, sha256_hex
from loglease.model.instant import Instant
from loglease.model.labels import Selector
from loglease.model.selector_text import selector_text
from loglease.policy.calendars import Calendar
from loglease.policy.conditions import Condition
from loglease.policy.conditions.types import Bool, Duration, Int, name_of
from loglease.policy.documents import (
    AccessPolicy,
    ApproverSet,
    BreakGlass,
    Catalog,
    FactRule,
    Guardrail,
    RiskTerm,
)
from loglease.policy.expected import PolicyTest
from loglease.policy.index import PolicyIndex
from loglease.policy.problems import At, Problem


@dataclass(frozen=True, slots=True, kw_only=True)
class Bundle:
    """All documents of one version of the policy; immutable, so a decision uses one from start to end.

    Attributes:
        approver_sets: by id.
        policies: sorted by id; so are guardrails, tests and emergencies.
        hash: SHA-256, 64 hex digits, over what the documents mean: not over layout, comments, titles of files, tests.
        revision: rises with every accepted bundle; given by whoever loads it.
        expires: from when on nothing new is granted; None is never. It is no part of the hash.
        emergencies: the BreakGlass documents.
        calendars: by name, of all Facts documents.
        facts: by name, likewise.
        risk: its terms by id; none where the bundle has no risk.
        warnings: what should be looked at, though it is allowed.
        index: finds the policies that could fit.
        emergency_index: finds what could fit in an emergency.
    """

    catalog: Catalog
    approver_sets: Mapping[str, ApproverSet]
    policies: tuple[AccessPolicy, ...]
    guardrails: tuple[Guardrail, ...]
    tests: tuple[PolicyTest, ...]
    hash: str
    revision: int
    expires: Instant | None = None
    emergencies: tuple[BreakGlass, ...] = ()
    calendars: Mapping[str, Calendar] = field(default_factory=dict)
    facts: Mapping[str, FactRule] = field(default_factory=dict)
    risk: tuple[RiskTerm, ...] = ()
    warnings: tuple[Problem, ...] = ()
    index: PolicyIndex = field(init=False, repr=False, compare=False)
    emergency_index: PolicyIndex = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "index", PolicyIndex.of(self.policies))
        object.__setattr__(self, "emergency_index", PolicyIndex.of(tuple(one.policy for one in self.emergencies)))

    @property
    def every_policy(self) -> tuple[AccessPolicy, ...]:
        """The policies, and what BreakGlass documents have of one."""
        return (*self.policies, *(one.policy for one in self.emergencies))

    def index_for(self, wish: Wish) -> PolicyIndex:
        """Return the policies that are asked: those for emergencies where the wish says it is one, and only there."""
        return self.emergency_index if wish.break_glass else self.index

    def emergency(self, name: str) -> BreakGlass | None:
        """Return a BreakGlass document by its id."""
        return next((one for one in self.emergencies if one.id == name), None)


def bundle_hash(
    catalog: Catalog,
    sets: Mapping[str, ApproverSet],
    policies: tuple[AccessPolicy, ...],
    rails: tuple[Guardrail, ...],
    emergencies: tuple[BreakGlass, ...],
    calendars: Mapping[str, Calendar],
    facts: Mapping[str, FactRule],
    risk: tuple[RiskTerm, ...],
) -> str:
    """Return the hash over the digests of all documents, in the order of kinds and ids, and of what Facts declare.

    Calendars, facts and terms of risk count by name: which Facts document declares one changes nothing. A bundle
    without any keeps its hash.
    """
    documents: list[object] = [catalog, *(sets[name] for name in sorted(sets)), *policies, *rails, *emergencies]
    documents += [*(facts[name] for name in sorted(facts)), *risk]
    digests: list[Canonical] = [
        {"kind": type(one).__name__, "sha256": sha256_hex(canonical_bytes(canonical_form(one)))} for one in documents
    ]
    digests += [
        {"kind": "Calendar", "name": name, "sha256": sha256_hex(canonical_bytes(canonical_form(calendars[name])))}
        for name in sorted(calendars)
    ]
    return sha256_hex(canonical_bytes(digests))


def canonical_form(value: object) -> Canonical:
    """Return a resolved document as plain values; places are left out, so are fields without a value.

    Raises:
        TypeError: a document holds something that has no canonical form.
    """
    kind = type(value)
    if kind is str or kind is int or kind is bool:
        return value  # type: ignore[return-value]  # one of these
    if kind is tuple:
        return [canonical_form(item) for item in value]  # type: ignore[attr-defined]  # a tuple
    match value:
        case str():
            return str(value)
        case Selector() | Condition() | Bool() | Int() | Duration() | date():
            return _word(value)
        case Mapping():
            return [[str(key), canonical_form(value[key])] for key in sorted(value) if value[key] is not None] + [
                [str(key)] for key in sorted(value) if value[key] is None
            ]
        case AbstractSet():
            return [canonical_form(item) for item in sorted(value)]
        case _ if is_dataclass(value):
            return _record(value)
        case _:
            raise TypeError(f"{type(value).__name__} has no canonical form")


def _word(value: Selector | Condition | Bool | Int | Duration | date) -> str:
    match value:
        case Selector():
            return selector_text(value)
        case Condition():
            return value.text
        case date():
            return value.isoformat()
        case _:
            return name_of(value)


def _record(value: object) -> Canonical:
    found: dict[str, Canonical] = {}
    for name in _names_of(type(value)):  # type: ignore[arg-type]  # classes can be hashed
        item = getattr(value, name)
        kind = type(item)
        if kind is str or kind is int or kind is bool:
            found[name] = item
        elif item is not None and kind is not At:
            found[name] = canonical_form(item)
    return found


@cache
def _names_of(kind: type) -> tuple[str, ...]:
    return tuple(one.name for one in fields(kind))
