"""Who asks and who decides: principals, the persons behind them, and a snapshot of both for one decision."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType
from typing import Final

from loglease.model.ids import PersonId, PrincipalId, SubjectId
from loglease.model.instant import MICROSECONDS, Instant


class Kind(StrEnum):
    """What a principal is; only humans review."""

    HUMAN = "human"
    AGENT = "agent"
    SERVICE = "service"


class Role(StrEnum):
    """Rights inside the product. None of them gives access to lines."""

    AUDITOR = "auditor"
    POLICY_ADMIN = "policy_admin"
    ADMIN = "admin"


@dataclass(frozen=True, slots=True, kw_only=True)
class StandIn:
    """Who reviews in the place of somebody for a time, where a policy lets them."""

    person: PersonId
    since: Instant
    until: Instant

    def in_force(self, now: Instant) -> bool:
        """Say whether it holds at an instant."""
        return self.since <= now < self.until

    @property
    def span_s(self) -> int:
        """For how long it was named, in seconds, rounded up."""
        return -((self.since - self.until) // MICROSECONDS)


@dataclass(frozen=True, slots=True, kw_only=True)
class Principal:
    """One login, known by the pair (issuer, account); name and e-mail are decoration.

    Attributes:
        person: the human being behind a human login; for an agent or service its owner's.
        subject: the random name that audit entries use for this person, agent or service.
        suspected: persons who may be the same human being; suspicion only takes rights away.
        stand_in: who reviews in this person's place; None for nobody.
        manager: whom `relation:manager` means for what this login asks; None for nobody.
    """

    id: PrincipalId
    issuer: str
    account: str
    kind: Kind
    person: PersonId
    subject: SubjectId
    name: str
    email: str | None = None
    groups: frozenset[str] = frozenset()
    roles: frozenset[Role] = frozenset()
    suspected: frozenset[PersonId] = frozenset()
    enabled: bool = True
    manager: PersonId | None = None
    stand_in: StandIn | None = None

    @property
    def persons(self) -> frozenset[PersonId]:
        """The persons this principal counts as wherever different people are demanded."""
        return self.suspected | {self.person}


@dataclass(frozen=True, slots=True)
class Directory:
    """All principals as of one moment, so that a decision is a function of values.

    Attributes:
        on_call: who is on call at that moment, by the name of the rota; a rota that is not known has nobody.
    """

    principals: Mapping[PrincipalId, Principal]
    on_call: Mapping[str, frozenset[PrincipalId]] = field(default_factory=dict)

    def principal(self, principal_id: PrincipalId) -> Principal | None:
        """Return one principal, enabled or not; None if it was never known."""
        return self.principals.get(principal_id)

    def humans(self) -> Iterable[Principal]:
        """Return the enabled human principals, in a stable order."""
        chosen = (one for one in self.principals.values() if one.kind is Kind.HUMAN and one.enabled)
        return sorted(chosen, key=lambda one: one.id)

    def rotas_of(self, principal_id: PrincipalId) -> frozenset[str]:
        """Return the rotas in which somebody is on call."""
        return frozenset(name for name, people in self.on_call.items() if principal_id in people)

    def members(self, group: str) -> Iterable[Principal]:
        """Return the enabled human members of a group; an unknown group has none."""
        return (one for one in self.humans() if group in one.groups)


EVERYBODY: Final = "everybody"
"""The group that every enabled human is in; it needs no entry in any directory."""


def directory_of(
    principals: Iterable[Principal], on_call: Mapping[str, frozenset[PrincipalId]] | None = None
) -> Directory:
    """Return a read-only snapshot."""
    return Directory(MappingProxyType({one.id: one for one in principals}), MappingProxyType(dict(on_call or {})))
