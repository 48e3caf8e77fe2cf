"""Reviews as rows, in the order they were given."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from sqlalchemy import Connection, bindparam, exists, insert, select

from loglease.model.ids import RequestId
from loglease.model.review import Review
from loglease.store.document import Codec
from loglease.store.interface import LostRace
from loglease.store.schema import reviews

_CODEC: Final = Codec(Review)

_INSERT: Final = insert(reviews)
_KNOWN: Final = select(
    exists().where(
        reviews.c.request_id == bindparam("request_id"),
        reviews.c.person == bindparam("person"),
        reviews.c.verdict == bindparam("verdict"),
    )
)
_OF_REQUEST: Final = (
    select(reviews.c.document).where(reviews.c.request_id == bindparam("request_id")).order_by(reviews.c.position)
)


class SqlReviews:
    """`Reviews` on one connection."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def insert(self, review: Review) -> None:
        """Store a review.

        Raises:
            LostRace: this person's review of this request with this verdict is there already.
        """
        key = {"request_id": review.request, "person": review.person, "verdict": review.verdict}
        if self._connection.execute(_KNOWN, key).scalar_one():
            raise LostRace(
                f"{review.request} has this person's review already.", next_step=f"loglease requests {review.request}"
            )
        self._connection.execute(_INSERT, key | {"id": review.id, "document": _CODEC.pack(review)})

    def of_request(self, request_id: RequestId) -> Sequence[Review]:
        """Return the reviews of a request in the order they were given."""
        found = self._connection.execute(_OF_REQUEST, {"request_id": request_id}).scalars()
        return [_CODEC.unpack(document) for document in found]
