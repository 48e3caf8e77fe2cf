"""Decisions on requests as they are kept: for those who look after policy, to decide them again by other documents."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from loglease.access.caller import Caller
from loglease.access.policy_changes import require_may_look
from loglease.audit.interface import EntryLog, Recorded
from loglease.model.instant import Instant, after
from loglease.store.interface import Transaction

KEPT_S: Final = 90 * 86_400
"""How long a decision is kept; it holds who asked for what, and facts about them."""


def decisions_page(
    tx: Transaction, caller: Caller, *, since: Instant, behind: int, limit: int
) -> Sequence[tuple[int, str]]:
    """Return decisions, oldest first, as JSON with their positions.

    Raises:
        NotPermitted: the caller may not look at policy.
    """
    require_may_look(caller)
    return tx.decisions.since(since, after=behind, limit=limit)


async def forget_decisions(*, log: EntryLog[Transaction]) -> int:
    """Forget decisions that are too old; return how many."""
    return await log.commit(lambda tx, now: Recorded(tx.decisions.delete_before(after(now, -KEPT_S))))
