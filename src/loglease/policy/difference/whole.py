"""The differences of two bundles, document by document."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass
from typing import Final

from loglease.policy.bundle import Bundle
from loglease.policy.cases import catalog_profiles
from loglease.policy.conditions import Condition
from loglease.policy.difference.cheaper import cheaper
from loglease.policy.difference.exclusive import compare_exclusive, compare_kept
from loglease.policy.difference.found import Comparison, Difference, Verdict
from loglease.policy.difference.guardrails import compare_guardrails
from loglease.policy.difference.policies import compare_emergencies, compare_policies, compare_sets
from loglease.policy.difference.words import policy_text
from loglease.policy.problems import At
from loglease.policy.profiles import below
from loglease.policy.questions import facts_read
from loglease.policy.roots import RISK

_KNOWN: Final = (
    "catalog", "approver_sets", "policies", "guardrails", "emergencies", "tests", "hash", "revision", "calendars",
    "warnings", "facts", "risk",
)  # fmt: skip
_NAMES: Final = ("groups", "rotas", "sources", "channels", "trackers", "labels", "redaction")


def differences(old: Bundle, new: Bundle) -> tuple[Difference, ...]:
    """Return what changed for those who ask, and what that means for them.

    What decides nothing is left out: titles, help, owners, dates of reviews, layout, tests. Nothing says NARROWS, and
    nothing is left out, unless it is certain that nobody gets more. Strictness of profiles is what the new Catalog
    declares. That a decision shows twenty offers at most is not looked at.

    Returns:
        Policies, guardrails, approver sets, then what all share; each by id and in the order of its fields, cheaper
        ways behind the policies. Nothing where the hashes are equal.
    """
    if old.hash == new.hash:
        return ()
    return (
        *_policies(old, new),
        *cheaper(old, new),
        *_emergencies(old, new),
        *_guardrails(old, new),
        *_sets(old, new),
        *_catalogs(old, new),
        *_calendars(old, new),
        *_facts(old, new),
        *_rest(old, new),
    )


def _policies(old: Bundle, new: Bundle) -> Iterator[Difference]:
    profiles = catalog_profiles(new)
    before, after = ({one.id: one for one in bundle.policies} for bundle in (old, new))
    for name in sorted(before.keys() | after.keys()):
        was, now = before.get(name), after.get(name)
        found = _comparison("AccessPolicy", name, was, now)
        if was is None:
            found.add(Verdict.WIDENS, "policy", None, policy_text(after[name]))
        elif now is None:
            found.add(Verdict.NARROWS, "policy", policy_text(was), None)
            compare_kept(found, was, None, new)
        else:
            compare_exclusive(found, was, now, (old, new))
            compare_policies(found, was, now, profiles)
        yield from found.found


def _emergencies(old: Bundle, new: Bundle) -> Iterator[Difference]:
    before, after = ({one.id: one for one in bundle.emergencies} for bundle in (old, new))
    for name in sorted(before.keys() | after.keys()):
        was, now = before.get(name), after.get(name)
        found = _comparison("BreakGlass", name, was, now)
        if was is None:
            found.add(Verdict.WIDENS, "break-glass", None, policy_text(after[name].policy))
        elif now is None:
            found.add(Verdict.NARROWS, "break-glass", policy_text(was.policy), None)
        else:
            compare_emergencies(found, was, now, catalog_profiles(new))
        yield from found.found


def _comparison(kind: str, name: str, old: object, new: object) -> Comparison:
    at = getattr(new if new is not None else old, "at", None)
    return Comparison(kind=kind, document=name, at=at if isinstance(at, At) else None)


def _guardrails(old: Bundle, new: Bundle) -> Iterator[Difference]:
    before, after = ({one.id: one for one in bundle.guardrails} for bundle in (old, new))
    for name in sorted(before.keys() | after.keys()):
        found = _comparison("Guardrail", name, before.get(name), after.get(name))
        compare_guardrails(found, before.get(name), after.get(name), catalog_profiles(new))
        yield from found.found


def _sets(old: Bundle, new: Bundle) -> Iterator[Difference]:
    """Compare the sets that both have: one that came or went is named by stages, which differ then."""
    for name in sorted(old.approver_sets.keys() & new.approver_sets.keys()):
        was, now = old.approver_sets[name], new.approver_sets[name]
        found = _comparison("ApproverSet", name, was, now)
        compare_sets(found, was, now)
        yield from found.found


def _catalogs(old: Bundle, new: Bundle) -> Iterator[Difference]:
    """Compare what declared names mean; that a name is declared, or no longer, changes nothing by itself.

    Conditions see a label as the list of declared values that a request can match, so other values give the same text
    another meaning.
    """
    found = Comparison(kind="Catalog", document="Catalog", at=None)
    read = {path[2] for one in _conditions(new) for path in one.reads if path[:2] == ("req", "labels") and path[2:]}
    for name in sorted(old.catalog.labels.keys() & new.catalog.labels.keys() & read):
        was, now = old.catalog.labels[name], new.catalog.labels[name]
        if was != now:
            found.add(Verdict.UNDECIDED, f"labels.{name}", _words(was), _words(now), "which conditions read")
    both = old.catalog.redaction.keys() & new.catalog.redaction.keys()
    for name in sorted(both):
        was, now = (below(name, catalog_profiles(bundle)) & both for bundle in (old, new))
        if was != now:
            found.add(Verdict.UNDECIDED, f"redaction.{name}", _words(was), _words(now))
    found.rest(old.catalog, new.catalog, _NAMES)
    yield from found.found


def _words(words: frozenset[str] | None) -> str:
    return "string" if words is None else f"[{', '.join(sorted(words))}]"


def _conditions(value: object) -> Iterator[Condition]:
    """Yield every condition that a value holds, wherever it stands."""
    if isinstance(value, Condition):
        yield value
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from _conditions(item)
    elif isinstance(value, tuple | list):
        for item in value:
            yield from _conditions(item)
    elif is_dataclass(value):
        for one in fields(value):
            yield from _conditions(getattr(value, one.name))


def _calendars(old: Bundle, new: Bundle) -> Iterator[Difference]:
    found = Comparison(kind="Facts", document="Facts", at=None)
    for name in sorted(old.calendars.keys() & new.calendars.keys()):
        found.inside(f"calendars.{name}.").rest(old.calendars[name], new.calendars[name], ())
    yield from found.found


def _facts(old: Bundle, new: Bundle) -> Iterator[Difference]:
    """Compare what both declare under one name, where conditions read it: what only one declares, only its own read."""
    found = Comparison(kind="Facts", document="Facts", at=None)
    read = facts_read(_conditions(new), new.facts, new.risk)
    for name in sorted(old.facts.keys() & new.facts.keys() & read):
        found.inside(f"facts.{name}.").rest(old.facts[name], new.facts[name], ("name", "at"))
    if any(("ctx", RISK) in one.reads for one in _conditions(new)):
        was, now = (", ".join(f"{one.add} if {one.condition.text}" for one in bundle.risk) for bundle in (old, new))
        if was != now:
            found.add(Verdict.UNDECIDED, "risk", was, now, "which conditions read")
    yield from found.found


def _rest(old: Bundle, new: Bundle) -> Iterator[Difference]:
    found = Comparison(kind="Bundle", document="Bundle", at=None)
    found.rest(old, new, _KNOWN)
    yield from found.found
