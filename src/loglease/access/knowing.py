"""Commits that need facts: what has to be asked is found out inside the transaction, and asked outside of it.

A transaction holds the log's lock and waits for nobody. Where it finds that a decision needs facts, it is given up with
nothing written, the facts are asked for, and it is begun anew with them.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

from loglease.access.caller import Caller
from loglease.access.facts import FactsNeeded
from loglease.access.rules import Rules
from loglease.audit.interface import EntryLog, Recorded
from loglease.model.access_request import Wish
from loglease.model.instant import Instant
from loglease.model.principal import Directory, Principal
from loglease.policy.trace import Decision
from loglease.store.interface import Transaction

ROUNDS: Final = 3
"""How often facts are asked for, since what is needed may change meanwhile; after that, what lacks is in fault."""

Result = TypeVar("Result")
Work = Callable[[Transaction, Instant, Rules], Recorded[Result]]


async def commit_knowing(
    work: Work[Result],
    *,
    caller: Caller | None,
    log: EntryLog[Transaction],
    rules: Rules,
) -> Result:
    """Commit `work(transaction, now, rules)` with rules that know what the call itself and providers say.

    Args:
        caller: whose call it is; None where nobody calls, so that what an earlier call said counts.

    Raises:
        LogLeaseError: as `EntryLog.commit`.
    """

    async def attempt(known: Rules) -> Result:
        return await log.commit(lambda tx, now: work(tx, now, known))

    return await _knowing(attempt, rules.for_call(caller))


async def decide_knowing(
    wish: Wish,
    *,
    caller: Caller,
    rules: Rules,
    directory: Directory,
    now: Instant,
    closed: str | None,
    asks: Principal | None = None,
) -> Decision:
    """Decide on a draft, with what providers say, and what the call itself says where it is the caller's own.

    Args:
        closed: what `access.standing` says of who asks.
        asks: whose wish it is; the caller's where it is None.
    """
    principal = caller.principal if asks is None else asks

    async def attempt(known: Rules) -> Decision:
        return known.decide(wish, principal, directory, now, closed=closed)

    return await _knowing(attempt, rules.for_call(caller))


async def _knowing(attempt: Callable[[Rules], Awaitable[Result]], rules: Rules) -> Result:
    """Try with what is known, and again with what was missing."""
    for left in reversed(range(ROUNDS)):
        try:
            return await attempt(rules)
        except FactsNeeded as need:
            rules = rules.knowing(await rules.ask(need.questions), last=not left)
    return await attempt(rules)
