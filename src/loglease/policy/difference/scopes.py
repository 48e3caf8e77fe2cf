"""Entries of `scopes`: is what the new ones cover covered by the old ones, and the other way round?"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Final

from loglease.model.instant import duration_text
from loglease.model.labels import Selector
from loglease.model.selector_text import selector_text
from loglease.policy.difference.found import Comparison, Verdict, unknown
from loglease.policy.difference.words import entry_text, level_text, literals_text
from loglease.policy.documents import ScopeRule

Numbered = list[tuple[int, ScopeRule]]
_KNOWN: Final = ("sources", "selector", "level_from", "contains", "lookback_s", "live")


def is_covered(rule: ScopeRule, by: Iterable[ScopeRule]) -> bool:
    """Say whether every scope inside an entry is inside a single one of others."""
    others = tuple(by)
    return all(any(source in one.sources and _is_within(rule, one) for one in others) for source in rule.sources)


def compare_scopes(found: Comparison, old: Sequence[ScopeRule], new: Sequence[ScopeRule]) -> None:
    """Compare the entries of two policies; those that stayed are left out wherever they stand."""
    gone, come = _without(old, new), _without(new, old)
    for (was, before), (number, after) in _pairs(gone, come):
        part = Comparison(kind=found.kind, document=found.document, at=found.at, path=f"{found.path}scopes[{number}].")
        _compare_entry(part, before, after)
        if is_covered(after, old) and any(one.verdict is Verdict.WIDENS for one in part.found):
            # Field by field it reaches further than the entry it replaces, but another entry had all of it.
            verdict = Verdict.SAME if is_covered(before, new) else Verdict.NARROWS
            found.add(verdict, f"scopes[{number}]", entry_text(before), entry_text(after))
        else:
            found.found.extend(part.found)
        gone.remove((was, before))
        come.remove((number, after))
    for number, after in come:
        found.add(
            Verdict.SAME if is_covered(after, old) else Verdict.WIDENS, f"scopes[{number}]", None, entry_text(after)
        )
    for number, before in gone:
        found.add(
            Verdict.SAME if is_covered(before, new) else Verdict.NARROWS, f"scopes[{number}]", entry_text(before), None
        )


def compare_selector(
    found: Comparison, place: str, old: Selector, new: Selector, *, more: Verdict, less: Verdict
) -> None:
    """Compare selectors: `more` where the new one selects more streams, `less` where it certainly selects fewer."""
    if old != new:
        outer, inner = new.contains(old), old.contains(new)
        found.add(_of(outer=outer, inner=inner, more=more, less=less), place, *map(selector_text, (old, new)))


def _of(*, outer: bool, inner: bool, more: Verdict, less: Verdict) -> Verdict:
    """Return the verdict; of sets that lie askew the one that gives more."""
    if outer and inner:
        return Verdict.SAME
    if outer:
        return more
    return less if inner else Verdict.WIDENS


def _is_within(inner: ScopeRule, outer: ScopeRule) -> bool:
    return (
        outer.selector.contains(inner.selector)
        and _rank(inner) >= _rank(outer)
        and _demands(inner.contains, outer.contains)
        and inner.lookback_s <= outer.lookback_s
        and (outer.live or not inner.live)
        and unknown(inner, _KNOWN) == unknown(outer, _KNOWN)
    )


def _rank(rule: ScopeRule) -> int:
    return 0 if rule.level_from is None else rule.level_from.rank


def _demands(literals: Iterable[str], others: Iterable[str]) -> bool:
    """Say whether a line, or a request, with the literals has the others in it as well."""
    given = tuple(literals)
    return all(any(other in one for one in given) for other in others)


def _without(rules: Sequence[ScopeRule], others: Iterable[ScopeRule]) -> Numbered:
    """Return the entries that are not among others, with their numbers."""
    left = Counter(others)
    found = []
    for number, rule in enumerate(rules):
        if left[rule]:
            left[rule] -= 1
        else:
            found.append((number, rule))
    return found


def _pairs(gone: Numbered, come: Numbered) -> list[tuple[tuple[int, ScopeRule], tuple[int, ScopeRule]]]:
    """Return which new entry stands for which old one: in order, or where one contains the other."""
    if len(gone) == len(come):
        return list(zip(gone, come, strict=True))
    pairs = []
    left = list(gone)
    for after in come:
        near = next((one for one in left if is_covered(after[1], [one[1]]) or is_covered(one[1], [after[1]])), None)
        if near is not None:
            left.remove(near)
            pairs.append((near, after))
    return pairs


def _compare_entry(found: Comparison, old: ScopeRule, new: ScopeRule) -> None:
    found.names("sources", old.sources, new.sources)
    compare_selector(found, "labels", old.selector, new.selector, more=Verdict.WIDENS, less=Verdict.NARROWS)
    if _rank(old) != _rank(new):
        verdict = Verdict.WIDENS if _rank(new) < _rank(old) else Verdict.NARROWS
        found.add(verdict, "level_from", level_text(old.level_from), level_text(new.level_from))
    if old.contains != new.contains:
        inner, outer = _demands(new.contains, old.contains), _demands(old.contains, new.contains)
        verdict = _of(outer=outer, inner=inner, more=Verdict.WIDENS, less=Verdict.NARROWS)
        found.add(verdict, "contains", *map(literals_text, (old.contains, new.contains)))
    found.ordered("lookback", old.lookback_s, new.lookback_s, text=duration_text)
    found.flag("live", old=old.live, new=new.live)
    found.rest(old, new, _KNOWN)
