"""The last engine: `re`, one tripwire after the other. Far slower, needs nothing but Python."""

from __future__ import annotations

import re
from collections.abc import Sequence

from loglease.redaction.engine.interface import Hit
from loglease.redaction.errors import EngineUnavailable


class PythonScanner:
    """Tripwires as compiled expressions."""

    def __init__(self, patterns: Sequence[re.Pattern[bytes]], canary: bytes) -> None:
        self._patterns = patterns
        self._canary = canary

    def scan(self, data: bytes) -> list[Hit]:
        """Scan once for each tripwire, one hit a line and tripwire."""
        hits: list[Hit] = []
        for number, pattern in enumerate(self._patterns):
            at = 0
            while found := pattern.search(data, at):
                line_end = data.find(b"\n", found.end() - 1)
                if line_end < 0:
                    break
                # From the match's beginning: another one may begin later and still end before this one does.
                hits.append((number, found.start(), line_end + 1))
                at = line_end + 1
        at = data.rfind(self._canary)
        if at >= 0:
            end = at + len(self._canary)
            hits.append((len(self._patterns), end - 1, end))
        return hits


class PythonEngine:
    """Compile tripwires with `re`."""

    name = "python"

    def compile(self, tripwires: Sequence[str], canary: bytes) -> PythonScanner:
        """Compile each tripwire."""
        try:
            return PythonScanner([re.compile(text.encode()) for text in tripwires], canary)
        except re.error as fault:
            raise EngineUnavailable(f"re refuses a tripwire: {fault}") from None
