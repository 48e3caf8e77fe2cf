"""Holds on the audit log: set and released by administrators, on the record; they stop erasing and pruning."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from loglease.access.caller import STEP_UP_S, Caller
from loglease.access.errors import NotFound, NotPermitted, ReasonRequired
from loglease.access.once import Once
from loglease.access.permissions import require_may_decide
from loglease.access.records import Data
from loglease.audit.interface import Draft, EntryLog, Recorded
from loglease.model.ids import ENTRY, HOLD, EntryId, HoldId, NewId
from loglease.model.instant import Instant, instant_text
from loglease.model.legal_hold import LegalHold
from loglease.model.principal import Role
from loglease.store.interface import Transaction

MAX_REASON: Final = 2_000


async def set_hold(
    *,
    from_at: Instant,
    to_at: Instant,
    reason: str,
    caller: Caller,
    log: EntryLog[Transaction],
    new_id: NewId,
    once: Once | None = None,
) -> LegalHold:
    """Set a hold on what was, or will be, recorded in a span of time.

    Raises:
        NotPermitted: the caller is neither administrator nor auditor.
        ReasonRequired: no reason, or one that is too long.
        InvalidField: it would end before it begins.
        Locked: a lock is aimed at the caller.
    """
    caller.require_role(Role.ADMIN, Role.AUDITOR)
    if not reason.strip() or len(reason) > MAX_REASON:
        raise ReasonRequired(f"A hold needs a reason of at most {MAX_REASON:,} characters.", next_step="Say for what.")

    def work(tx: Transaction, now: Instant) -> Recorded[LegalHold]:
        created = None if once is None else once.created(tx, now)
        known = None if created is None else tx.legal_holds.find(HoldId(created))
        if known is not None:
            return Recorded(known)
        require_may_decide(tx, caller, now)
        hold = LegalHold(
            id=HoldId(new_id(HOLD)),
            from_at=from_at,
            to_at=to_at,
            reason=reason.strip(),
            set_by=caller.principal.id,
            set_at=now,
        )
        tx.legal_holds.insert(hold)
        if once is not None:
            once.remember(tx, hold.id, now)
        return Recorded(hold, (_entry(hold, "set", caller, new_id),))

    return await log.commit(work)


async def release_hold(hold_id: HoldId, *, caller: Caller, log: EntryLog[Transaction], new_id: NewId) -> LegalHold:
    """Release a hold. Repeating it answers the first result and writes nothing.

    Raises:
        NotFound: there is none.
        NotPermitted: the caller is no administrator, or set it: it takes somebody else.
        StepUpRequired: the sign-in is too old for this.
        Locked: a lock is aimed at the caller.
    """
    caller.require_role(Role.ADMIN)

    def work(tx: Transaction, now: Instant) -> Recorded[LegalHold]:
        require_may_decide(tx, caller, now)
        caller.require_sign_in(now, STEP_UP_S)
        hold = tx.legal_holds.find(hold_id)
        if hold is None:
            raise NotFound(f"There is no hold {hold_id}.", next_step="loglease audit hold list")
        if not hold.in_force:
            return Recorded(hold)
        setter = tx.principals.find(hold.set_by)
        if setter is not None and not setter.persons.isdisjoint(caller.principal.persons):
            raise NotPermitted("Who set a hold does not release it.", next_step="Ask another administrator.")
        done = replace(hold, released_at=now, released_by=caller.principal.id)
        tx.legal_holds.update(done)
        return Recorded(done, (_entry(done, "released", caller, new_id),))

    return await log.commit(work)


def holds_seen(tx: Transaction, caller: Caller) -> Sequence[LegalHold]:
    """Return all holds, released ones too.

    Raises:
        NotPermitted: the caller is neither administrator nor auditor.
    """
    caller.require_role(Role.ADMIN, Role.AUDITOR)
    return tx.legal_holds.all()


def _entry(hold: LegalHold, state: str, caller: Caller, new_id: NewId) -> Draft:
    data: Data = {
        "hold": hold.id,
        "state": state,
        "from_at": instant_text(hold.from_at),
        "to_at": instant_text(hold.to_at),
    }
    return Draft(id=EntryId(new_id(ENTRY)), type="hold.changed", actor=caller.principal.subject, data=data)
