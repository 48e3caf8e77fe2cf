"""Which chunk a thread redacts, and since when: what the deadline of a chunk is measured by.

Evaluation has limits of its own; only the time inside `redacting` counts here.
"""

from __future__ import annotations

import threading
import time
from types import TracebackType
from typing import Final

from loglease.redaction import RedactionStream, Redactor, Withheld

PIECE_BYTES: Final = 64 << 10
"""A page is redacted in pieces of about so much, each with its own deadline, so that a slow engine keeps it, too."""


class Progress:
    """What one piece of work is at. Written by its thread, read by whoever waits for it."""

    __slots__ = ("_chunk",)

    def __init__(self) -> None:
        self._chunk: tuple[float, Redactor | RedactionStream] | None = None

    def begin(self, by: Redactor | RedactionStream) -> None:
        """Note that a chunk begins."""
        self._chunk = time.monotonic(), by

    def end(self) -> None:
        """Note that it ended."""
        self._chunk = None

    def left_s(self, deadline_s: float) -> float:
        """Return the seconds until the chunk at work misses its deadline, negative if it has; all without one."""
        chunk = self._chunk
        return deadline_s if chunk is None else chunk[0] + deadline_s - time.monotonic()

    def missed(self) -> Withheld:
        """Return what a missed deadline is answered with."""
        chunk = self._chunk
        return Withheld("deadline") if chunk is None else chunk[1].withheld("deadline")


_here = threading.local()


def working(progress: Progress) -> None:
    """Say what this thread's work is measured by from now on."""
    _here.progress = progress


class redacting:  # noqa: N801 - a context manager that reads as a word
    """Redact a chunk, as far as its deadline allows."""

    __slots__ = ("_by", "_progress")

    def __init__(self, by: Redactor | RedactionStream) -> None:
        self._by = by
        self._progress: Progress | None = getattr(_here, "progress", None)

    def __enter__(self) -> None:
        if self._progress is not None:
            self._progress.begin(self._by)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._progress is not None:
            self._progress.end()
