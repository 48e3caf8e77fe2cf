"""A hold: what was recorded in a span of time is needed for an inquiry, so nothing of it is erased or pruned."""

from __future__ import annotations

from dataclasses import dataclass

from loglease.model.errors import InvalidField
from loglease.model.ids import HoldId, PrincipalId
from loglease.model.instant import Instant


@dataclass(frozen=True, slots=True, kw_only=True)
class LegalHold:
    """A hold on the audit log, from one instant up to and including another.

    Attributes:
        reason: for whom and what, in words of whoever set it.

    Raises:
        InvalidField: it would end before it begins.
    """

    id: HoldId
    from_at: Instant
    to_at: Instant
    reason: str
    set_by: PrincipalId
    set_at: Instant
    released_at: Instant | None = None
    released_by: PrincipalId | None = None

    def __post_init__(self) -> None:
        if self.to_at < self.from_at:
            raise InvalidField("A hold ends after it begins.", next_step="Name --from before --to.")

    @property
    def in_force(self) -> bool:
        """Whether nobody released it; time releases none."""
        return self.released_at is None

    def covers(self, at: Instant) -> bool:
        """Say whether what was recorded at an instant is under it."""
        return self.in_force and self.from_at <= at <= self.to_at
