"""Which policies could offer anything to somebody, found without asking each one."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final, Self

from loglease.model.labels import Matcher
from loglease.model.principal import EVERYBODY, Kind, Principal
from loglease.model.scope import Scope
from loglease.policy.documents import AccessPolicy

_PREFIXES: Final = {Kind.HUMAN: "user", Kind.AGENT: "agent", Kind.SERVICE: "service"}
_GROUP: Final = "group:"
Places = Mapping[str, tuple[int, ...]]
"""Places in the policies of an index, ascending, by some name."""


@dataclass(frozen=True, slots=True)
class _Key:
    """The policies with scopes in a source, by what they say of one label.

    Attributes:
        by_value: the places of those that allow a value by its name.
        others: the places of those that have a scope there which says nothing of the label, or more than names values.
    """

    by_value: Mapping[str, frozenset[int]]
    others: frozenset[int]


@dataclass(frozen=True, slots=True)
class _Source:
    """The policies with scopes in a source.

    Attributes:
        groups: places by a group in `who.any_of`.
        accounts: places by any other name there, with its prefix.
        labels: for each label of which one of them names the values.
    """

    groups: Places
    accounts: Places
    labels: Mapping[str, _Key]

    def places_of(self, principal: Principal) -> set[int]:
        """Return the policies that name a principal."""
        found: set[int] = set()
        if self.groups:
            for group in principal.groups:
                if group in self.groups:
                    found.update(self.groups[group])
            found.update(self.groups.get(EVERYBODY, ()))
        if self.accounts:
            found.update(self.accounts.get(f"{_PREFIXES[principal.kind]}:{principal.account}", ()))
        return found


@dataclass(frozen=True, slots=True)
class PolicyIndex:
    """The policies of a bundle by the names in `who`, by their sources and label values; it leaves out none that fits.

    Attributes:
        policies: all of them, in the order of the bundle.
        exclusive: those that take what overlaps them from all others.
    """

    policies: tuple[AccessPolicy, ...]
    exclusive: tuple[AccessPolicy, ...]
    _all: _Source
    _sources: Mapping[str, _Source]

    @classmethod
    def of(cls, policies: tuple[AccessPolicy, ...]) -> Self:
        """Build the index."""
        by_source: dict[str, list[int]] = defaultdict(list)
        for place, policy in enumerate(policies):
            for source in {source for rule in policy.scopes for source in rule.sources}:
                by_source[source].append(place)
        return cls(
            policies,
            tuple(one for one in policies if one.exclusive),
            _Source(*_named(policies, range(len(policies))), {}),
            {
                source: _Source(*_named(policies, places), _labelled(policies, places, source))
                for source, places in by_source.items()
            },
        )

    def for_principal(self, principal: Principal) -> tuple[AccessPolicy, ...]:
        """Return the policies that name a principal; whether they fit is for them to say."""
        return self._at(self._all.places_of(principal))

    def candidates(self, principal: Principal, sources: Iterable[str]) -> tuple[AccessPolicy, ...]:
        """Return those of them that have scopes in all of these sources."""
        return self._at(self._places_in(principal, set(sources)))

    def near(self, principal: Principal, scopes: Collection[Scope]) -> tuple[AccessPolicy, ...]:
        """Return those that could hold these scopes whole, as far as sources and values that are named tell."""
        places = self._places_in(principal, {scope.source for scope in scopes})
        for scope in scopes:
            source = self._sources.get(scope.source)
            if source is None or not places:
                return ()
            for name, key in source.labels.items():
                places = _with(places, key, scope.selector.matcher(name))
        return self._at(places)

    def _places_in(self, principal: Principal, sources: set[str]) -> set[int]:
        found: set[int] | None = None
        for name in sources:
            source = self._sources.get(name)
            places = set[int]() if source is None else source.places_of(principal)
            found = places if found is None else found & places
        return self._all.places_of(principal) if found is None else found

    def _at(self, places: Iterable[int]) -> tuple[AccessPolicy, ...]:
        return tuple([self.policies[place] for place in sorted(places)])


def _with(places: set[int], key: _Key, matcher: Matcher | None) -> set[int]:
    """Keep those that may allow all that is asked of a label: one of its values tells of the most."""
    if matcher is None or not matcher.exact:
        return places & key.others
    named = key.by_value.get(min(matcher.exact), frozenset())
    return {place for place in places if place in named or place in key.others}


def _named(policies: tuple[AccessPolicy, ...], places: Iterable[int]) -> tuple[Places, Places]:
    """Return the places by groups, and by other names."""
    groups: dict[str, list[int]] = defaultdict(list)
    accounts: dict[str, list[int]] = defaultdict(list)
    for place in places:
        for name in policies[place].who.any_of:
            if name.startswith(_GROUP):
                groups[name.removeprefix(_GROUP)].append(place)
            else:
                accounts[name].append(place)
    return _fixed(groups), _fixed(accounts)


def _fixed(places: Mapping[str, list[int]]) -> Places:
    return {name: tuple(found) for name, found in places.items()}


def _labelled(policies: tuple[AccessPolicy, ...], places: Collection[int], source: str) -> dict[str, _Key]:
    """Return what the entries for a source say of each label of which one of them names the values."""
    names = {name for place in places for name, _ in _plain(policies[place], source)}
    found = {}
    for name in names:
        by_value: dict[str, set[int]] = defaultdict(set)
        others: set[int] = set()
        for place in places:
            for rule in policies[place].scopes:
                if source not in rule.sources:
                    continue
                matcher = rule.selector.matcher(name)
                if matcher is None or not _is_plain(matcher):
                    others.add(place)
                else:
                    for value in matcher.exact:
                        by_value[value].add(place)
        found[name] = _Key({value: frozenset(here) for value, here in by_value.items()}, frozenset(others))
    return found


def _plain(policy: AccessPolicy, source: str) -> Iterator[tuple[str, Matcher]]:
    for rule in policy.scopes:
        if source in rule.sources:
            yield from ((name, matcher) for name, matcher in rule.selector.matchers if _is_plain(matcher))


def _is_plain(matcher: Matcher) -> bool:
    return not matcher.any_value and not matcher.prefixes
