"""What every door does with a wish: ask what is offered, and submit it, in an emergency by breaking the glass."""

from __future__ import annotations

import asyncio
from typing import Final

import structlog

from loglease.access.break_glass import break_glass
from loglease.access.caller import Caller
from loglease.access.explaining import asked_about, reader_of, record_look
from loglease.access.knowing import decide_knowing
from loglease.access.note_call import Find, note_look
from loglease.access.once import Once
from loglease.access.standing import Alarm, alarm, closed_to
from loglease.access.submit_request import AnyDraft, submit_request, wished
from loglease.model.access_request import AccessRequest, Wish
from loglease.model.offer import Outcome
from loglease.model.principal import Directory, Principal
from loglease.model.wish import WishDraft
from loglease.policy.explain import Explanation
from loglease.policy.trace import Decision
from loglease.server.services import Services
from loglease.store.interface import Transaction

_log: Final = structlog.get_logger("loglease.emergencies")


async def decided(services: Services, caller: Caller, draft: AnyDraft) -> Decision:
    """Return what policy would offer now; nothing is changed.

    Raises:
        LogLeaseError: see `wished`.
    """
    now, rules = services.clock.now(), services.rules.current

    def query(tx: Transaction) -> tuple[Wish, Directory, str | None]:
        directory = tx.principals.directory()
        return wished(draft, tx, caller, now, rules), directory, closed_to(tx, caller.principal, directory, rules, now)

    wish, directory, closed = await services.store.read(query)
    return await decide_knowing(wish, caller=caller, rules=rules, directory=directory, now=now, closed=closed)


async def looked(services: Services, of: Find, caller: Caller) -> None:
    """Keep what a call says of itself that looks how a request or its grant stands, where it is the requester's own.

    Args:
        of: returns the request that the call is under.
    """
    await note_look(
        of,
        caller=caller,
        store=services.store,
        log=services.log,
        rules=services.rules.current,
        now=services.clock.now(),
    )


async def explained(services: Services, caller: Caller, draft: WishDraft, *, about: str | None) -> Explanation:
    """Return why policy would offer what it would, as far as the caller may know; nothing is changed.

    Args:
        about: account, e-mail or id of who would ask; the caller where it is None. Looking at others is recorded.

    Raises:
        LogLeaseError: see `asked_about`; also where the look cannot be recorded.
    """
    now, rules = services.clock.now(), services.rules.current

    def query(tx: Transaction) -> tuple[Principal, Directory, str | None]:
        asks, directory = asked_about(tx, caller, about, rules), tx.principals.directory()
        return asks, directory, closed_to(tx, asks, directory, rules, now)

    asks, directory, closed = await services.store.read(query)
    decision = await decide_knowing(
        draft.at(now), caller=caller, rules=rules, directory=directory, now=now, closed=closed, asks=asks
    )
    reader = reader_of(caller, asks, rules, directory)
    told = await asyncio.to_thread(reader.told, decision)
    if asks.id != caller.principal.id:
        await record_look(told, asks, caller=caller, log=services.log, new_id=services.new_id, random=services.random)
    return told


async def submitted(
    services: Services, caller: Caller, draft: AnyDraft, *, offer: int | None, once: Once | None
) -> AccessRequest:
    """Submit a wish under one of its offers; one that says it is an emergency gets a grant that is active.

    Raises:
        LogLeaseError: see `submit_request` and `break_glass`.
    """
    rules, new_id, random = services.rules.current, services.new_id, services.random
    if not (isinstance(draft, WishDraft) and draft.break_glass):
        return await submit_request(
            draft, caller=caller, offer=offer, log=services.log, rules=rules, new_id=new_id, random=random, once=once
        )
    made = await break_glass(
        draft,
        caller=caller,
        offer=offer,
        log=services.log,
        rules=rules,
        watch=services.watch,
        new_id=new_id,
        random=random,
        once=once,
    )
    await _tell(services, made)
    return made


async def _tell(services: Services, made: AccessRequest) -> None:
    """Say in our own log that the glass was broken, and loudly where that happens too often."""
    _log.warning("glass_broken", request=made.id, principal=made.requester, rule=made.offer.policy)
    now, rules = services.clock.now(), services.rules.current

    def query(tx: Transaction) -> Alarm | None:
        return alarm(tx, rules, made.offer.policy, now) if made.offer.outcome is Outcome.BREAK_GLASS else None

    found = await services.store.read(query)
    if found is not None:
        _log.error("glass_broken_too_often", rule=found.document, count=found.count)
