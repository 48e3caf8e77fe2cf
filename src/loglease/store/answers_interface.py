"""What the rest of the product knows of remembered answers and named values; part of `interface`."""

from __future__ import annotations

from typing import Protocol

from loglease.model.ids import PrincipalId
from loglease.model.instant import Instant


class Idempotency(Protocol):
    """What was answered to a creating call, by principal, route and key; kept for 24 hours."""

    def find(self, principal: PrincipalId, route: str, key: str, now: Instant) -> tuple[bytes, str] | None:
        """Return the body digest and the id that was created, or None."""

    def insert(self, principal: PrincipalId, route: str, key: str, body: bytes, created: str, now: Instant) -> None:
        """Remember what a call created."""


class Values(Protocol):
    """Named values that outlive a restart: the log's origin, the policy revision, the high-water mark of time."""

    def find(self, name: str) -> str | None:
        """Return a value."""

    def put(self, name: str, value: str) -> None:
        """Store a value."""

    def delete(self, name: str) -> None:
        """Forget a value."""
