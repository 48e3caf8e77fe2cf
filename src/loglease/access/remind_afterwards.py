"""Remind of after-reviews that are late: once a day, those who may do them, until somebody does."""

from __future__ import annotations

from typing import Final

from loglease.access.notices import News, Ways, tell
from loglease.access.rules import Rules
from loglease.audit.interface import EntryLog, Recorded
from loglease.model.after_review import AfterReview
from loglease.model.ids import NewId
from loglease.model.instant import MICROSECONDS, Instant
from loglease.store.interface import Transaction
from loglease.store.store_interface import Store

AT_ONCE: Final = 200
_DAY: Final = 86_400 * MICROSECONDS


async def remind_afterwards(
    *, store: Store, log: EntryLog[Transaction], rules: Rules, ways: Ways, new_id: NewId, now: Instant
) -> int:
    """Write the reminders of today that are not written yet; return how many. What was told today is not told again."""
    if not await store.read(lambda tx: tx.after_reviews.late(now)):
        return 0

    def work(tx: Transaction, at: Instant) -> Recorded[int]:
        late = [one for one in tx.after_reviews.page(undone=True, limit=AT_ONCE) if one.is_late(at)]
        told = sum(tell(tx, _news(tx, one, at), ways=ways, rules=rules, now=at, new_id=new_id) for one in late)
        return Recorded(told)

    return await log.commit(work)


def _news(tx: Transaction, review: AfterReview, now: Instant) -> News:
    request = tx.requests.find(review.request)
    return News(
        event="breakglass.review_overdue",
        fact=f"{review.request}/after-review/late/{(now - review.due_at) // _DAY}",
        about=review.request,
        data={"request": review.request, "grant": review.grant, "basis": str(review.basis)},
        people=review.escalated,
        names=() if request is None else request.offer.notify,
    )
