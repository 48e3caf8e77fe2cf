"""Who calls and which grants serve them. Naming a grant may activate it; naming none never does."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from loglease.access.caller import Caller
from loglease.access.errors import GrantAmbiguous, NotPermitted
from loglease.access.permissions import held_grant, is_held
from loglease.gateway.asked import Asked
from loglease.gateway.grant_index import MAX_GRANTS, GrantIndex, View
from loglease.model.grant import Grant, GrantState, refusal
from loglease.model.ids import GrantId
from loglease.model.instant import Instant, Interval
from loglease.model.rights import Right
from loglease.store.interface import Transaction
from loglease.store.store_interface import Store

MAX_TOGETHER: Final = 10
"""Grants that one answer is made under at most: each takes a session of its own."""


async def named_grant(name: str, *, caller: Caller, index: GrantIndex, store: Store, now: Instant) -> Grant:
    """Return the caller's grant of that name, scheduled or active.

    Raises:
        NotFound: there is none, or it is somebody else's; the two are one answer.
        GrantEnded, GrantNotActive: it is over, or suspended.
    """
    caller.require(Right.LOGS_READ)
    view = await index.view_of_few(caller.principal.id)
    for grant in _of(caller, view):
        if grant.id == name:
            return grant

    # Only the database knows why it cannot be used, or whether it is one to start.
    def query(tx: Transaction) -> Grant:
        grant = held_grant(tx, caller, GrantId(name))
        held = is_held(tx, grant, now)
        if grant.state_at(now, held=held) not in (GrantState.SCHEDULED, GrantState.ACTIVE):
            raise refusal(grant, now, held=held)
        return grant

    return await store.read(query)


async def active_grants(*, caller: Caller, index: GrantIndex) -> Sequence[Grant]:
    """Return the active grants of the caller to read lines as they rank, the oldest first, for calls that name none.

    Raises:
        NotPermitted: no grant of theirs is active; a scheduled one has to be named to start.
        GrantAmbiguous: there are more than are looked at, so that the answer could lack lines of one.
    """
    caller.require(Right.LOGS_READ)
    view = await index.view(caller.principal.id)
    # Nobody is sent away by what is remembered: another process may just have started a grant.
    if view is not None and not _of(caller, view):
        view = await index.reread(caller.principal.id)
    if view is None:
        raise GrantAmbiguous(f"You have more than {MAX_GRANTS} grants.", next_step="Name one: /g/<grant>/logs")
    grants = _of(caller, view)
    if not grants:
        raise NotPermitted("You have no active grant.", next_step="loglease grants, then loglease use <grant>")
    return grants


def _of(caller: Caller, view: View | None) -> Sequence[Grant]:
    grants = () if view is None else view.grants
    if caller.only_grant is None:
        return grants
    return [grant for grant in grants if grant.id == caller.only_grant]


def concerned(grants: Sequence[Grant], asked: Asked) -> Sequence[Grant]:
    """Return the grants that allow a call: those whose scope and event window have anything of what is asked.

    Where none has, it is those whose answer says so.

    Raises:
        NotPermitted: the query lies outside the scope of each.
        GrantAmbiguous: there are more than one answer is made under.
    """
    refusals: list[NotPermitted] = []
    inside: list[Grant] = []
    for grant in grants:
        try:
            asked.check(grant.terms.scopes[0])
        except NotPermitted as error:
            refusals.append(error)
        else:
            inside.append(grant)
    if not inside and asked.refuses_streams:
        raise _all_of(refusals)
    found = [grant for grant in inside if _has_time(grant, asked.interval)] or inside[:1] or grants
    if len(found) > MAX_TOGETHER:
        raise GrantAmbiguous(
            f"The call concerns {len(found)} of your active grants; one answer is made under {MAX_TOGETHER} at most.",
            next_step=f"Narrow the query, or name one grant: /g/{found[0].id}/logs",
        )
    return found


def _has_time(grant: Grant, interval: Interval) -> bool:
    window = grant.terms.scopes[0].window.until(grant.due_at)
    return window is not None and window.intersect(interval) is not None


def _all_of(refusals: Sequence[NotPermitted]) -> NotPermitted:
    first = refusals[0]
    messages = "; ".join(dict.fromkeys(error.message for error in refusals))
    return NotPermitted(messages, rule=first.rule, next_step=first.next_step)
