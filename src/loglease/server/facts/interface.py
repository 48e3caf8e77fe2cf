"""What every provider of facts here is: it answers, knows how it is doing, and can be refreshed and closed."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Protocol

from loglease.access.facts import FactProvider
from loglease.model.instant import Instant
from loglease.model.principal import Principal
from loglease.policy.conditions import ABSENT, Fault
from loglease.policy.observed import Observed, Question
from loglease.sources.interface import Health

PrincipalOf = Callable[[str, str], Awaitable[Principal | None]]
"""Returns the principal of an issuer and an account."""


class Provider(FactProvider, Protocol):
    """A provider as the server keeps it."""

    def health(self) -> Health:
        """Say how it is doing, from what is known already."""

    async def probe(self) -> Health:
        """Find out whether what it depends on can be had, for `loglease doctor`."""

    async def refresh(self) -> None:
        """Read again what it keeps, if it keeps anything. What cannot be read is a matter of `health`."""

    def rosters(self) -> Mapping[str, frozenset[tuple[str, str]]]:
        """Return issuers and accounts of those on call now, by rota; a provider without rotas has none."""

    async def aclose(self) -> None:
        """Release everything, after the answers that are being given."""


def nothing_there(question: Question, provider: str, now: Instant, reason: str) -> Observed:
    """Return that the fact does not exist: an answer where it is optional, else a fault with the reason."""
    return Observed(ABSENT if question.rule.optional else Fault(reason), provider, now)
