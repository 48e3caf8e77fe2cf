"""What the rest of the product knows of the server processes that use the database."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from loglease.model.instant import Instant
from loglease.model.replica import Replica, Run


class Replicas(Protocol):
    """The server processes, by name."""

    def find(self, name: str) -> Replica | None:
        """Return a replica; None for one that never started."""

    def put(self, replica: Replica) -> None:
        """Store a replica in place of what is known of it."""

    def renew(self, run: Run, now: Instant) -> bool:
        """Note that a run lives; False if it counts as running no more, or another run of its replica has begun."""

    def forget(self) -> None:
        """Forget all: in the next generation of the log no server ran before."""

    def running(self) -> Sequence[Replica]:
        """Return all that count as running, by name."""
