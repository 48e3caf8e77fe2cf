"""What the rest of the product knows of stored acts and holds; part of `interface`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from loglease.model.act import Act
from loglease.model.ids import HoldId, ProposalId
from loglease.model.instant import Instant
from loglease.model.legal_hold import LegalHold


class Acts(Protocol):
    """Acts that one administrator proposes and another one approves."""

    def insert(self, act: Act) -> None:
        """Store a new act."""

    def find(self, act_id: ProposalId) -> Act | None:
        """Return an act, whoever asks."""

    def update(self, after: Act) -> None:
        """Store a verdict; what was proposed never changes.

        Raises:
            LostRace: the stored version is not the one before.
        """

    def page(self, *, before: ProposalId | None = None, limit: int = 50) -> Sequence[Act]:
        """Return acts, newest first, older than `before`. States are the stored ones."""


class LegalHolds(Protocol):
    """Holds on the audit log."""

    def insert(self, hold: LegalHold) -> None:
        """Store a hold."""

    def find(self, hold_id: HoldId) -> LegalHold | None:
        """Return a hold, released or not."""

    def update(self, hold: LegalHold) -> None:
        """Store that a hold was released."""

    def all(self) -> Sequence[LegalHold]:
        """Return all holds, oldest first."""

    def on(self, at: Instant) -> LegalHold | None:
        """Return a hold in force on what was recorded at an instant, if there is one."""

    def on_subject(self, subject: str) -> LegalHold | None:
        """Return a hold in force on something that a subject did, or wrote, if there is one."""

    def first_held(self) -> Instant | None:
        """Return from which instant on anything is under a hold in force; None where there is none."""
