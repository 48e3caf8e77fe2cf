"""Decide again on grants in use when other rules come into force: what was taken away reaches open sessions at once.

A guardrail that became tighter always does that, a policy only where it says so. What is left of a grant is what its
next session gets; a grant of which nothing is left is suspended until rules allow it again.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from loglease.access.commitments import Random
from loglease.access.resume_grant import resumed_entry
from loglease.access.rules import Rules
from loglease.access.suspend_grant import suspended_entry
from loglease.audit.interface import SYSTEM, Draft, EntryLog, Recorded
from loglease.model.access_request import AccessRequest
from loglease.model.errors import LogLeaseError
from loglease.model.grant import Grant, GrantState
from loglease.model.hold import SuspendCause, Suspension
from loglease.model.ids import ENTRY, EntryId, GrantId, NewId
from loglease.model.instant import Instant
from loglease.model.principal import Directory
from loglease.store.interface import Transaction

AT_ONCE: Final = 50
NOTHING_LEFT: Final = "The rules in force allow nothing of this any more."


async def recheck_grants(
    before: Rules | None, rules: Rules, *, log: EntryLog[Transaction], new_id: NewId, random: Random
) -> None:
    """Suspend active grants that may not be used any more, cut the sessions of those that give less, resume others.

    Sessions that open from now on have to be under `rules`.

    Args:
        before: the rules that sessions may have been opened under; None after a start, when there are none: then
            grants are only resumed.

    Raises:
        AuditUnavailable, StoreUnavailable: not all grants were decided on; doing it again does no harm.
    """

    def find(tx: Transaction, now: Instant) -> Recorded[list[GrantId]]:
        active = (one for one in tx.grants.live() if one.stored_state_at(now) is GrantState.ACTIVE)
        # One that reveals a value is nothing without its parent.
        return Recorded([one.id for one in active if one.parent is None])

    async def decide(part: list[GrantId]) -> None:
        def work(tx: Transaction, now: Instant) -> Recorded[None]:
            change = _Change(tx, before, rules, now, new_id=new_id, random=random)
            return Recorded(None, tuple(entry for grant_id in part for entry in change.entries(grant_id)))

        await log.commit(work)

    found = await log.commit(find)
    for first in range(0, len(found), AT_ONCE):
        await decide(found[first : first + AT_ONCE])


class _Change:
    """Other rules than before, inside one transaction."""

    def __init__(
        self, tx: Transaction, before: Rules | None, rules: Rules, now: Instant, *, new_id: NewId, random: Random
    ) -> None:
        self._tx = tx
        # What a policy wants to stay true is for `keep_grants` to look at; here only the documents are others.
        self._rules = rules = rules.shown()
        # Under the same profiles, so that what differs is what the documents say.
        self._before = None if before is None else replace(before.shown(), profiles=rules.profiles)
        self._guarded = None if before is None else before.with_guardrails_of(rules)
        self._directory: Directory = tx.principals.directory()
        self._now = now
        self._new_id = new_id
        self._random = random

    def entries(self, grant_id: GrantId) -> list[Draft]:
        """Store what becomes of a grant and return the entries about it."""
        grant = self._tx.grants.find(grant_id)
        request = None if grant is None else self._tx.requests.find(grant.request)
        if grant is None or request is None or grant.stored_state_at(self._now) is not GrantState.ACTIVE:
            return []
        if self._rules.keeps(grant) is not None or self._tx.keeps.find(grant.id) is not None:
            # What has to stay true, and how often that is looked at, may be something else by now.
            self._tx.keeps.begin(grant.id, self._now)
        left = self._left(self._rules, request, grant)
        cause = self._cause(request, grant, left)
        if left is None:
            return [] if cause is None else self._suspended(grant, cause)
        entries = [entry for one in self._ours(grant) for entry in self._resumed(grant, one)]
        if cause is not None and self._tx.sessions.has_unclosed(grant.id):
            # Suspended for no time at all: that ends its sessions in every process, and new ones get what is left.
            entries += [self._entry(grant, cause), self._resumed_entry(grant, cause)]
        return entries

    def _cause(self, request: AccessRequest, grant: Grant, left: Grant | None) -> SuspendCause | None:
        """Return what takes away from a grant so that its sessions have to end; None where nothing does."""
        if self._before is None or self._guarded is None:
            return None
        was = self._left(self._before, request, grant)
        if was is None:
            return None
        if self._is_less(self._left(self._guarded, request, grant), was):
            return SuspendCause.GUARDRAIL
        return SuspendCause.POLICY if self._rules.cuts(request) and self._is_less(left, was) else None

    def _is_less(self, left: Grant | None, before: Grant) -> bool:
        if left is None or (left.shape.network_bound and not before.shape.network_bound):
            return True
        if left.shape.pseudonyms.reach < before.shape.pseudonyms.reach:
            return True
        if left.shape.ack.strength > before.shape.ack.strength:
            return True
        return self._rules.is_stricter(left.terms, before.terms)

    def _left(self, rules: Rules, request: AccessRequest, grant: Grant) -> Grant | None:
        """Return what rules leave of an active grant; None for nothing."""
        try:
            return rules.usable(request, grant, self._directory, self._now)
        except LogLeaseError:
            return None

    def _ours(self, grant: Grant) -> list[Suspension]:
        return [one for one in self._tx.holds.suspensions(grant.id) if one.reason == NOTHING_LEFT]

    def _suspended(self, grant: Grant, cause: SuspendCause) -> list[Draft]:
        if any(one.cause is cause for one in self._tx.holds.suspensions(grant.id)):
            return []
        self._tx.holds.insert_suspension(Suspension(grant=grant.id, cause=cause, reason=NOTHING_LEFT, since=self._now))
        return [self._entry(grant, cause)]

    def _resumed(self, grant: Grant, suspension: Suspension) -> list[Draft]:
        self._tx.holds.delete_suspension(suspension)
        return [self._resumed_entry(grant, suspension.cause)]

    def _entry(self, grant: Grant, cause: SuspendCause) -> Draft:
        suspension = Suspension(grant=grant.id, cause=cause, reason="", since=self._now)
        entry_id = EntryId(self._new_id(ENTRY))
        return suspended_entry(grant, suspension, entry_id=entry_id, actor=SYSTEM, random=self._random)

    def _resumed_entry(self, grant: Grant, cause: SuspendCause) -> Draft:
        return resumed_entry(grant, cause, actor=SYSTEM, new_id=self._new_id, random=self._random)
