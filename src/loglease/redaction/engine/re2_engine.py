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
        """Scan block by block; the last block brings its own canary."""
        hits: list[Hit] = []
        match, number, canary = self._set.Match, self._number, self._canary
        for start, end in blocks(data):
            last = end == len(data)
            block = data[start:end] if last else data[start:end] + canary
            fired = match(block)
            if not fired or number not in fired:
                raise Withheld("canary_lost")
            if len(fired) > 1 or last:
                hits += [(one, start, end) for one in fired if last or one != number]
        return hits


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
