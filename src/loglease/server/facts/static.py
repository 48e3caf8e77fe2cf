"""A provider whose answers stand in the configuration: for small things, for a start, and for tests of policies."""

from __future__ import annotations

from dataclasses import dataclass

from loglease.model.clock import Clock
from loglease.policy.observed import Observed, Question
from loglease.server.facts.interface import PrincipalOf, nothing_there
from loglease.server.facts.values import value_of
from loglease.sources.interface import Health


@dataclass(frozen=True, slots=True, kw_only=True)
class StaticValue:
    """One answer, and what it is for; None of a kind is everybody or everything.

    Attributes:
        raw: as it was written; its type is that of the fact.
    """

    fact: str
    raw: object
    accounts: frozenset[str] | None = None
    groups: frozenset[str] | None = None
    labels: frozenset[str] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class StaticConfig:
    """Answers in the order in which they are tried."""

    name: str
    values: tuple[StaticValue, ...]


class StaticProvider:
    """Gives the first answer that is for the question."""

    def __init__(self, config: StaticConfig, principal_of: PrincipalOf, clock: Clock) -> None:
        self._config = config
        self._principal_of = principal_of
        self._clock = clock

    @property
    def name(self) -> str:
        """What `from` calls it."""
        return self._config.name

    async def answer(self, question: Question) -> Observed:
        """Return what is written, as true now."""
        groups: frozenset[str] | None = None
        for one in self._config.values:
            if one.fact != question.rule.name:
                continue
            if one.groups is not None and groups is None:
                principal = await self._principal_of(question.issuer, question.account)
                groups = frozenset() if principal is None else principal.groups
            if _is_for(one, question, groups or frozenset()):
                return Observed(value_of(question.rule.type, one.raw), self.name, self._clock.now())
        return nothing_there(question, self.name, self._clock.now(), "no value is configured")

    def health(self) -> Health:
        """Say how many values there are."""
        return Health(ok=True, detail=f"{len(self._config.values)} values are configured.")

    async def probe(self) -> Health:
        """Say the same."""
        return self.health()

    async def refresh(self) -> None:
        """Do nothing: the configuration is read at SIGHUP."""

    def rosters(self) -> dict[str, frozenset[tuple[str, str]]]:
        """Return nothing: it has no rotas."""
        return {}

    async def aclose(self) -> None:
        """Do nothing."""


def _is_for(one: StaticValue, question: Question, groups: frozenset[str]) -> bool:
    label = None if question.label is None else question.label[1]
    return (
        (one.accounts is None or question.account in one.accounts)
        and (one.groups is None or not one.groups.isdisjoint(groups))
        and (one.labels is None or label in one.labels)
    )
