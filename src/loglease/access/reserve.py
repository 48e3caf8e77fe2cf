"""Reserve ahead: record what was handed over, and what may be next, before any of it reaches a socket."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace

from loglease.access.commitments import Random
from loglease.access.errors import NotFound
from loglease.access.permissions import is_held_in_use
from loglease.access.records import Data, refs
from loglease.access.serving import MAX_RESERVED_BYTES, MAX_RESERVED_LINES, Reservation, Settled, settle
from loglease.audit.interface import Draft, EntryLog, Recorded
from loglease.model.ack import Ack
from loglease.model.digest import SALT_BYTES
from loglease.model.grant import Grant, GrantState, refusal
from loglease.model.ids import ENTRY, EntryId, NewId, SessionId
from loglease.model.instant import Instant
from loglease.model.limits import Limits
from loglease.model.session import Account, Session, SessionState
from loglease.store.interface import Transaction
from loglease.store.sessions_interface import InUse


async def reserve(
    session_id: SessionId,
    *,
    settled: Settled,
    want_lines: int,
    want_bytes: int,
    subjects: Sequence[Collection[str]] = (),
    limits: Limits,
    ack: Ack = Ack.DURABLE,
    replica: str,
    log: EntryLog[Transaction],
    new_id: NewId,
    random: Random,
) -> Reservation:
    """Settle what was handed over since the last record and reserve at most 256 lines and 64 KiB, or one larger line.

    The new ceilings count from the start of the session. What the budgets no longer hold is not reserved. Asking for
    nothing more renews what is still open, for a reader that was too slow to use it in time. What the record has as
    handed over already is not settled again.

    Args:
        subjects: pseudonyms of data subjects, by lines that are to come, in order. All of a line are taken or none, and
            none from the first line on that does not fit. They stay taken, whatever becomes of the session.
        limits: those that the session was opened under; the policy of that moment may have lowered the grant's.
        ack: what the session was opened under demands of its record, which may be more than the grant does.

    Raises:
        NotFound: this process owns no such open session.
        GrantEnded, GrantNotActive: the grant may not be used any more, so nothing may follow.
        AccountMismatch: what was handed over does not follow the record.
    """

    def work(tx: Transaction, now: Instant) -> Recorded[Reservation]:
        used = _open(tx, session_id, replica, now)
        session, grant = used.session, used.grant
        # A grant that is not held is of the current epoch, so its sessions have to be.
        held = is_held_in_use(tx, used, now) or session.epoch != grant.epoch
        if grant.state_at(now, held=held) is not GrantState.ACTIVE:
            raise refusal(grant, now, held=held)
        account, fresh = settle(session.account, settled)
        lines, size = _wanted(grant, limits, account, want_lines, want_bytes)
        nothing_open = account.uncertain_lines + lines < 1 or account.uncertain_bytes + size < 1
        if nothing_open or not tx.grants.spend(grant.id, lines=lines, size=size):
            return Recorded(
                Reservation(
                    seq=session.account.seq,
                    ceiling_lines=session.account.ceiling_lines,
                    ceiling_bytes=session.account.ceiling_bytes,
                    exhausted=True,
                )
            )
        taken, spent = _take(tx, grant, limits, subjects)
        account = replace(
            account,
            ceiling_lines=account.ceiling_lines + lines,
            ceiling_bytes=account.ceiling_bytes + size,
            seq=account.seq + 1,
        )
        tx.sessions.update_account(session.id, account)
        actor = used.holder.subject if used.holder else "system"
        entry = _entry(
            session, grant, account, fresh, entry_id=EntryId(new_id(ENTRY)), actor=actor, salt=random(SALT_BYTES)
        )
        reservation = Reservation(
            seq=account.seq,
            ceiling_lines=account.ceiling_lines,
            ceiling_bytes=account.ceiling_bytes,
            subjects=taken,
            spent=spent,
        )
        return Recorded(reservation, (entry,), ack)

    return await log.commit(work)


def _open(tx: Transaction, session_id: SessionId, replica: str, now: Instant) -> InUse:
    used = tx.sessions.in_use(session_id, now)
    if used is None or used.session.replica != replica or used.session.state is not SessionState.OPEN:
        raise NotFound(f"{session_id} is not open here.", next_step="Open a new session.")
    return used


def _wanted(grant: Grant, limits: Limits, account: Account, want_lines: int, want_bytes: int) -> tuple[int, int]:
    """Return how much to add to the ceilings: no more than may be open at once, nor than the budgets hold."""
    left_lines, left_bytes = grant.usage.left(grant.terms.limits.tightest(limits))
    lines = max(0, min(want_lines, MAX_RESERVED_LINES - account.uncertain_lines))
    if left_lines is not None:
        lines = min(lines, left_lines)
    size = max(0, min(want_bytes, MAX_RESERVED_BYTES - account.uncertain_bytes))
    if lines == want_lines == 1:
        size = want_bytes  # one item may be larger
    return lines, size if left_bytes is None else min(size, left_bytes)


def _take(tx: Transaction, grant: Grant, limits: Limits, lines: Sequence[Collection[str]]) -> tuple[int, bool]:
    """Take the data subjects of as many lines, from the first on, as the budget has room for.

    Returns:
        How many lines that are, and whether the grant itself has no room for those of the next one, whatever the policy
        of today says.
    """
    if not lines:
        return 0, False
    known = tx.grants.known_subjects(grant.id, {one for line in lines for one in line})
    own, left = (grant.usage.subjects_left(one) for one in (grant.terms.limits, grant.terms.limits.tightest(limits)))
    fresh: set[str] = set()
    fitting, spent = 0, False
    for line in lines:
        more = fresh.union(line) - known
        if left is not None and len(more) > left:
            spent = own is not None and len(more) > own
            break
        fresh = more
        fitting += 1
    if fresh and not tx.grants.take_subjects(grant.id, fresh):
        raise LookupError(grant.id)  # the budget was read in this very transaction
    return fitting, spent


def _entry(
    session: Session, grant: Grant, account: Account, settled: Settled, *, entry_id: EntryId, actor: str, salt: bytes
) -> Draft:
    data: Data = {
        "query": 1,
        "seq": account.seq,
        "total": {"lines": account.settled_lines, "bytes": account.settled_bytes},
        "reserved": {"lines": account.uncertain_lines, "bytes": account.uncertain_bytes},
    }
    if settled.lines:
        data["settled"] = settled.data(salt)
    return Draft(
        id=entry_id,
        type="batch.served",
        actor=actor,
        ref=refs(request=grant.request, grant=grant.id, session=session.id),
        data=data,
        served=(settled.served, salt) if settled.lines else None,
    )
