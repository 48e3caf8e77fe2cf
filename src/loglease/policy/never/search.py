"""Searches requests, people and facts for a case in which what must never happen does.

Choices are made one after the other. What must never happen is asked of each as far as it can be told by then: where it
is false already, no other choice can make it true, so that most cases need not be tried. The same holds where no policy
is left that a request could lie inside of: then it is denied. What is left is decided, by the decision itself.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from loglease.model.access_request import Wish
from loglease.model.instant import Instant
from loglease.model.offer import Offer
from loglease.model.principal import Directory, Principal, directory_of
from loglease.policy.asking import ask_values
from loglease.policy.bundle import Bundle
from loglease.policy.conditions import Condition, Fault
from loglease.policy.conditions.comparing import compared
from loglease.policy.conditions.compiling import Path
from loglease.policy.conditions.points import Roots, choices
from loglease.policy.conditions.values import Value
from loglease.policy.decision import decide
from loglease.policy.documents import AskRule
from loglease.policy.expected import NeverRule, PolicyTest
from loglease.policy.fact_literals import supposed_facts
from loglease.policy.fact_values import named
from loglease.policy.never.axes import (
    Axes,
    Axis,
    Draft,
    Entry,
    Reach,
    entries_of,
    inputs_of,
    reaches_of,
    reads_of,
    wish_of,
)
from loglease.policy.never.dice import Dice
from loglease.policy.never.facts import FactSpaces, Known, Member, value_at
from loglease.policy.outcomes import NOT_THERE, OUT, denial, joint_inputs, outcomes
from loglease.policy.people import People
from loglease.policy.profiles import Profiles
from loglease.policy.questions import conditions_of
from loglease.policy.roots import values_of
from loglease.policy.supposed import made_up, with_approvers
from loglease.policy.trace import Decision

_DECISIVE: Final = ("break_glass", "profile")
"""Choices that count by themselves: not only for what is read of them, and what they lie inside of or overlap."""
_FIRST: Final = ("break_glass", "person", "sources")
"""What rules out most policies; what is left of them is worked out once."""
_SAMPLED: Final = 5
"""One of so many cases that may be decided is thrown for a sample."""
_STEPS_PER_POINT: Final = 5
"""So many choices may be looked at for each point that may be tried, before a search gives up to try all."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """A request, who makes it, what is known, and what comes of it."""

    wish: Wish
    principal: Principal
    facts: Mapping[str, Value]
    now: Instant
    decision: Decision
    offer: Offer | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Searched:
    """What a search found.

    Attributes:
        found: a case in which it happens; None where there was none among those that were tried.
        points: how many cases were decided.
        untold: of how many nobody can say whether it happens.
        is_sample: there were more than were tried.
        unclear: of which paths not all values were tried that could make a difference.
    """

    found: Case | None
    points: int
    untold: int
    is_sample: bool
    unclear: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Place:
    """A request as far as it is chosen, what can be read of it, and what it can still lie inside of or overlap."""

    draft: Draft
    roots: Roots
    entries: Sequence[Entry]
    reaches: Sequence[Reach]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Subject:
    """A request that is chosen, what can be read of it, and what is read besides."""

    draft: Draft
    principal: Principal
    roots: Roots
    known: Known


class _Enough(Exception):
    """There is more to try than may be."""


class Search:
    """One search.

    Args:
        bundle: the documents, as `taken_tickets` gives them.
        test: whose people ask.
        rule: what must never happen.
        profiles: the redaction profiles.
        most: so many cases are decided.
        pause: called at each step; may raise to end the search.
    """

    def __init__(
        self,
        bundle: Bundle,
        test: PolicyTest,
        rule: NeverRule,
        *,
        profiles: Profiles,
        most: int,
        pause: Callable[[], None],
    ) -> None:
        self._bundle = bundle
        self._start = _Place({}, {}, entries_of(self._bundle), reaches_of(self._bundle))
        self._now = test.now
        self._never = rule.condition
        self._with_code = (OUT, "code") in rule.condition.reads
        self._profiles = profiles
        self._most = most
        self._pause = pause
        self._directories = directories_of(bundle, test)
        people = {
            one: People(directory, bundle.approver_sets, one.manager, test.now)
            for one, directory in self._directories.items()
        }
        self._ask = AskRule(inputs=joint_inputs(bundle.every_policy))
        every = [*(one for policy in bundle.every_policy for one in conditions_of(policy)), *_of_rails(bundle)]
        conditions = [*every, *(term.condition for term in bundle.risk), self._never]
        reads = frozenset[Path]().union(*(one.reads for one in conditions))
        self._compared = compared(one.tree for one in conditions)
        axes = Axes(self._bundle, reads, self._compared, people)
        self._claims = [f"input:{name}" for name in inputs_of(bundle)]
        self._axes = self._ordered(axes.found())
        self._read_paths = sorted({axis.path for axis in self._axes if axis.path is not None} & reads)
        has_caps = any(rail.caps.lookback_s is not None for rail in bundle.guardrails)
        shows_duration = (OUT, "duration") in self._never.reads
        self._decisive = (
            *_DECISIVE, *(("lookback",) if has_caps else ()), *(("duration",) if shows_duration else ())
        )  # fmt: skip
        self._known: dict[object, list[Roots]] = {}
        self._inside: dict[tuple[str, int], Sequence[Any]] = {}
        self._needs_offer = self._never.answer({OUT: denial()}) is False
        self._begun: dict[tuple[int, ...], _Place | None] = {}
        self._asked_per = sorted({rule.per for rule in bundle.facts.values() if rule.per is not None})
        somebody = next(iter(people))
        self._read = {
            axis.name: {choice: list(reads_of(axis, choice, bundle, somebody, test.now)) for choice in axis.choices}
            for axis in self._axes
        }
        self._facts = FactSpaces(self._bundle, self._never, test.now)
        self._points = self._untold = 0

    def run(self) -> Searched:
        """Search everything, or where that is too much a sample of it."""
        is_sample = False
        try:
            found = self._everywhere()
        except _Enough:
            is_sample = True
            self._points = self._untold = 0
            found = self._here_and_there()
        unclear = {
            ".".join(axis.path or (axis.name,)) for axis in self._axes if not axis.is_all
        } | self._facts.unclear()
        return Searched(
            found=found, points=self._points, untold=self._untold, is_sample=is_sample, unclear=tuple(sorted(unclear))
        )

    def _ordered(self, axes: list[Axis]) -> list[Axis]:
        """Put what rules out policies first; of the rest, what the rule reads."""
        return sorted(axes, key=lambda one: (one.name not in _FIRST, one.path not in self._never.reads))

    def _everywhere(self) -> Case | None:
        """Try everything.

        Raises:
            _Enough: that is too much.
        """
        left = itertools.count(self._most * _STEPS_PER_POINT, -1)
        for place in self._requests(self._start, 0, left, set()):
            subject = self._subject(place)
            for roots in self._different(place, subject, left):
                if self._points >= self._most:
                    raise _Enough
                found = self._case(subject, roots)
                if found is not None:
                    return found
        return None

    def _different(self, place: _Place, subject: _Subject, left: Iterator[int]) -> Sequence[Roots]:
        """Return one of each sort of what may be known; worked out once for all requests that read the same.

        Raises:
            _Enough: that is too much.
        """
        asked = tuple(id(condition) for condition, _ in subject.known.asked)
        key = (self._reading(place), bool(place.entries), asked)
        found = self._known.get(key)
        if found is None:
            sorts: dict[object, Roots] = {}
            for roots in self._possible(subject.roots, subject.known.members):
                if next(left) < 0:
                    raise _Enough
                sorts.setdefault(subject.known.sort(roots), roots)
            found = self._known[key] = list(sorts.values())
        return found

    def _here_and_there(self) -> Case | None:
        """Try some of everything, the same for everybody."""
        dice = Dice(f"{self._bundle.hash}:{self._never.text}")
        decided: set[object] = set()
        for _ in range(-(-self._most // _SAMPLED)):
            place = self._thrown(dice)
            if place is None:
                continue
            subject = self._subject(place)
            turned: list[Member] = [(path, dice.turned(values)) for path, values in subject.known.members]
            for roots in itertools.islice(self._possible(subject.roots, turned), 1):
                sort = (self._sort(place), subject.known.sort(roots))
                found = None if sort in decided else self._case(subject, roots)
                decided.add(sort)
                if found is not None:
                    return found
        return None

    def _subject(self, place: _Place) -> _Subject:
        """Return a request that is chosen, with all that can be read of it."""
        wish, principal = wish_of(place.draft, self._now), place.draft["person"]
        roots = values_of(wish, principal, catalog=self._bundle.catalog, open_now={}, submitted_at=self._now)
        del roots["cal"]
        if not place.entries:
            roots[OUT] = denial()
        known = self._facts.known(wish, place.entries)
        return _Subject(draft=place.draft, principal=principal, roots=roots, known=known)

    def _requests(self, place: _Place, depth: int, left: Iterator[int], seen: set[object]) -> Iterator[_Place]:
        """Yield one request of each sort: others of its sort read the same, and lie inside of and overlap the same."""
        if next(left) < 0:
            raise _Enough
        sort = (depth, self._sort(place))
        if sort in seen:
            return
        seen.add(sort)
        if depth == len(self._axes):
            yield place
            return
        for choice in self._axes[depth].choices:
            below = self._chosen(place, self._axes[depth], choice)
            if below is not None:
                yield from self._requests(below, depth + 1, left, seen)

    def _thrown(self, dice: Dice) -> _Place | None:
        """Choose on each axis by chance; every second request inside an entry, since most of all are inside of none.

        All are, where the rule can hold of no denial.
        """
        place: _Place | None = self._start
        aim: Entry | None = None
        for number, axis in enumerate(self._axes):
            if place is None:
                break
            if number == len(_FIRST) and place.entries and (self._needs_offer or dice.below(2)):
                aim = place.entries[dice.below(len(place.entries))]
            turned = dice.turned(axis.choices if aim is None else self._admitted(axis, aim))
            below = (self._chosen(place, axis, choice) for choice in turned)
            place = next((one for one in below if one is not None), None)
        return place

    def _admitted(self, axis: Axis, entry: Entry) -> Sequence[Any]:
        """Return the choices with which a request can lie inside an entry; all where there is none."""
        key = (axis.name, id(entry))
        found = self._inside.get(key)
        if found is None:
            admitted = [choice for choice in axis.choices if axis.admits(choice, entry)]
            found = self._inside[key] = admitted or axis.choices
        return found

    def _chosen(self, place: _Place, axis: Axis, choice: Any) -> _Place | None:
        """Make one choice more; None where it cannot happen any more, whatever else is chosen."""
        self._pause()
        if len(place.draft) >= len(_FIRST):
            return self._below(place, axis, choice)
        key = (*map(id, place.draft.values()), id(choice))
        if key not in self._begun:
            self._begun[key] = self._below(place, axis, choice)
        return self._begun[key]

    def _below(self, place: _Place, axis: Axis, choice: Any) -> _Place | None:
        roots = place.roots
        for path, value in self._read[axis.name][choice]:
            roots = next(choices(roots, path, [value]))
        entries = [entry for entry in place.entries if axis.admits(choice, entry)]
        if not entries and OUT not in roots:
            roots = {**roots, OUT: denial()}
        if self._never.answer(roots) is False:
            return None
        reaches = [reach for reach in place.reaches if axis.touches(choice, reach)]
        return _Place({**place.draft, axis.name: choice}, roots, entries, reaches)

    def _sort(self, place: _Place) -> object:
        """Return all of a request that a decision on it, or the rule, depends on."""
        chosen = tuple(place.draft.get(name) for name in self._decisive)
        inside, overlapped = tuple(map(id, place.entries)), tuple(map(id, place.reaches))
        return chosen, self._reading(place), len(place.draft.get("sources", ())), inside, overlapped

    def _reading(self, place: _Place) -> object:
        """Return all of a request that conditions read."""
        who = place.draft.get("person")
        claims = tuple(map(place.draft.get, self._claims))
        read = tuple(self._telling(path, value_at(place.roots, path)) for path in self._read_paths)
        labels = value_at(place.roots, ("req", "labels"))
        per = tuple(isinstance(labels, dict) and isinstance(named(labels, one), Fault) for one in self._asked_per)
        return who and who.id, claims, read, per

    def _telling(self, path: Path, value: Value | None) -> object:
        """Return what conditions tell of a value: how it compares with the literals that they name."""
        literals = self._compared.literals.get(path, frozenset())
        match value:
            case _ if path in self._compared.unclear:
                return value
            case tuple():
                return frozenset(one if one in literals else None for one in value)
            case str():
                return value if value in literals else None
            case int() if not isinstance(value, bool):
                return sum(int(one) < value for one in literals), value in literals
            case _:
                return value

    def _possible(self, roots: Roots, members: Sequence[Member]) -> Iterator[Roots]:
        """Yield all that may be known, but for that with which it cannot happen."""
        self._pause()
        if not members:
            yield roots
            return
        path, values = members[0]
        for below in choices(roots, path, values):
            if self._never.answer(below) is not False:
                yield from self._possible(below, members[1:])

    def _case(self, subject: _Subject, roots: Roots) -> Case | None:
        """Decide one case; return it if it happens."""
        self._points += 1
        now = self._facts.instant(roots.get("cal"))
        wish, principal = wish_of(subject.draft, now), subject.principal
        known = roots.get("ctx")
        values = {f"ctx.{name}": value for name, value in known.items()} if isinstance(known, dict) else {}
        decision = decide(
            self._bundle,
            wish,
            principal,
            directory=self._directories[principal],
            now=now,
            profiles=self._profiles,
            facts=supposed_facts(self._bundle, wish, values, now),
        )
        read = {**decision.roots, "ask": ask_values(self._ask, wish)}
        is_untold = False
        for offer, out in outcomes(decision, with_code=self._with_code):
            answer = self._never.answer({**read, OUT: out})
            if answer is True:
                return Case(wish=wish, principal=principal, facts=values, now=now, decision=decision, offer=offer)
            is_untold = is_untold or answer not in (False, *NOT_THERE)
        self._untold += is_untold
        return None


def _of_rails(bundle: Bundle) -> Iterator[Condition]:
    return (rail.condition for rail in bundle.guardrails if rail.condition is not None)


def directories_of(bundle: Bundle, test: PolicyTest) -> dict[Principal, Directory]:
    """Return for each person of a test everybody there is: all of the test, and who could be needed to approve."""
    own = made_up(test.people.values())
    accounts = {(one.kind, one.account) for one in own.principals.values()}
    found = {}
    for asks in own.principals.values():
        others = with_approvers(bundle, asks)
        added = [one for one in others.principals.values() if (one.kind, one.account) not in accounts]
        known = {one.id for one in added} | own.principals.keys()
        rotas = {*own.on_call, *others.on_call}
        on_call = {
            rota: (own.on_call.get(rota, frozenset()) | others.on_call.get(rota, frozenset())) & known for rota in rotas
        }
        found[asks] = directory_of([*own.principals.values(), *added], on_call)
    return found
