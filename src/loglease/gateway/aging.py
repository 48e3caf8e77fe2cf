"""Live lines that wait until they are so old, so that one which is stored late still comes in its place."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from heapq import heappop, heappush
from typing import Final

from loglease.gateway.reading import Batches
from loglease.gateway.served import Item
from loglease.model.clock import Clock
from loglease.model.instant import NANOSECONDS
from loglease.sources.interface import Gap

MAX_WAITING: Final = 5_000
"""Lines that wait at most; one more, and the oldest is not waited for any longer."""


async def aged(batches: Batches, delay_ns: int, clock: Clock) -> AsyncGenerator[Sequence[Item] | Gap, None]:
    """Yield lines once they are so old, in the order of their times as far as they had to wait.

    SECURITY: a line that is old enough when it comes waits for none behind it, also if the source gives them together:
    hidden lines decide what comes together; tested in tests/gateway/test_aging.py.

    Args:
        delay_ns: above zero.
    """
    waiting = _Waiting(delay_ns)
    async with aclosing(batches):
        following = asyncio.ensure_future(anext(batches, None))
        try:
            while True:
                due_ns = waiting.due_ns
                left_s = None if due_ns is None else max(0, due_ns - clock.now() * 1_000) / NANOSECONDS
                done, _ = await asyncio.wait({following}, timeout=left_s)
                batch = following.result() if done else ()
                if batch is None:
                    break
                if done:
                    following = asyncio.ensure_future(anext(batches, None))
                if isinstance(batch, Gap):
                    yield batch
                elif ready := waiting.ready(batch, clock.now() * 1_000):
                    yield ready
        finally:
            following.cancel()
            await asyncio.wait({following})
        yield waiting.rest()


class _Waiting:
    """Lines that are not old enough, the oldest first."""

    def __init__(self, delay_ns: int) -> None:
        self._delay_ns = delay_ns
        self._heap: list[tuple[int, int, Item]] = []
        self._taken = 0

    @property
    def due_ns(self) -> int | None:
        """When the oldest has waited for long enough."""
        return self._heap[0][0] + self._delay_ns if self._heap else None

    def ready(self, items: Sequence[Item], now_ns: int) -> list[Item]:
        """Take lines one after another, and return those that need not wait, any longer or at all."""
        found = self._out(now_ns)
        for item in items:
            heappush(self._heap, (item.event_ns, self._taken, item))
            self._taken += 1
            found += self._out(now_ns)
        return found

    def rest(self) -> list[Item]:
        """Return what waits, once nothing follows."""
        return [heappop(self._heap)[2] for _ in range(len(self._heap))]

    def _out(self, now_ns: int) -> list[Item]:
        found = []
        while self._heap and (self._heap[0][0] + self._delay_ns <= now_ns or len(self._heap) > MAX_WAITING):
            found.append(heappop(self._heap)[2])
        return found
