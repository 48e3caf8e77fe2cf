"""What a gateway reports about a session: what it handed over since the last record, and what it may hand over next."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from loglease.access.records import Data
from loglease.model.digest import commitment

MAX_RESERVED_LINES: Final = 256
MAX_RESERVED_BYTES: Final = 65_536


@dataclass(frozen=True, slots=True, kw_only=True)
class Settled:
    """What was handed over since the previous record of a session.

    Attributes:
        masked: finds by rule, in the lines behind what was handed over.
        served: canonical bytes of the served list: content digest, pseudonyms, streams; empty if nothing was served.
        overflow: the list is not complete, so the batch counts as matching every pseudonym.
    """

    lines: int = 0
    size: int = 0
    first_ns: int | None = None
    last_ns: int | None = None
    masked: Mapping[str, int] = field(default_factory=dict)
    served: bytes = b""
    overflow: bool = False

    def data(self, salt: bytes) -> Data:
        """Return the shape that entries carry; `salt` opens the commitment to the served list."""
        data: Data = {
            "unit": "line",
            "lines": self.lines,
            "bytes": self.size,
            "masked": [{"rule": rule, "count": count} for rule, count in sorted(self.masked.items())],
            "served_c": commitment(salt, self.served),
            "overflow": self.overflow,
        }
        if self.first_ns is not None and self.last_ns is not None:
            data |= {"first_ns": str(self.first_ns), "last_ns": str(self.last_ns)}
        return data


NOTHING: Final = Settled()


@dataclass(frozen=True, slots=True, kw_only=True)
class Reservation:
    """What may be handed over in all, in the session's life so far: below these ceilings, and while it has not lapsed.

    Attributes:
        exhausted: nothing was reserved because a budget is at zero; the session has to end.
    """

    seq: int
    ceiling_lines: int
    ceiling_bytes: int
    exhausted: bool = False
