"""Looks, while grants are active, whether what their policies want to stay true still is so.

A grant of which it is not is suspended, or revoked where the policy says so; one that was suspended for that goes on
once it holds again. A provider that fails is no reason at once: its last good answer counts until it is too old.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from typing import Final

from loglease.access.commitments import Commitments, Random
from loglease.access.records import Data, refs
from loglease.access.rules import Rules
from loglease.access.suspend_grant import suspended_entry
from loglease.audit.interface import SYSTEM, Draft, EntryLog, Recorded
from loglease.model.access_request import AccessRequest
from loglease.model.grant import Grant, GrantMove, GrantState, move
from loglease.model.hold import SuspendCause, Suspension
from loglease.model.ids import ENTRY, EntryId, GrantId, NewId
from loglease.model.instant import MICROSECONDS, Instant, instant_text
from loglease.model.principal import Principal
from loglease.policy.conditions import Fault
from loglease.policy.documents import Otherwise
from loglease.policy.observed import FactKey, Facts, Observed
from loglease.policy.plan import Refusal
from loglease.store.interface import Transaction

NOT_KEPT: Final = "What the policy wants to stay true does not hold."


@dataclass(slots=True)
class Keeper:
    """Remembers when it looked at a grant, and the last good answers.

    Attributes:
        looked: when each grant was looked at last.
        good: by grant, the last answers that were no faults.
    """

    log: EntryLog[Transaction]
    new_id: NewId
    random: Random
    looked: dict[GrantId, Instant] = field(default_factory=dict)
    good: dict[GrantId, dict[FactKey, Observed]] = field(default_factory=dict)

    async def step(self, rules: Rules) -> None:
        """Look at the active grants whose time has come.

        Raises:
            AuditUnavailable, StoreUnavailable: it is not known of all grants; the next step looks again.
        """
        if all(policy.grant.keep is None for policy in rules.bundle.policies):
            self._forget(())
            return
        due = await self.log.commit(lambda tx, now: Recorded(self._due(tx, rules, now)))
        for one in due:
            answers = await rules.ask(rules.keep_questions(one.request, one.holder))
            known = self._bridged(one.grant, answers)

            def work(tx: Transaction, now: Instant, one: _Due = one, known: Facts = known) -> Recorded[None]:
                self.looked[one.grant] = now
                return Recorded(None, tuple(self._entries(tx, one.grant, rules, known, now)))

            await self.log.commit(work)

    def _due(self, tx: Transaction, rules: Rules, now: Instant) -> list[_Due]:
        found, live = [], set()
        for grant in tx.grants.live():
            keep = rules.keeps(grant)
            if keep is None or grant.stored_state_at(now) is not GrantState.ACTIVE:
                continue
            live.add(grant.id)
            last = self.looked.get(grant.id)
            request, holder = tx.requests.find(grant.request), tx.principals.find(grant.holder)
            if (
                (last is None or now - last >= keep.every_s * MICROSECONDS)
                and request is not None
                and holder is not None
            ):
                found.append(_Due(grant.id, request, holder))
        self._forget(live)
        return found

    def _forget(self, live: Collection[GrantId]) -> None:
        for kept in (self.looked, self.good):
            for gone in [one for one in kept if one not in live]:
                del kept[gone]

    def _bridged(self, grant: GrantId, answers: Facts) -> Facts:
        """Return the answers, with the last good one in place of a fault; how old it may be, policy says."""
        good = self.good.setdefault(grant, {})
        good |= {key: one for key, one in answers.items() if not isinstance(one.value, Fault)}
        return {**answers, **good}

    def _entries(self, tx: Transaction, grant_id: GrantId, rules: Rules, known: Facts, now: Instant) -> Iterable[Draft]:
        grant = tx.grants.find(grant_id)
        keep = None if grant is None else rules.keeps(grant)
        if grant is None or keep is None or grant.stored_state_at(now) is not GrantState.ACTIVE:
            return ()
        request, holder = tx.requests.find(grant.request), tx.principals.find(grant.holder)
        if request is None or holder is None:
            return ()
        refusal = rules.keep_refusal(request, holder, known, now)
        ours = [one for one in tx.holds.suspensions(grant.id) if one.reason == NOT_KEPT]
        if refusal is None:
            return [self._resumed(tx, grant, one) for one in ours]
        if keep.otherwise is Otherwise.REVOKE and not refusal.for_now:
            return [self._revoked(tx, grant, refusal, now)]
        return [] if self._is_suspended(tx, grant) else [self._suspended(tx, grant, now)]

    def _is_suspended(self, tx: Transaction, grant: Grant) -> bool:
        return any(one.cause is SuspendCause.POLICY for one in tx.holds.suspensions(grant.id))

    def _suspended(self, tx: Transaction, grant: Grant, now: Instant) -> Draft:
        suspension = Suspension(grant=grant.id, cause=SuspendCause.POLICY, reason=NOT_KEPT, since=now)
        tx.holds.insert_suspension(suspension)
        entry_id = EntryId(self.new_id(ENTRY))
        return suspended_entry(grant, suspension, entry_id=entry_id, actor=SYSTEM, random=self.random)

    def _resumed(self, tx: Transaction, grant: Grant, suspension: Suspension) -> Draft:
        tx.holds.delete_suspension(suspension)
        return Draft(
            id=EntryId(self.new_id(ENTRY)),
            type="grant.resumed",
            actor=SYSTEM,
            ref=refs(request=grant.request, grant=grant.id),
            data={"cause": str(suspension.cause)},
        )

    def _revoked(self, tx: Transaction, grant: Grant, refusal: Refusal, now: Instant) -> Draft:
        done = move(grant, GrantMove.REVOKE, by=None, now=now, reason=NOT_KEPT)
        tx.grants.update(done)
        tx.tokens.revoke(now, grant=grant.id)
        commitments = Commitments(self.random)
        data: Data = {
            "cause": "policy",
            "object": grant.policy,
            "effective_at": instant_text(now),
            "late": False,
            "reason_c": commitments.to("reason_c", refusal.message),
        }
        return Draft(
            id=EntryId(self.new_id(ENTRY)),
            type="grant.revoked",
            actor=SYSTEM,
            ref=refs(request=grant.request, grant=grant.id),
            data=data,
            private=commitments.taken(),
        )


@dataclass(frozen=True, slots=True)
class _Due:
    """A grant that has to be looked at, and whose it is."""

    grant: GrantId
    request: AccessRequest
    holder: Principal
