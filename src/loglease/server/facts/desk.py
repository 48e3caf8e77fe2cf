"""Where rules learn facts: what a call itself says, and what providers answer."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace

from loglease.access.caller import Caller
from loglease.access.facts import gather
from loglease.access.rules import Rules
from loglease.model.clock import Clock
from loglease.model.instant import Instant
from loglease.policy.observed import Facts, Question
from loglease.server.facts.presence import Networks, network_of, presence
from loglease.server.facts.providers import FactProviders
from loglease.server.facts.zones import zones_version


@dataclass(frozen=True, slots=True, kw_only=True)
class FactDesk:
    """Whom facts are asked from.

    Attributes:
        networks: ours, by name.
        providers: those in force.
    """

    networks: Networks
    providers: FactProviders
    clock: Clock

    def informed(self, rules: Rules) -> Rules:
        """Return rules that ask here."""
        declared = tuple(rules.bundle.facts.values())

        def present(caller: Caller, now: Instant) -> Facts:
            return presence(declared, caller, caller.address, self.networks, now)

        def network(caller: Caller) -> str | None:
            return network_of(caller.address, self.networks)

        async def ask(questions: Collection[Question]) -> Facts:
            return await gather(questions, self.providers.current, self.clock)

        return replace(rules, presence=present, network_of=network, ask=ask, zones=zones_version())
