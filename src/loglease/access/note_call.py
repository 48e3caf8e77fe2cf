"""Keep what the requester's latest call under a request or grant said of itself: sign-in, network.

Whoever decides while they do not call goes by it: the last approval, and what has to stay true of a grant in use. Calls
under a request or grant are those that name it: to start it, to read or reveal under it, to look how it stands. A call
that was refused counts like any other, so reading from elsewhere is seen, too.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Final, TypeVar

import orjson

from loglease.access.caller import Caller
from loglease.access.errors import Locked, TokenRevoked
from loglease.access.knowing import Work, commit_knowing
from loglease.access.rules import Rules, present_in
from loglease.audit.interface import AuditUnavailable, EntryLog, Recorded
from loglease.model.errors import LogLeaseError
from loglease.model.ids import GrantId, RequestId
from loglease.model.instant import MICROSECONDS, Instant
from loglease.policy.conditions import DURATION, Fault
from loglease.policy.fact_records import facts_data
from loglease.policy.observed import FactKey, Facts, Observed
from loglease.store.interface import StoreUnavailable, Transaction
from loglease.store.store_interface import Store

AGES_COUNT_AFTER_S: Final = 60
"""By how much the age of one sign-in has to grow before another call under a grant is another value."""
_SAME_SIGN_IN_S: Final = 1

Result = TypeVar("Result")
Find = Callable[[Transaction], RequestId | None]


async def commit_under(
    work: Work[Result], *, of: Find, caller: Caller, log: EntryLog[Transaction], rules: Rules
) -> Result:
    """Commit a call under a request or its grant as `commit_knowing` does, and keep what the call says of itself.

    That is one transaction; only where the call is refused it is one of its own, and none if nothing changed.

    Args:
        of: returns the request that the call is under.

    Raises:
        LogLeaseError: as `commit_knowing`.
    """
    changed = False

    def noting(tx: Transaction, now: Instant, rules: Rules) -> Recorded[Result]:
        nonlocal changed
        changed = _note(tx, of(tx), rules, now, uses=True)
        return work(tx, now, rules)

    try:
        return await commit_knowing(noting, caller=caller, log=log, rules=rules)
    except (Locked, TokenRevoked):
        # Whoever comes with a credential that was taken away is not the person.
        raise
    except LogLeaseError:
        if changed:
            await _commit_note(of, log=log, rules=rules.for_call(caller), uses=True)
        raise


async def note_look(
    of: Find, *, caller: Caller, store: Store, log: EntryLog[Transaction], rules: Rules, now: Instant
) -> None:
    """Keep what a call says of itself that looks how a request or its grant stands, or was sent away before it used it.

    Nothing is written where nothing changed, and nobody is refused a look because nothing can be written.

    Args:
        of: returns the request that the call is under.
    """
    rules = rules.for_call(caller)
    if not rules.said(caller.principal.id, now):
        return
    with suppress(StoreUnavailable):
        if await store.read(lambda tx: _changed(tx, of(tx), rules, now, uses=False)) is not None:
            await _commit_note(of, log=log, rules=rules, uses=False)


async def _commit_note(of: Find, *, log: EntryLog[Transaction], rules: Rules, uses: bool) -> None:
    def work(tx: Transaction, now: Instant) -> Recorded[None]:
        _note(tx, of(tx), rules, now, uses=uses)
        return Recorded(None)

    with suppress(AuditUnavailable, StoreUnavailable):
        await log.commit(work)


def _note(tx: Transaction, request_id: RequestId | None, rules: Rules, now: Instant, *, uses: bool) -> bool:
    """Store what this call says where it is something else than what is kept, and say whether it was."""
    changed = _changed(tx, request_id, rules, now, uses=uses)
    if changed is None or request_id is None:
        return False
    tx.requests.note(request_id, orjson.dumps(facts_data(changed)).decode())
    return True


def _changed(tx: Transaction, request_id: RequestId | None, rules: Rules, now: Instant, *, uses: bool) -> Facts | None:
    """Return what is to be kept from now on; None where that is what is kept, or the requester is not who calls."""
    request = None if request_id is None else tx.requests.find(request_id)
    if request is None:
        return None
    # What a call cannot tell, such as one with a token and no sign-in, takes the place of nothing that another told.
    said = {key: one for key, one in rules.said(request.requester, now).items() if not isinstance(one.value, Fault)}
    kept = present_in(request)
    if all(_is_same(key, one, kept.get(key), rules, uses=uses) for key, one in said.items()):
        return None
    return {**kept, **said}


def _is_same(key: FactKey, said: Observed, kept: Observed | None, rules: Rules, *, uses: bool) -> bool:
    if kept is None:
        return False
    rule = rules.bundle.facts.get(key[0])
    if rule is None or rule.type != DURATION or not (isinstance(said.value, int) and isinstance(kept.value, int)):
        return said.value == kept.value
    # An age grows by itself. To whoever waits and looks it stays as it was when they asked; whoever uses a grant has
    # the age that they use it with.
    began = said.observed_at - said.value - (kept.observed_at - kept.value)
    grown_s = (said.value - kept.value) // MICROSECONDS
    return abs(began) <= _SAME_SIGN_IN_S * MICROSECONDS and not (uses and grown_s >= AGES_COUNT_AFTER_S)


def request_of(grant_id: GrantId) -> Find:
    """Return what finds the request of a grant."""

    def find(tx: Transaction) -> RequestId | None:
        grant = tx.grants.find(grant_id)
        return None if grant is None else grant.request

    return find
