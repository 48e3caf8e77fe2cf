"""How the grants of a chain follow each other: where an extension begins, and what ends it before it has begun.

SECURITY: an extension begins only once the grant before it has run out, so two grants of a chain are never valid at
once, and with a grant that ends early what was to go on from it ends, too. Proven in
`tests/machines/test_extension_machine.py`.
"""

from __future__ import annotations

from loglease.access.cancel_request import cancelled_entry
from loglease.access.records import Data, refs
from loglease.audit.interface import SYSTEM, Draft
from loglease.model.access_request import CancelWhy, RequestMove, RequestState
from loglease.model.access_request import move as move_request
from loglease.model.extension import Extends
from loglease.model.grant import EndWhy, Grant, GrantState, ended_with, refusal
from loglease.model.ids import ENTRY, EntryId, GrantId, NewId
from loglease.model.instant import Instant, instant_text
from loglease.store.interface import Transaction


def grant_before(tx: Transaction, grant_id: GrantId) -> Grant:
    """Return the grant that another goes on from.

    Raises:
        LookupError: it is not stored.
    """
    found = tx.grants.find(grant_id)
    if found is None:
        raise LookupError(grant_id)
    return found


def beginning(tx: Transaction, extends: Extends, now: Instant) -> Instant | None:
    """Return when an extension that is approved now begins by itself; None if it is with its first use.

    That is where its approval comes only after the grant before it has run out.

    Raises:
        GrantEnded: that grant ended early.
    """
    before = grant_before(tx, extends.grant)
    if before.has_run_out(now):
        return None
    if not before.is_live(now):
        raise refusal(before, now)
    return before.valid_until


def expired_before(tx: Transaction, extends: Extends, now: Instant, *, new_id: NewId) -> tuple[Draft, ...]:
    """Write down that nobody decided on an earlier request for the same extension, so that there is room for one."""
    earlier = tx.requests.extending(extends.grant)
    if earlier is None or earlier.state_at(now) is not RequestState.EXPIRED:
        return ()
    tx.requests.update(move_request(earlier, RequestMove.EXPIRE, by=None, now=now, cause="expired"))
    entry_id = EntryId(new_id(ENTRY))
    return (Draft(id=entry_id, type="request.expired", actor=SYSTEM, ref=refs(request=earlier.id)),)


def ended_after(tx: Transaction, before: Grant, now: Instant, *, actor: str, new_id: NewId) -> tuple[Draft, ...]:
    """End what was to go on from a grant that has just ended, unless that one had run out; return the entries."""
    if before.has_run_out(now):
        return ()
    entries = []
    pending = tx.requests.extending(before.id)
    if pending is not None and pending.state_at(now) is RequestState.PENDING:
        why = CancelWhy.REVOKED if before.state is GrantState.REVOKED else CancelWhy.ENDED
        done = move_request(pending, RequestMove.CANCEL, by=before.ended_by, now=now, cause=why)
        tx.requests.update(done)
        entries.append(cancelled_entry(done, why, actor=actor, new_id=new_id))
    extension = tx.grants.extension_of(before.id)
    if extension is not None and extension.is_live(now):
        over = ended_with(extension, before, now=now)
        tx.grants.update(over)
        tx.tokens.revoke(now, grant=over.id)
        entries.append(_ended(over, before, now, actor=actor, new_id=new_id))
    return tuple(entries)


def _ended(over: Grant, before: Grant, now: Instant, *, actor: str, new_id: NewId) -> Draft:
    ref = refs(request=over.request, grant=over.id)
    if over.state is GrantState.REVOKED:
        data: Data = {"cause": "grant", "object": before.id, "effective_at": instant_text(now), "late": False}
        return Draft(id=EntryId(new_id(ENTRY)), type="grant.revoked", actor=actor, ref=ref, data=data)
    total = {"lines": over.usage.lines, "bytes": over.usage.bytes}
    return Draft(
        id=EntryId(new_id(ENTRY)),
        type="grant.ended",
        actor=actor,
        ref=ref,
        data={"why": str(over.ended_why or EndWhy.RETURNED), "total": total},
    )
