"""What every end of a grant has in common: the stored state, the entry with what was read, dead tokens."""

from __future__ import annotations

from loglease.access.extensions import ended_after
from loglease.access.records import refs
from loglease.audit.interface import SYSTEM, Draft
from loglease.model.grant import EndWhy, Grant, GrantMove, move
from loglease.model.ids import ENTRY, EntryId, NewId
from loglease.model.instant import Instant
from loglease.model.principal import Principal
from loglease.store.interface import Transaction


def ended(
    tx: Transaction, grant: Grant, how: GrantMove, *, by: Principal | None, now: Instant, new_id: NewId
) -> tuple[Grant, tuple[Draft, ...]]:
    """End a grant that expired, was used up, was idle or was given back, and what was to go on from it.

    Raises:
        GrantEnded, GrantNotActive: it cannot end that way now.
    """
    done = move(grant, how, by=by.id if by else None, now=now)
    tx.grants.update(done)
    tx.tokens.revoke(now, grant=grant.id)
    entry = Draft(
        id=EntryId(new_id(ENTRY)),
        type="grant.ended",
        actor=by.subject if by else SYSTEM,
        ref=refs(request=grant.request, grant=grant.id),
        data={
            "why": str(done.ended_why or EndWhy.EXPIRED),
            "total": {"lines": grant.usage.lines, "bytes": grant.usage.bytes},
        },
    )
    after = ended_after(tx, done, now, actor=entry.actor, new_id=new_id)
    return done, (entry, *after)
