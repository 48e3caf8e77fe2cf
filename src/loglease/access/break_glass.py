"""Break the glass: access in an emergency, at once and without an approval, for a price that is paid afterwards."""

from __future__ import annotations

from loglease.access.caller import Caller
from loglease.access.commitments import Random
from loglease.access.once import Once
from loglease.access.rules import Rules
from loglease.access.submit_request import Submission
from loglease.access.watch import Watch
from loglease.audit.interface import EntryLog
from loglease.model.access_request import AccessRequest
from loglease.model.ids import NewId
from loglease.model.rights import Right
from loglease.model.wish import WishDraft
from loglease.store.interface import Transaction


async def break_glass(
    wish: WishDraft,
    *,
    caller: Caller,
    offer: int | None,
    log: EntryLog[Transaction],
    rules: Rules,
    watch: Watch,
    new_id: NewId,
    random: Random,
    once: Once | None = None,
) -> AccessRequest:
    """Submit a wish that says it is an emergency; its grant is active at once, and its after-review is open.

    All of it is one transaction: what cannot be recorded is not given.

    Raises:
        StepUpRequired: the caller's sign-in is older than the document allows, or the credential is no sign-in.
        PolicyDenied: no BreakGlass document covers the wish, or emergencies are closed to this person.
        AuditUnavailable, ClockSuspect: nothing may begin at the moment.
        LogLeaseError: as `submit_request`.
    """
    caller.require(Right.REQUESTS_WRITE)
    watch.require_ready()
    submission = Submission(wish=wish, caller=caller, offer=offer, rules=rules, new_id=new_id, random=random, once=once)
    return await submission.commit(log)
