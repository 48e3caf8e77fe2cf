"""After-reviews as rows; those of break-glass are also the account of how often the glass was broken."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any, Final

from sqlalchemy import Connection, RowMapping, Select, bindparam, func, insert, select, update

from loglease.model.after_review import AfterReview, AfterState
from loglease.model.ids import PersonId, RequestId
from loglease.model.instant import Instant
from loglease.model.offer import Outcome
from loglease.store.columns import written_out
from loglease.store.document import Codec
from loglease.store.interface import LostRace
from loglease.store.schema import after_reviews

_FIXED: Final = ("policy", "basis", "person", "opened_at", "due_at")
_MOVING: Final = ("state", "decided_at", "version")
_CODEC: Final = Codec(AfterReview, columns=frozenset({"request", "grant", *_FIXED, *_MOVING}))

_SELECT: Final = select(
    after_reviews.c.request_id.label("request"),
    after_reviews.c.grant_id.label("grant"),
    *(after_reviews.c[name] for name in (*_FIXED, *_MOVING, "document")),
)
_INSERT: Final = insert(after_reviews)
_FIND: Final = _SELECT.where(after_reviews.c.request_id == bindparam("key"))
_UPDATE: Final = (
    update(after_reviews)
    .where(after_reviews.c.request_id == bindparam("key"), after_reviews.c.version == bindparam("before"))
    .values({name: bindparam(name) for name in (*_MOVING, "document")})
)
_UNJUSTIFIED: Final = after_reviews.c.state != written_out(AfterState.JUSTIFIED)
_UNDONE: Final = after_reviews.c.state == written_out(AfterState.OPEN)
_BROKEN: Final = after_reviews.c.basis == written_out(Outcome.BREAK_GLASS)
_BROKEN_COUNT: Final = (
    select(func.count())
    .select_from(after_reviews)
    .where(_BROKEN, after_reviews.c.policy == bindparam("policy"), after_reviews.c.opened_at > bindparam("since"))
)
_LATE_COUNT: Final = (
    select(func.count()).select_from(after_reviews).where(_UNDONE, after_reviews.c.due_at <= bindparam("now"))
)


class SqlAfterReviews:
    """`AfterReviews` on one connection."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def insert(self, review: AfterReview) -> None:
        """Store a new after-review."""
        row = {name: getattr(review, name) for name in (*_FIXED, *_MOVING)}
        row |= {"request_id": review.request, "grant_id": review.grant, "document": _CODEC.pack(review)}
        self._connection.execute(_INSERT, row)

    def find(self, request_id: RequestId) -> AfterReview | None:
        """Return the after-review of a request, or None."""
        row = self._connection.execute(_FIND, {"key": request_id}).mappings().one_or_none()
        return None if row is None else _review(row)

    def update(self, after: AfterReview) -> None:
        """Store a new version.

        Raises:
            LostRace: the stored version is not the one before.
        """
        row = {name: getattr(after, name) for name in _MOVING}
        row |= {"document": _CODEC.pack(after), "key": after.request, "before": after.version - 1}
        if self._connection.execute(_UPDATE, row).rowcount != 1:
            raise LostRace(
                f"The after-review of {after.request} was changed meanwhile.",
                next_step=f"loglease requests {after.request}",
            )

    def unjustified_of(self, persons: Collection[PersonId]) -> Sequence[AfterReview]:
        """Return those about some persons that nobody called justified, oldest first."""
        query = _SELECT.where(_UNJUSTIFIED, after_reviews.c.person.in_(sorted(persons)))
        return self._reviews(query.order_by(after_reviews.c.due_at, after_reviews.c.request_id))

    def broken_by(self, persons: Collection[PersonId], policy: str, since: Instant) -> int:
        """Return how often some persons broke the glass under a document, later than that."""
        query = _BROKEN_COUNT.where(after_reviews.c.person.in_(sorted(persons)))
        return self._connection.execute(query, {"policy": policy, "since": since}).scalar_one()

    def broken(self, policy: str, since: Instant) -> int:
        """Return how often anybody broke the glass under a document, later than that."""
        return self._connection.execute(_BROKEN_COUNT, {"policy": policy, "since": since}).scalar_one()

    def late(self, now: Instant) -> int:
        """Return how many are late."""
        return self._connection.execute(_LATE_COUNT, {"now": now}).scalar_one()

    def page(self, *, undone: bool = False, before: RequestId | None = None, limit: int = 50) -> Sequence[AfterReview]:
        """Return after-reviews, newest first, of requests older than `before`; with `undone` those that are open."""
        query = _SELECT.order_by(after_reviews.c.request_id.desc()).limit(limit)
        if undone:
            query = query.where(_UNDONE)
        if before is not None:
            query = query.where(after_reviews.c.request_id < before)
        return self._reviews(query)

    def _reviews(self, query: Select[Any, Any, Any]) -> Sequence[AfterReview]:
        return [_review(row) for row in self._connection.execute(query).mappings()]


def _review(row: RowMapping) -> AfterReview:
    columns = dict(row)
    columns |= {"state": AfterState(columns["state"]), "basis": Outcome(columns["basis"])}
    return _CODEC.unpack(columns.pop("document"), **columns)
