"""The oldest part of the audit log as rows that go: found by time and by what is not over, deleted in whole bundles."""

from __future__ import annotations

from typing import Final

from sqlalchemy import Connection, bindparam, delete, func, or_, select, union, update

from loglease.model.access_request import RequestState
from loglease.model.after_review import AfterState
from loglease.model.grant import GrantState
from loglease.model.ids import RequestId
from loglease.model.instant import Instant
from loglease.store.audit_schema import entries, entry_index, private, seq_head, served
from loglease.store.schema import after_reviews, grants, locks, requests
from loglease.store.served_schema import (
    served_grant,
    served_labels,
    served_pseudonym,
    served_stream,
    served_unlisted,
)

_PART: Final = 200
"""Label sets, or grants, of which served lists are forgotten at once: the tables have no index by entry."""

_NUMBERED: Final = (served_labels, served_grant)
_AT: Final = select(entry_index.c.at).where(entry_index.c.idx == bindparam("key"))
_FIRST: Final = select(func.min(entries.c.idx))
_NEXT: Final = select(seq_head.c.next)
_FIRST_OF: Final = select(func.min(entry_index.c.idx))
_LOCK: Final = select(func.min(locks.c.added_at)).where(locks.c.lifted_at.is_(None))
_UNFINISHED: Final = union(
    select(requests.c.id).where(requests.c.state == RequestState.PENDING.value),
    select(grants.c.request_id).where(grants.c.state.in_((GrantState.SCHEDULED.value, GrantState.ACTIVE.value))),
    select(after_reviews.c.request_id).where(
        or_(after_reviews.c.state == AfterState.OPEN.value, after_reviews.c.state == AfterState.FOLLOW_UP.value)
    ),
)


class SqlPrunings:
    """`Prunings` on one connection."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def index_at(self, at: Instant) -> int:
        """Return the index of the first entry that is not older than an instant: times never fall, so it is halved."""
        low, high = self.first_stored(), self._connection.execute(_NEXT).scalar_one()
        while low < high:
            middle = (low + high) // 2
            if self._connection.execute(_AT, {"key": middle}).scalar_one() < at:
                low = middle + 1
            else:
                high = middle
        return int(low)

    def first_of(self, request: RequestId) -> int | None:
        """Return the first entry about a request, if one is stored."""
        found: int | None = self._connection.execute(_FIRST_OF.where(entry_index.c.request_id == request)).scalar_one()
        return found

    def first_of_unfinished(self) -> int | None:
        """Return the first entry about a request, grant or after-review that is not over; None where all are."""
        query = _FIRST_OF.where(entry_index.c.request_id.in_(_UNFINISHED))
        found: int | None = self._connection.execute(query).scalar_one()
        return found

    def oldest_lock(self) -> Instant | None:
        """Return when the oldest lock that nobody lifted was added; None where there is none."""
        found = self._connection.execute(_LOCK).scalar_one()
        return None if found is None else Instant(found)

    def first_stored(self) -> int:
        """Return the lowest index of which a row is stored; the size of the log if there is none."""
        found = self._connection.execute(_FIRST).scalar_one()
        return int(self._connection.execute(_NEXT).scalar_one() if found is None else found)

    def raise_min_index(self, index: int) -> None:
        """Have nothing below an index be served any more; a trigger refuses to lower it."""
        self._connection.execute(update(seq_head).values(min_index=index))

    def delete_below(self, index: int) -> None:
        """Delete the rows of pruned entries with what is kept beside them."""
        gone = select(entries.c.id).where(entries.c.idx < index)
        for table in (private, served):
            self._connection.execute(delete(table).where(table.c.entry_id.in_(gone)))
        self._connection.execute(delete(entry_index).where(entry_index.c.idx < index))
        self._connection.execute(delete(entries).where(entries.c.idx < index))

    def forget_served(self, index: int, part: int) -> bool:
        """Delete one part of what finds served lists below an index; say whether there is a next part."""
        first, last = part * _PART, (part + 1) * _PART - 1
        for table, number in (
            (served_stream, served_stream.c.labels),
            (served_pseudonym, served_pseudonym.c.grant_number),
            (served_unlisted, served_unlisted.c.grant_number),
        ):
            self._connection.execute(delete(table).where(number.between(first, last), table.c.idx < index))
        highest = [self._connection.execute(select(func.max(table.c.number))).scalar_one() for table in _NUMBERED]
        return max(one or 0 for one in highest) > last
