"""What the rest of the product knows of the outbox: messages written with the facts they tell of, sent afterwards."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from loglease.model.ids import NoticeId
from loglease.model.instant import Instant
from loglease.model.notice import Notice, NoticeState


class Outbox(Protocol):
    """Notices, inside one transaction."""

    def insert(self, notice: Notice) -> bool:
        """Store a notice; False, and nothing stored, if its recipient has one of that fact on that channel."""

    def find(self, notice_id: NoticeId) -> Notice | None:
        """Return a notice, whatever became of it."""

    def update(self, notice: Notice) -> None:
        """Store what became of a notice.

        Raises:
            LostRace: there is no such notice.
        """

    def due(self, channel: str, now: Instant, limit: int) -> Sequence[Notice]:
        """Return what waits for a channel and may be tried, oldest first.

        Of those about one request to one recipient only the first that waits is among them, so they stay in order.
        What is about no request has no order to keep.
        """

    def channels(self) -> Sequence[str]:
        """Return the channels that something waits for, sorted."""

    def counts(self) -> Mapping[NoticeState, int]:
        """Return how many are waiting and how many are dead."""

    def page(self, *, state: NoticeState | None = None, about: str | None = None, limit: int = 50) -> Sequence[Notice]:
        """Return notices, newest first: of one state, about one request."""

    def delete_done(self, before: Instant) -> int:
        """Forget what was sent or dropped and is about something that happened before; return how many."""
