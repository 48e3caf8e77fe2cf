"""A server process among those that use one database, and how long the others wait until they give it up for lost."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from loglease.model.instant import MICROSECONDS, Instant

GIVEN_UP_S: Final = 30
"""How long nothing was heard of a replica, by one that heard of everything else meanwhile, until it counts as lost."""


class ReplicaState(StrEnum):
    """What is known of a replica."""

    RUNNING = "running"
    STOPPED = "stopped"
    LOST = "lost"


@dataclass(frozen=True, slots=True)
class Run:
    """One run of a replica: from a start until it stops, crashes or is given up.

    Attributes:
        replica: its name, the same for every run on one data directory.
        number: what tells its runs apart.
    """

    replica: str
    number: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Replica:
    """A replica as the database knows it.

    Attributes:
        seen_at: when it last renewed its lease.
    """

    run: Run
    state: ReplicaState
    started_at: Instant
    seen_at: Instant

    def is_silent(self, now: Instant) -> bool:
        """Say whether it counts as running and has not been heard of for so long that it may be given up."""
        return self.state is ReplicaState.RUNNING and now - self.seen_at >= GIVEN_UP_S * MICROSECONDS
