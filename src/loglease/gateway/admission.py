"""Who calls and which grant serves them. Naming a grant may activate it; naming none never does."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from loglease.access.caller import Caller
from loglease.access.errors import GrantAmbiguous, NotPermitted
from loglease.access.permissions import held_grant, is_held
from loglease.model.grant import Grant, GrantState, refusal
from loglease.model.ids import GrantId
from loglease.model.instant import Instant
from loglease.model.rights import Right
from loglease.store.interface import Store, Transaction

MAX_GRANTS: Final = 200


async def named_grant(name: str, *, caller: Caller, store: Store, now: Instant) -> Grant:
    """Return the caller's grant of that name, scheduled or active.

    Raises:
        NotFound: there is none, or it is somebody else's; the two are one answer.
        GrantEnded, GrantNotActive: it is over, or suspended.
    """
    caller.require(Right.LOGS_READ)

    def query(tx: Transaction) -> Grant:
        grant = held_grant(tx, caller, GrantId(name))
        held = is_held(tx, grant, now)
        if grant.state_at(now, held=held) not in (GrantState.SCHEDULED, GrantState.ACTIVE):
            raise refusal(grant, now, held=held)
        return grant

    return await store.read(query)


async def only_grant(*, caller: Caller, store: Store, now: Instant) -> Grant:
    """Return the one active grant of the caller, for calls that name none.

    Raises:
        NotPermitted: no grant of theirs is active; a scheduled one has to be named to start.
        GrantAmbiguous: several are.
    """
    caller.require(Right.LOGS_READ)

    def query(tx: Transaction) -> list[Grant]:
        found: Iterable[Grant] = tx.grants.page(holder=caller.principal.id, live_at=now, limit=MAX_GRANTS)
        return [
            grant
            for grant in found
            if caller.only_grant in (None, grant.id)
            and grant.state_at(now, held=is_held(tx, grant, now)) is GrantState.ACTIVE
        ]

    grants = await store.read(query)
    if not grants:
        raise NotPermitted("You have no active grant.", next_step="loglease grants, then loglease use <grant>")
    if len(grants) > 1:
        raise GrantAmbiguous(
            f"You have {len(grants)} active grants, and this address serves one.",
            next_step=f"Name one: /g/{grants[0].id}/logs",
        )
    return grants[0]
