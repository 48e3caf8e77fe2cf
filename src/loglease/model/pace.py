"""Whether a wall clock can be trusted, by the boot clock beside it and by the latest time that was recorded.

A wall clock may be wrong in two ways that can be seen: it stepped, so that it is not where the boot clock says it
should be, or it is behind a time that was already used. Whoever reads it goes on evenly from where it was last trusted,
so that a step lengthens nothing and no record gets a wild time.

A step back is never believed: it would let things hold longer than was approved. A step ahead is believed once the
clock has kept step from its new place for a while: grants only end earlier by it, and a machine that stood still, such
as a paused virtual one, comes back like that. All times here are microseconds, and nothing here reads a clock.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final

from loglease.model.instant import MICROSECONDS, Instant

TOLERANCE_S: Final = 5
"""How far the wall clock may be from where the boot clock says it is."""
BACK_S: Final = 1
"""How far it may be below the latest time that was recorded."""
SETTLED_S: Final = 300
"""How long it has to keep step after a step ahead until that is believed."""
FOLLOWS: Final = 2_000
"""Of so many microseconds that pass, one may go into following the wall clock where the two drift apart slowly."""


class ClockCheck(StrEnum):
    """By what a wall clock was found to be wrong; a closed list of the audit log."""

    BOOT = "boot"
    """It is not where the boot clock says it is."""
    MARK = "mark"
    """It is below the latest time that was recorded."""


@dataclass(frozen=True, slots=True)
class Doubt:
    """Why a clock cannot be trusted, and by how much it is ahead of where it should be; behind is negative."""

    check: ClockCheck
    skew_us: int


@dataclass(frozen=True, slots=True)
class Stray:
    """A place to which the clock stepped ahead: wall time less boot time, and the boot time since when it is there."""

    offset_us: int
    since_us: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """Where the wall clock should be.

    Attributes:
        offset_us: wall time less boot time as it was last trusted; None if it never was.
        seen_us: boot time of the last look.
        stray: where it is instead, if it stepped ahead.
    """

    offset_us: int | None = None
    seen_us: int = 0
    stray: Stray | None = None

    def time(self, wall_us: int, boot_us: int) -> Instant:
        """Return the time to go by: the wall clock's, or by the boot clock where the wall clock stepped."""
        if self.offset_us is None or abs(wall_us - boot_us - self.offset_us) <= TOLERANCE_S * MICROSECONDS:
            return Instant(wall_us)
        return Instant(boot_us + self.offset_us)

    def look(self, wall_us: int, boot_us: int, *, mark: Instant, doubted: bool) -> Sight:
        """Look at the clocks once.

        Args:
            mark: the latest time that was recorded.
            doubted: whether the clock was not trusted up to now; then it has to reach the mark.
        """
        below = wall_us - mark
        is_below = below < (0 if doubted else -BACK_S * MICROSECONDS)
        behind = Doubt(ClockCheck.MARK, below) if is_below else None
        if self.offset_us is None:
            pace = self if behind else Pace(offset_us=wall_us - boot_us, seen_us=boot_us)
            return Sight(pace, behind, below if behind else 0)
        skew = wall_us - boot_us - self.offset_us
        if abs(skew) <= TOLERANCE_S * MICROSECONDS:
            return Sight(self._followed(skew, boot_us), behind, skew)
        stray = self._stray(wall_us - boot_us, boot_us) if skew > 0 else None
        if stray is not None and boot_us - stray.since_us >= SETTLED_S * MICROSECONDS:
            return Sight(Pace(offset_us=wall_us - boot_us, seen_us=boot_us), behind, skew)
        return Sight(replace(self, seen_us=boot_us, stray=stray), Doubt(ClockCheck.BOOT, skew), skew)

    def _followed(self, skew: int, boot_us: int) -> Pace:
        """Follow the wall clock a little, so that what adds up over weeks is no step."""
        most = max(0, boot_us - self.seen_us) // FOLLOWS
        return Pace(offset_us=(self.offset_us or 0) + max(-most, min(most, skew)), seen_us=boot_us)

    def _stray(self, offset_us: int, boot_us: int) -> Stray:
        known = self.stray
        if known is not None and abs(offset_us - known.offset_us) <= TOLERANCE_S * MICROSECONDS:
            return known
        return Stray(offset_us, boot_us)


@dataclass(frozen=True, slots=True)
class Sight:
    """What one look has shown.

    Attributes:
        doubt: why the clock cannot be trusted; None if it can.
        skew_us: by how much it was ahead of where it should be.
    """

    pace: Pace
    doubt: Doubt | None
    skew_us: int
