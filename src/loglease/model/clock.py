"""Time as an argument. The only real clock is in `server.clock`."""

from __future__ import annotations

from typing import Protocol

from loglease.model.instant import Instant


class Clock(Protocol):
    """The only source of time: two readings, never mixed, never compared."""

    def now(self) -> Instant:
        """Wall time in UTC as the database has it: for validity and records. May step."""

    def boot_ns(self) -> int:
        """Nanoseconds since boot, suspend included: for deadlines. Never stored, never sent."""
