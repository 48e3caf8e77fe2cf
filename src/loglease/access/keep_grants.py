"""Looks, while grants are active, whether what their policies want to stay true still is so.

A grant of which it is not is suspended, or revoked where the policy says so; one that was suspended for that goes on
once it holds again. A provider that fails is no reason at once: its last good answer counts until it is too old.

When a grant is looked at next, and what was known of it last, is in the database: a look costs what is due, not what is
live, several processes share the looks, and a start forgets nothing.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Final

import orjson

from loglease.access.commitments import Random
from loglease.access.dependents import dependent_grants, take_away
from loglease.access.journal import Journal, JournalRefused, revocation_record
from loglease.access.resume_grant import resumed_entry
from loglease.access.revoke import MAX_REASON
from loglease.access.rules import Rules
from loglease.access.suspend_grant import suspended_entry
from loglease.audit.interface import SYSTEM, Draft, EntryLog, Recorded
from loglease.model.access_request import AccessRequest
from loglease.model.clock import Clock
from loglease.model.grant import Grant, GrantState
from loglease.model.hold import LockKind, LockOn, SuspendCause, Suspension
from loglease.model.ids import ENTRY, REVOCATION, EntryId, GrantId, NewId, RevocationId
from loglease.model.instant import Instant, after
from loglease.model.principal import Principal
from loglease.policy.conditions import Fault
from loglease.policy.documents import Otherwise
from loglease.policy.fact_records import facts_data, facts_of
from loglease.policy.observed import NOTHING_KNOWN, Facts
from loglease.policy.plan import Refusal
from loglease.store.interface import RevocationRow, Transaction
from loglease.store.keeps_interface import NextLook
from loglease.store.store_interface import Store

NOT_KEPT: Final = "What the policy wants to stay true does not hold."
AT_ONCE: Final = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class Keeper:
    """Looks at the grants whose time has come."""

    log: EntryLog[Transaction]
    store: Store
    journal: Journal
    clock: Clock
    new_id: NewId
    random: Random

    async def step(self, rules: Rules) -> None:
        """Look at all that is due.

        Raises:
            AuditUnavailable, StoreUnavailable: it is not known of all grants; the next step looks again.
        """
        while True:
            due = await self.store.read(partial(_due, rules=rules, now=self.clock.now()))
            if not due:
                return
            answers = await asyncio.gather(*(_asked(one, rules) for one in due))
            known = {one.grant: found for one, found in zip(due, answers, strict=True)}

            def work(tx: Transaction, now: Instant, known: dict[GrantId, Facts] = known) -> Recorded[_Looks]:
                looks = _Looks(tx, rules, now, new_id=self.new_id, random=self.random)
                entries = tuple(entry for grant, facts in known.items() for entry in looks.entries(grant, facts))
                return Recorded(looks, entries)

            looks = await self.log.commit(work)
            for act in looks.acts:
                # The database has it; a journal that cannot be written is shown by health and stops no revocation.
                with contextlib.suppress(JournalRefused):
                    await self.journal.append(revocation_record(act))
            if len(due) < AT_ONCE or not looks.done:
                return


@dataclass(frozen=True, slots=True)
class _Due:
    """A grant that has to be looked at; `asked` None where there is nobody to ask about."""

    grant: GrantId
    asked: tuple[AccessRequest, Principal] | None


def _due(tx: Transaction, rules: Rules, now: Instant) -> Sequence[_Due]:
    return [
        _Due(look.grant, _subject(tx, tx.grants.find(look.grant), rules, now)) for look in tx.keeps.due(now, AT_ONCE)
    ]


def _subject(
    tx: Transaction, grant: Grant | None, rules: Rules, now: Instant
) -> tuple[AccessRequest, Principal] | None:
    """Return the request and the holder of a grant that has to be looked at; None where there is nothing to look at."""
    if grant is None or rules.keeps(grant) is None or grant.stored_state_at(now) is not GrantState.ACTIVE:
        return None
    request, holder = tx.requests.find(grant.request), tx.principals.find(grant.holder)
    return None if request is None or holder is None else (request, holder)


async def _asked(due: _Due, rules: Rules) -> Facts:
    return NOTHING_KNOWN if due.asked is None else await rules.ask(rules.keep_questions(*due.asked))


class _Looks:
    """Looks at several grants, inside one transaction.

    Attributes:
        acts: the revocations among what they led to.
        done: how many there were that nobody else had done.
    """

    def __init__(self, tx: Transaction, rules: Rules, now: Instant, *, new_id: NewId, random: Random) -> None:
        self.acts: list[RevocationRow] = []
        self.done = 0
        self._tx = tx
        self._rules = rules
        self._now = now
        self._new_id = new_id
        self._random = random

    def entries(self, grant_id: GrantId, answers: Facts) -> list[Draft]:
        """Store what becomes of a grant, and when it is looked at next; return the entries about it."""
        look, grant = self._tx.keeps.find(grant_id), self._tx.grants.find(grant_id)
        if look is None or look.due_at > self._now:
            return []  # another process was faster
        self.done += 1
        keep = None if grant is None else self._rules.keeps(grant)
        subject = _subject(self._tx, grant, self._rules, self._now)
        if grant is None or keep is None or subject is None:
            self._tx.keeps.end(grant_id)
            return self._resumed(grant) if grant is not None and keep is None else []
        good = _good(look, answers)
        due_at = after(self._now, keep.every_s)
        self._tx.keeps.update(replace(look, due_at=due_at, good=orjson.dumps(facts_data(good)).decode()))
        refusal = self._rules.keep_refusal(*subject, {**answers, **good}, self._now)
        if refusal is None:
            return self._resumed(grant)
        if keep.otherwise is Otherwise.REVOKE and not refusal.for_now:
            return self._revoked(grant, refusal)
        return self._suspended(grant)

    def _suspended(self, grant: Grant) -> list[Draft]:
        if any(one.cause is SuspendCause.POLICY for one in self._tx.holds.suspensions(grant.id)):
            return []
        suspension = Suspension(grant=grant.id, cause=SuspendCause.POLICY, reason=NOT_KEPT, since=self._now)
        self._tx.holds.insert_suspension(suspension)
        entry_id = EntryId(self._new_id(ENTRY))
        return [suspended_entry(grant, suspension, entry_id=entry_id, actor=SYSTEM, random=self._random)]

    def _resumed(self, grant: Grant) -> list[Draft]:
        """Lift what looks have set, where the grant is active still."""
        if grant.stored_state_at(self._now) is not GrantState.ACTIVE:
            return []
        entries = []
        for one in self._tx.holds.suspensions(grant.id):
            if one.reason == NOT_KEPT:
                self._tx.holds.delete_suspension(one)
                entries.append(resumed_entry(grant, one.cause, actor=SYSTEM, new_id=self._new_id, random=self._random))
        return entries

    def _revoked(self, grant: Grant, refusal: Refusal) -> list[Draft]:
        on = LockOn(LockKind.GRANT, grant.id)
        grants = dependent_grants(self._tx, on, self._now)
        row = RevocationRow(
            id=RevocationId(self._new_id(REVOCATION)),
            on=on,
            grants=tuple(one.id for one in grants),
            by=None,
            at=self._now,
            reason=refusal.message[:MAX_REASON],
        )
        self.acts.append(row)
        self._tx.keeps.end(grant.id)
        return take_away(self._tx, row, grants, actor=SYSTEM, now=self._now, new_id=self._new_id, random=self._random)


def _good(look: NextLook, answers: Facts) -> Facts:
    """Return the last good answer to each question that is asked now; how old it may be, policy says."""
    before = facts_of(orjson.loads(look.good))
    latest = {key: before.get(key, one) if isinstance(one.value, Fault) else one for key, one in answers.items()}
    return {key: one for key, one in latest.items() if not isinstance(one.value, Fault)}
