"""What every front end's encoder can do."""

from __future__ import annotations

from typing import NamedTuple, Protocol

from loglease.gateway.resume import Places, Position


class Line(NamedTuple):
    """One redacted line that is to be written.

    Attributes:
        labels: of its stream, as the query left them; a JSON object.
        metadata: likewise.
        parsed: labels that the query made, likewise; empty if there are none.
        quoted: its text as a JSON string.
    """

    event_ns: int
    labels: bytes
    metadata: bytes
    parsed: bytes
    text: str
    quoted: bytes
    position: Position


class Encoder(Protocol):
    """Writes what stands around the items of one answer; runs in the event loop."""

    @property
    def ends_early(self) -> bool:
        """Whether an answer that is cut can still say so; one that cannot is left without an end."""

    def gap(self, lines: int | None) -> bytes:
        """Write that so many lines were left out for a reader too slow for them; None: that the source lost some."""

    def end(self, reason: str, lines: int, places: Places | None) -> bytes:
        """Write why the answer ends, and where it goes on."""


class LineEncoder(Encoder, Protocol):
    """Writes lines one by one; `line` runs in a thread."""

    def line(self, line: Line) -> bytes:
        """Write one line with its redacted labels."""
