"""Creating calls that may be repeated: the same key and body answer what the first call created."""

from __future__ import annotations

from dataclasses import dataclass

from loglease.access.errors import IdempotencyKeyReused
from loglease.model.ids import PrincipalId
from loglease.model.instant import Instant
from loglease.store.interface import Transaction


@dataclass(frozen=True, slots=True, kw_only=True)
class Once:
    """One idempotency key of one principal on one route, with the SHA-256 of the body it came with."""

    principal: PrincipalId
    route: str
    key: str
    body: bytes

    def created(self, tx: Transaction, now: Instant) -> str | None:
        """Return the id that the first call created, or None if this is the first.

        Raises:
            IdempotencyKeyReused: the key came with another body before.
        """
        found = tx.idempotency.find(self.principal, self.route, self.key, now)
        if found is None:
            return None
        body, created = found
        if body != self.body:
            raise IdempotencyKeyReused(
                "This idempotency key was used for another body.", next_step="Use a new key for a new call."
            )
        return created

    def remember(self, tx: Transaction, created: str, now: Instant) -> None:
        """Store what this call created, in its transaction."""
        tx.idempotency.insert(self.principal, self.route, self.key, self.body, created, now)
