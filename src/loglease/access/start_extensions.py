"""Begin extensions whose time has come. Nothing depends on this having run: their clock has the same start without."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from loglease.access.activate_grant import activated
from loglease.access.errors import GuardrailDenied, PolicyDenied, PolicyUndecided
from loglease.access.knowing import commit_knowing
from loglease.access.rules import Rules
from loglease.access.watch import Watch
from loglease.audit.interface import EntryLog, Recorded
from loglease.model.clock import Clock
from loglease.model.errors import GrantEnded, GrantNotActive
from loglease.model.grant import GrantState
from loglease.model.ids import GrantId, NewId
from loglease.model.instant import MICROSECONDS, Instant
from loglease.store.interface import Transaction
from loglease.store.store_interface import Store

AT_ONCE: Final = 100
AGAIN_S: Final = 10
"""How long one that may not begin is left alone; its holder may try at any time."""
_NOT_NOW: Final = (GrantEnded, GrantNotActive, GuardrailDenied, PolicyDenied, PolicyUndecided)


@dataclass(slots=True, kw_only=True)
class Starter:
    """Begins extensions, and remembers which ones were refused lately."""

    log: EntryLog[Transaction]
    store: Store
    watch: Watch
    clock: Clock
    new_id: NewId
    refused: dict[GrantId, Instant] = field(default_factory=dict)

    async def step(self, rules: Rules) -> int:
        """Begin the extensions that are due, as far as policy, locks and suspensions allow; return how many began.

        Raises:
            AuditUnavailable, ClockSuspect, StoreUnavailable: nothing may begin at the moment.
        """
        now = self.clock.now()
        due = await self.store.read(lambda tx: [one.id for one in tx.grants.starting(now, AT_ONCE)])
        self.refused = {one: at for one, at in self.refused.items() if one in due}
        began = 0
        for grant_id in due:
            refused_at = self.refused.get(grant_id)
            if refused_at is None or now - refused_at >= AGAIN_S * MICROSECONDS:
                self.watch.require_ready()
                began += await self._begin(grant_id, rules, now)
        return began

    async def _begin(self, grant_id: GrantId, rules: Rules, at: Instant) -> int:
        def work(tx: Transaction, now: Instant, rules: Rules) -> Recorded[int]:
            grant = tx.grants.find(grant_id)
            holder = None if grant is None else tx.principals.find(grant.holder)
            if grant is None or holder is None or grant.stored_state_at(now) is not GrantState.SCHEDULED:
                return Recorded(0)
            _, entries = activated(tx, grant, holder, now, rules=rules, new_id=self.new_id, by_itself=True)
            return Recorded(1, entries)

        try:
            return await commit_knowing(work, caller=None, log=self.log, rules=rules)
        except _NOT_NOW:
            self.refused[grant_id] = at
            return 0
