"""The providers of facts in force: opened from the configuration, refreshed by a loop, replaced at SIGHUP."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from types import MappingProxyType
from typing import Final

from loglease.model.clock import Clock
from loglease.model.principal import Principal
from loglease.server.facts.configuration import ProviderConfig, provider_configurations
from loglease.server.facts.http import HttpConfig, HttpProvider
from loglease.server.facts.interface import PrincipalOf, Provider
from loglease.server.facts.static import StaticConfig, StaticProvider
from loglease.server.settings import Settings
from loglease.store.rosters import Rosters
from loglease.store.store_interface import Store

READY_WITHIN_S: Final = 5.0
"""How long the start waits for what providers keep; after that it is read while the server runs."""


def opened(config: ProviderConfig, principal_of: PrincipalOf, clock: Clock) -> Provider:
    """Return a provider; it connects when it is first asked or refreshed."""
    if isinstance(config, StaticConfig):
        return StaticProvider(config, principal_of, clock)
    if isinstance(config, HttpConfig):
        return HttpProvider(config, clock)
    # Calendars take half a second to import, and most servers have none.
    from loglease.server.facts.rota import RotaProvider  # noqa: PLC0415

    return RotaProvider(config, clock)


def principals_in(store: Store) -> PrincipalOf:
    """Return a look-up of principals."""

    async def principal_of(issuer: str, account: str) -> Principal | None:
        return await store.read(lambda tx: tx.principals.by_account(issuer, account))

    return principal_of


class FactProviders:
    """Holds the providers in force, by their names; a reload puts others there."""

    def __init__(self, principal_of: PrincipalOf, clock: Clock, rosters: Rosters) -> None:
        self._principal_of = principal_of
        self._clock = clock
        self._rosters = rosters
        self.current: Mapping[str, Provider] = MappingProxyType({})

    def put(self, providers: Mapping[str, Provider]) -> None:
        """Put providers in force; those before are for the caller to close."""
        self.current = providers
        self._tell()

    def _tell(self) -> None:
        """Tell the store who is on call."""
        self._rosters.current = {rota: who for one in self.current.values() for rota, who in one.rosters().items()}

    async def prepared(self, settings: Settings) -> Mapping[str, Provider]:
        """Return the configured providers, refreshed, beside those in force.

        Raises:
            SettingsInvalid: the configuration has mistakes.
        """
        found = await asyncio.to_thread(self._opened, settings)
        with suppress(TimeoutError):
            async with asyncio.timeout(READY_WITHIN_S):
                await asyncio.gather(*(one.refresh() for one in found.values()))
        return MappingProxyType(found)

    def _opened(self, settings: Settings) -> dict[str, Provider]:
        """Open providers; secrets are read and certificates loaded, which takes a while."""
        return {one.name: opened(one, self._principal_of, self._clock) for one in provider_configurations(settings)}

    async def refresh(self) -> None:
        """Read again what providers keep, where it is time, and tell the store who is on call now."""
        await asyncio.gather(*(one.refresh() for one in self.current.values()))
        self._tell()

    async def aclose(self) -> None:
        """Close all providers."""
        await closed(self.current)


async def closed(providers: Mapping[str, Provider]) -> None:
    """Close providers that are in force no more, when what they were asked is answered."""
    await asyncio.gather(*(one.aclose() for one in providers.values()))
