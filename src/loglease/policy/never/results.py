"""Runs what tests say must never happen, and tells what came of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

from loglease.model.instant import instant_text
from loglease.model.words import plain, scope_in_words
from loglease.policy.bundle import Bundle
from loglease.policy.cases import catalog_profiles
from loglease.policy.never.axes import taken_tickets
from loglease.policy.never.search import Case, Search, Searched
from loglease.policy.problems import At
from loglease.policy.profiles import Profiles
from loglease.policy.seen import words_of

MAX_POINTS: Final = 100_000
"""So many cases are decided for one rule; where there are more, these are a sample."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NeverResult:
    """What came of the search for one thing that must never happen.

    Attributes:
        test: id of the document.
        title: why it must never happen.
        at: where it stands.
        differences: the counter-example, in words; nothing where none was found.
        searched: all of it.
    """

    test: str
    title: str
    at: At
    differences: tuple[str, ...]
    searched: Searched = field(repr=False)

    @property
    def ok(self) -> bool:
        """Whether nothing was found."""
        return not self.differences

    def render(self) -> str:
        """Write the result as people read it."""
        head = f"{self.test}  never: {self.title}"
        if self.ok:
            return f"ok     {head} ({self.tried})"
        return "\n".join([f"FAIL   {head}", *(f"       {one}, {self.at}" for one in self.differences)])

    @property
    def tried(self) -> str:
        """How much was tried, and what was not."""
        found = self.searched
        plural = "" if found.points == 1 else "s"
        what = f"{'a sample' if found.is_sample else 'all'}, by {found.points:,} decision{plural}"
        untold = f"; of {found.untold:,} nobody can tell" if found.untold else ""
        unclear = f"; not all that matters of {', '.join(found.unclear)}" if found.unclear else ""
        return f"{what}{untold}{unclear}"

    def as_json(self) -> dict[str, object]:
        """Return the result for programs."""
        found = self.searched
        return {
            "test": self.test,
            "never": self.title,
            "ok": self.ok,
            "differences": [*self.differences],
            "points": found.points,
            "untold": found.untold,
            "sample": found.is_sample,
            "unclear": [*found.unclear],
        }


def run_nevers(bundle: Bundle, profiles: Profiles | None = None) -> tuple[NeverResult, ...]:
    """Search for all that must never happen by the tests of a bundle, in the order of documents and rules.

    Args:
        bundle: with its tests.
        profiles: those of a server; without them the Catalog's own word is taken.
    """
    return tuple(search_nevers(bundle, profiles))


def search_nevers(
    bundle: Bundle,
    profiles: Profiles | None = None,
    *,
    most: int = MAX_POINTS,
    pause: Callable[[], None] = lambda: None,
) -> Iterator[NeverResult]:
    """Yield the result of one search after the other.

    Args:
        bundle: with its tests.
        profiles: those of a server; without them the Catalog's own word is taken.
        most: so many cases are decided for each rule.
        pause: called at each step of a search; may raise to end it.
    """
    known = catalog_profiles(bundle) if profiles is None else profiles
    asked = taken_tickets(bundle)
    for test in bundle.tests:
        for rule in test.never:
            searched = Search(asked, test, rule, profiles=known, most=most, pause=pause).run()
            told = () if searched.found is None else (_words(bundle, searched.found),)
            yield NeverResult(test=test.id, title=rule.because, at=rule.at, differences=told, searched=searched)


def _words(bundle: Bundle, case: Case) -> str:
    """Say who asks for what, what is known then, and what comes of it."""
    wish = case.wish
    asked = "; ".join(scope_in_words(scope, None, wish.duration_s) for scope in wish.scopes)
    how = " in an emergency" if wish.break_glass else ""
    parts = [f"{plain(case.principal.name)} asks{how} for {asked}"]
    parts += _known(bundle, case)
    got = "a denial" if case.offer is None else f"{case.offer.outcome} by {case.offer.rule} ({case.offer.policy})"
    return f"{', '.join(parts)}, at {instant_text(case.now)}: and gets {got}"


def _known(bundle: Bundle, case: Case) -> Iterator[str]:
    facts: Mapping[str, object] = case.facts
    for name in facts:
        yield f"{name} {words_of(bundle.facts[name].type, case.facts[name])}"
    for name, text in case.wish.inputs.items():
        yield f"{name} {plain(text) or 'left out'}"
