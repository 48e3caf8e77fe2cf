"""The second engine: a `Filter` of google-re2 over blocks of whole lines, each with the canary behind it.

It looks for the texts that matches need, all at once, and then for each pattern that can match. A `Set`, one automaton
of all patterns, builds new states without end on logs: it reads a text for the first time a hundred times slower than
again. Either answers "nothing" when out of memory, which is why a block without its canary withholds the chunk.
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
MEMORY_BYTES: Final = 64 << 20
# Of each tripwire, of which there are hundreds; what needs more is matched without an automaton, slower and as well.
TRIPWIRE_BYTES: Final = 8 << 20


def options(memory: int = MEMORY_BYTES) -> Any:
    """Return the options of every pattern here: bytes, case as written, no logging of patterns."""
    chosen = re2.Options()
    chosen.encoding = re2.Options.Encoding.LATIN1
    chosen.log_errors = False
    chosen.dot_nl = True
    chosen.never_nl = False
    chosen.max_mem = memory
    return chosen


def linear(pattern: str) -> Any | None:
    """Return a pattern compiled in RE2, whose time is linear whatever the pattern; None where RE2 is missing."""
    return None if re2 is None else re2.compile(pattern.encode(), options())


class Re2Scanner:
    """The tripwires, each alone, behind a filter of the texts that a match of them needs."""

    def __init__(self, patterns: Sequence[bytes], canary: bytes) -> None:
        self._canary = canary
        self._number = len(patterns) - 1
        self._patterns = [re2.compile(pattern, options(TRIPWIRE_BYTES)) for pattern in patterns]
        self._filter = re2.Filter()
        for pattern in patterns:
            self._filter.Add(pattern, options(TRIPWIRE_BYTES))
        self._filter.Compile()

    def scan(self, data: bytes) -> list[Hit]:
        """Scan block by block; the last block brings its own canary."""
        hits: list[Hit] = []
        size, number = len(data), self._number
        for start, end in blocks(data):
            text = data[start:end] if end == size else data[start:end] + self._canary
            fired: list[int] | None = self._filter.Match(text)
            if not fired or number not in fired:
                raise Withheld("canary_lost")
            for one in fired:
                if one != number:
                    hits += self._in_lines(one, text, start, end)
        hits.append((number, size - 1, size))
        return hits

    def _in_lines(self, number: int, text: bytes, start: int, end: int) -> Iterator[Hit]:
        """Yield a hit for each line of a block where a tripwire fires: from its first match to the line's end."""
        search, at, size = self._patterns[number].search, 0, end - start
        while at < size and (found := search(text, at, size)) is not None:
            line_end = text.find(b"\n", found.end() - 1, size) + 1 or size
            yield number, start + found.start(), start + line_end
            at = line_end


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
        """Compile all tripwires and the canary."""
        if re2 is None:
            raise EngineUnavailable("google-re2 does not import on this machine")
        patterns = [text.encode() for text in tripwires]
        try:
            return Re2Scanner([*patterns, re2.escape(canary.decode()).encode()], canary)
        except re2.error as fault:
            raise EngineUnavailable(f"google-re2 refuses a tripwire: {fault}") from None
