"""How many sessions wait for a record. While many do, no more lines are evaluated, which would have more wait."""

from __future__ import annotations

from collections.abc import Callable
from types import TracebackType
from typing import Final, Self

MANY: Final = 128
"""So many are recorded well within the time that a session waits, on a slow machine too."""

FEW: Final = MANY // 2


class Backlog:
    """Counts who waits, each inside a `with` block. It belongs to one event loop.

    One line may reach a thousand tails at once. Without a pause all of them are evaluated, which takes the processor
    from recording, and those that come last wait longer for their record than they may.

    Args:
        pause: is called when many wait.
        resume: is called when only a few are left of them.
    """

    def __init__(self, *, pause: Callable[[], None], resume: Callable[[], None]) -> None:
        self._pause = pause
        self._resume = resume
        self._is_long = False
        self.waiting = 0

    def __enter__(self) -> Self:
        self.waiting += 1
        if self.waiting >= MANY and not self._is_long:
            self._is_long = True
            self._pause()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.waiting -= 1
        if self._is_long and self.waiting <= FEW:
            self._is_long = False
            self._resume()
