"""What could not be recorded since recording failed: since when, and how many works were refused."""

from __future__ import annotations

from dataclasses import dataclass

from loglease.model.clock import Clock
from loglease.model.instant import Instant


@dataclass(slots=True)
class Outage:
    """The time in which the log takes no records; used on the event loop alone.

    Attributes:
        since: when the first work was refused that nobody has put on the record yet; None while all is well.
        refused: how many there were since then.
    """

    clock: Clock
    since: Instant | None = None
    refused: int = 0

    def note(self) -> None:
        """Count a work that could not be recorded, or of which nobody knows whether it was."""
        if self.since is None:
            self.since = self.clock.now()
        self.refused += 1

    def recorded(self, refused: int, until: Instant) -> None:
        """Take note that so many of them, up to an instant, are on the record; what is left began then."""
        self.refused -= refused
        self.since = until if self.refused else None
