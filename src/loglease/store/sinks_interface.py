"""What the rest of the product knows of stored states of sinks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from loglease.model.instant import Instant


@dataclass(frozen=True, slots=True)
class StoredSinkState:
    """How far a sink is with the signed heads of the log.

    Attributes:
        size: of the last head that it has kept; -1 if it has kept none.
        since: since when a later head waits for it; None if none does.
    """

    size: int
    since: Instant | None


class SinkStates(Protocol):
    """States of sinks, by the names that the configuration gives them."""

    def find(self, sink: str) -> StoredSinkState | None:
        """Return the state of a sink; None for one that is new."""

    def put(self, sink: str, state: StoredSinkState) -> None:
        """Store the state of a sink in place of the one before."""
