"""The native engine: Hyperscan (Vectorscan) in block mode, one database, one scratch space for each thread."""

from __future__ import annotations

import re
import threading
from collections.abc import Sequence

from loglease.redaction.engine.interface import Hit
from loglease.redaction.errors import EngineUnavailable, Withheld

try:
    import hyperscan
except Exception:  # noqa: BLE001 - no wheel for this platform, or one that does not load: another engine serves
    hyperscan = None  # type: ignore[assignment]  # a missing module has no type of its own


class HyperscanScanner:
    """One compiled database."""

    def __init__(self, patterns: Sequence[bytes]) -> None:
        self._database = hyperscan.Database(mode=hyperscan.HS_MODE_BLOCK)
        self._database.compile(
            expressions=list(patterns),
            ids=list(range(len(patterns))),
            elements=len(patterns),
            flags=[hyperscan.HS_FLAG_DOTALL] * len(patterns),
        )
        self._local = threading.local()

    def scan(self, data: bytes) -> list[Hit]:
        """Scan once. Half a scan looks like a clean one, hence any error withholds."""
        scratch = getattr(self._local, "scratch", None)
        hits: list[Hit] = []
        add = hits.append

        def matched(tripwire: int, _start: int, end: int, _flags: int, _context: object) -> None:
            add((tripwire, end - 1, end))

        failed = False
        try:
            if scratch is None:
                scratch = self._local.scratch = hyperscan.Scratch(self._database)
            self._database.scan(data, match_event_handler=matched, scratch=scratch)
        except Exception:  # noqa: BLE001 - the library's errors have no common root; every one of them withholds
            failed = True
        if failed:
            raise Withheld("engine_error")
        return hits


class HyperscanEngine:
    """Compile tripwires with Hyperscan."""

    name = "hyperscan"

    def compile(self, tripwires: Sequence[str], canary: bytes) -> HyperscanScanner:
        """Compile one database of all tripwires and the canary."""
        if hyperscan is None:
            raise EngineUnavailable("hyperscan does not import on this machine")
        patterns = [text.encode() for text in tripwires]
        try:
            return HyperscanScanner([*patterns, re.escape(canary)])
        except hyperscan.error as fault:
            raise EngineUnavailable(f"hyperscan refuses a tripwire: {fault}") from None
