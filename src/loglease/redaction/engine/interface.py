"""What every engine offers: one scan of a text for many tripwires.

A scan may report too much and never too little; what a report means is decided by the exact rules afterwards, so all
engines lead to the same output.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

Hit = tuple[int, int, int]
"""A tripwire's number, and from where to where in the text it may have fired; a plain tuple, for there are many."""


class Scanner(Protocol):
    """Tripwires compiled for one engine. Shared by threads."""

    def scan(self, data: bytes) -> list[Hit]:
        """Return at least one hit in every line where a tripwire fires.

        Args:
            data: whole lines and the canary behind them; at most a little over 1 MiB.

        Raises:
            Withheld: ``engine_error`` or ``canary_lost``.
        """
        ...


class Engine(Protocol):
    """A way to compile tripwires."""

    @property
    def name(self) -> str:
        """The engine's name in settings, counters and audit entries."""
        ...

    def __hash__(self) -> int:
        """Let what an engine compiled be found again."""
        ...

    def compile(self, tripwires: Sequence[str], canary: bytes) -> Scanner:
        """Compile patterns; the canary is the pattern numbered ``len(tripwires)``.

        Raises:
            EngineUnavailable: the library is missing or refuses a pattern.
        """
        ...
