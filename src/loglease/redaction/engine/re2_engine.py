"""The second engine: a `Set` of google-re2 over blocks of whole lines, each with the canary behind it.

A `Set` names the patterns that fired and not where, so a hit covers its block. It also answers "nothing" when out of
memory, which is why a block without its canary withholds the chunk.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final

from loglease.redaction.engine.interface import Hit
from loglease.redaction.errors import EngineUnavailable, Withheld

try:
    import re2
except Exception:  # noqa: BLE001 - no wheel for this platform, or one that does not load: another engine serves
    re2 = None

BLOCK_BYTES: Final = 600
MEMORY_BYTES: Final = 256 << 20


def options() -> Any:
    """Return the options of every pattern here: bytes, case as written, no logging of patterns."""
    chosen = re2.Options()
    chosen.encoding = re2.Options.Encoding.LATIN1
    chosen.log_errors = False
    chosen.dot_nl = True
    chosen.never_nl = False
    chosen.max_mem = MEMORY_BYTES
    return chosen


def linear(pattern: str) -> Any | None:
    """Return a pattern compiled in RE2, whose time is linear whatever the pattern; None where RE2 is missing."""
    return None if re2 is None else re2.compile(pattern.encode(), options())


class Re2Scanner:
    """One compiled set."""

    def __init__(self, patterns: Sequence[bytes], canary: bytes) -> None:
        self._canary = canary
        self._number = len(patterns) - 1
        self._set = re2.Set.SearchSet(options())
        for pattern in patterns:
            self._set.Add(pattern)
        self._set.Compile()

    def scan(self, data: bytes) -> list[Hit]:
        """Scan block by block, and where a tripwire fires, line by line; the last block brings its own canary."""
        hits: list[Hit] = []
        size, number = len(data), self._number
        for start, end in blocks(data):
            if len(self._fired(data, start, end)) == 1 and end < size:
                continue
            at = start
            while at < end:
                line_end = data.find(b"\n", at, end) + 1 or end
                fired = self._fired(data, at, line_end)
                hits += [(one, at, line_end) for one in fired if one != number or line_end == size]
                at = line_end
        return hits

    def _fired(self, data: bytes, start: int, end: int) -> list[int]:
        """Return which tripwires fire in whole lines; the canary among them, or the lines were not scanned."""
        text = data[start:end] if end == len(data) else data[start:end] + self._canary
        fired: list[int] | None = self._set.Match(text)
        if not fired or self._number not in fired:
            raise Withheld("canary_lost")
        return fired


def blocks(data: bytes) -> Iterator[tuple[int, int]]:
    """Yield ranges of whole lines of about 600 bytes; the last one ends with the data."""
    start, size = 0, len(data)
    while start < size:
        end = data.find(b"\n", start + BLOCK_BYTES) + 1
        if end == 0 or end >= size:
            end = size
        yield start, end
        start = end


class Re2Engine:
    """Compile tripwires with google-re2."""

    name = "re2"

    def compile(self, tripwires: Sequence[str], canary: bytes) -> Re2Scanner:
        """Compile one set of all tripwires and the canary."""
        if re2 is None:
            raise EngineUnavailable("google-re2 does not import on this machine")
        patterns = [text.encode() for text in tripwires]
        try:
            return Re2Scanner([*patterns, re2.escape(canary.decode()).encode()], canary)
        except re2.error as fault:
            raise EngineUnavailable(f"google-re2 refuses a tripwire: {fault}") from None
