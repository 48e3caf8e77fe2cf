"""What the rest of the product knows of locks and suspensions in the database."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from loglease.model.hold import Lock, LockOn, Suspension
from loglease.model.ids import GrantId, LockId
from loglease.model.instant import Instant


class Holds(Protocol):
    """Locks and suspensions."""

    def insert_lock(self, lock: Lock) -> None:
        """Store a lock."""

    def update_lock(self, lock: Lock) -> None:
        """Store that a lock was lifted."""

    def find_lock(self, lock_id: LockId) -> Lock | None:
        """Return a lock, lifted or not."""

    def locks(self, *, now: Instant, on: LockOn | None = None) -> Sequence[Lock]:
        """Return the locks in force, of one thing or of all."""

    def insert_suspension(self, suspension: Suspension) -> None:
        """Store a suspension; the same cause twice is one."""

    def delete_suspension(self, suspension: Suspension) -> None:
        """Lift one cause."""

    def suspensions(self, grant_id: GrantId | None = None) -> Sequence[Suspension]:
        """Return the suspensions in force, of one grant or of all."""
