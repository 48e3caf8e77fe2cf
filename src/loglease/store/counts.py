"""Counts of what operators watch, from partial indexes."""

from __future__ import annotations

from typing import Final

from sqlalchemy import Connection, bindparam, func, or_, select

from loglease.model.access_request import RequestState
from loglease.model.after_review import AfterState
from loglease.model.grant import GrantState
from loglease.model.instant import Instant
from loglease.store.columns import written_out
from loglease.store.counts_interface import Counts
from loglease.store.schema import after_reviews, grants, locks, requests

_REQUESTS: Final = select(func.count()).where(requests.c.state == written_out(RequestState.PENDING))
_GRANTS: Final = select(func.count()).where(grants.c.state == written_out(GrantState.ACTIVE))
_LOCKS: Final = select(func.count()).where(
    locks.c.lifted_at.is_(None), or_(locks.c.until_at.is_(None), locks.c.until_at > bindparam("now"))
)
_AFTER_REVIEWS: Final = select(func.count()).where(
    after_reviews.c.state == written_out(AfterState.OPEN),
    after_reviews.c.due_at <= bindparam("now"),
)
_COUNTS: Final = select(*(query.scalar_subquery() for query in (_REQUESTS, _GRANTS, _LOCKS, _AFTER_REVIEWS)))


class SqlCounts:
    """`Counting` on one connection."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def now(self, now: Instant) -> Counts:
        """Return how much there is."""
        return Counts._make(self._connection.execute(_COUNTS, {"now": now}).one())
