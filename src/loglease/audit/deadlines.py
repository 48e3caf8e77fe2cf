"""How long each of many callers waits, with one timer of the event loop for all of them.

A timer of its own for each takes longer than all the rest that the loop does for somebody who waits for a commit.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any


class Deadlines:
    """Gives answers that did not come in time an exception.

    Args:
        late: makes it, from the limit in seconds.
    """

    def __init__(self, late: Callable[[float], Exception]) -> None:
        self._late = late
        self._waiting: dict[asyncio.Future[Any], tuple[float, float]] = {}
        self._timer: asyncio.TimerHandle | None = None

    def add(self, answer: asyncio.Future[Any], limit_s: float) -> float:
        """Limit how long an answer may take, and return when that is over, in the loop's time."""
        loop = answer.get_loop()
        at = loop.time() + limit_s
        self._waiting[answer] = at, limit_s
        if self._timer is None or at < self._timer.when():
            self._arm(loop, at)
        return at

    def discard(self, answer: asyncio.Future[Any]) -> None:
        """Forget an answer. The timer stays: most likely somebody waits again before it comes."""
        self._waiting.pop(answer, None)

    def _arm(self, loop: asyncio.AbstractEventLoop, at: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = loop.call_at(at, self._expire, loop, at)

    def _expire(self, loop: asyncio.AbstractEventLoop, now: float) -> None:
        self._timer = None
        for answer, (at, limit_s) in list(self._waiting.items()):
            if at <= now:
                del self._waiting[answer]
                if not answer.done():
                    answer.set_exception(self._late(limit_s))
        if self._waiting:
            self._arm(loop, min(at for at, _ in self._waiting.values()))
