"""Which policies could offer anything to somebody, found without asking each one."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final, Self

from loglease.model.principal import EVERYBODY, Kind, Principal
from loglease.policy.documents import AccessPolicy

_PREFIXES: Final = {Kind.HUMAN: "user", Kind.AGENT: "agent", Kind.SERVICE: "service"}


@dataclass(frozen=True, slots=True)
class PolicyIndex:
    """The policies of a bundle by the names in `who` and by their sources; it leaves out none that could fit.

    Attributes:
        policies: all of them, in the order of the bundle.
        by_name: places in `policies` by a name in `who.any_of`.
        by_source: places by a source of one of the scopes.
        exclusive: those that take what overlaps them from all others.
    """

    policies: tuple[AccessPolicy, ...]
    by_name: Mapping[str, frozenset[int]]
    by_source: Mapping[str, frozenset[int]]
    exclusive: tuple[AccessPolicy, ...]

    @classmethod
    def of(cls, policies: tuple[AccessPolicy, ...]) -> Self:
        """Build the index."""
        by_name: dict[str, set[int]] = defaultdict(set)
        by_source: dict[str, set[int]] = defaultdict(set)
        for place, policy in enumerate(policies):
            for name in policy.who.any_of:
                by_name[name].add(place)
            for rule in policy.scopes:
                for source in rule.sources:
                    by_source[source].add(place)
        return cls(
            policies,
            {name: frozenset(places) for name, places in by_name.items()},
            {name: frozenset(places) for name, places in by_source.items()},
            tuple(one for one in policies if one.exclusive),
        )

    def for_principal(self, principal: Principal) -> tuple[AccessPolicy, ...]:
        """Return the policies that name a principal; whether they fit is for them to say."""
        return self._at(self._places_of(principal))

    def candidates(self, principal: Principal, sources: Iterable[str]) -> tuple[AccessPolicy, ...]:
        """Return those of them that have scopes in all of these sources."""
        places = self._places_of(principal)
        for source in sources:
            places &= self.by_source.get(source, frozenset())
        return self._at(places)

    def _places_of(self, principal: Principal) -> frozenset[int]:
        names = [f"group:{group}" for group in principal.groups]
        names.append(f"{_PREFIXES[principal.kind]}:{principal.account}")
        names.append(f"group:{EVERYBODY}")
        return frozenset().union(*(self.by_name[name] for name in names if name in self.by_name))

    def _at(self, places: Iterable[int]) -> tuple[AccessPolicy, ...]:
        return tuple(self.policies[place] for place in sorted(places))
