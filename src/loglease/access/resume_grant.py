"""Let a suspended grant be used again: somebody who may revoke it, and never its holder."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from loglease.access.caller import Caller
from loglease.access.commitments import Commitments, Random
from loglease.access.errors import NotPermitted
from loglease.access.permissions import require_may_revoke, visible_grant
from loglease.access.records import Data, refs
from loglease.audit.interface import Draft, EntryLog, Recorded
from loglease.model.grant import Grant, refusal
from loglease.model.hold import SuspendCause
from loglease.model.ids import ENTRY, EntryId, GrantId, NewId
from loglease.model.instant import Instant
from loglease.store.interface import Transaction

_LIFTED: Final = frozenset({SuspendCause.PERSON, SuspendCause.RESTORE})
"""What a person may lift; the rest is lifted by what caused it."""


async def resume_grant(
    grant_id: GrantId, *, reason: str, caller: Caller, log: EntryLog[Transaction], new_id: NewId, random: Random
) -> Grant:
    """Lift the suspension that a person set, or that a restore did. No session resumes by itself.

    Raises:
        NotFound: there is none that the caller may see.
        NotPermitted: the caller holds it, or may not revoke it either.
        GrantEnded: it ended meanwhile.
    """

    def work(tx: Transaction, now: Instant) -> Recorded[Grant]:
        grant, request = visible_grant(tx, caller, grant_id)
        require_may_revoke(tx, caller, request)
        if caller.principal.persons & request.persons:
            raise NotPermitted("Nobody resumes their own grant.", next_step="Ask whoever suspended it.")
        if not grant.is_live(now):
            raise refusal(grant, now)
        found = [one for one in tx.holds.suspensions(grant.id) if one.cause in _LIFTED]
        for one in found:
            tx.holds.delete_suspension(one)
        if grant.epoch != tx.epoch:
            grant = replace(grant, epoch=tx.epoch, version=grant.version + 1)
            tx.grants.update(grant)
        actor = caller.principal.subject
        entries = [resumed_entry(grant, one.cause, reason, actor=actor, new_id=new_id, random=random) for one in found]
        return Recorded(grant, tuple(entries))

    return await log.commit(work)


def resumed_entry(
    grant: Grant, cause: SuspendCause, reason: str = "", *, actor: str, new_id: NewId, random: Random
) -> Draft:
    """Return the entry of a suspension that is lifted."""
    commitments = Commitments(random)
    data: Data = {"cause": str(cause)}
    if reason:
        data["reason_c"] = commitments.to("reason_c", reason)
    return Draft(
        id=EntryId(new_id(ENTRY)),
        type="grant.resumed",
        actor=actor,
        ref=refs(request=grant.request, grant=grant.id),
        data=data,
        private=commitments.taken(),
    )
