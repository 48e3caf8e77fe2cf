"""Threads that evaluate, shared evenly: the next turn is for whoever had least, not for whoever asked first.

Every session's work comes in small pieces. Each piece that waits has a tag: the processor time that its session has had
so far, or the tag of the piece begun last where that is more, so that a new session starts level with those that are
there and one that waited for its client gains no credit. The lowest tag goes next (start-time fair queueing). A light
query is therefore answered soon however many heavy ones run, and none of them waits for ever.
"""

from __future__ import annotations

import asyncio
import heapq
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any


class Turns:
    """So many threads and those who wait for one. It belongs to one event loop."""

    def __init__(self, threads: int) -> None:
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="loglease-evaluate")
        self._free = threads
        self._waiting: list[tuple[float, int, asyncio.Future[None]]] = []
        self._number = 0
        self._begun_last = 0.0

    def turn(self) -> Turn:
        """Return the turn of one session."""
        return Turn(self)

    async def wait(self, had_s: float) -> float:
        """Wait for a thread; return the tag of the piece of work that may begin. `done` has to follow."""
        tag = max(had_s, self._begun_last)
        if self._free:
            self._free -= 1
        else:
            place: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._number += 1
            heapq.heappush(self._waiting, (tag, self._number, place))
            try:
                await place
            except asyncio.CancelledError:
                if place.done() and not place.cancelled():
                    self.done()
                raise
        self._begun_last = max(self._begun_last, tag)
        return tag

    def done(self) -> None:
        """Give a thread back, to the next who waits."""
        while self._waiting:
            _, _, place = heapq.heappop(self._waiting)
            if not place.done():
                place.set_result(None)
                return
        self._free += 1

    async def run(self, work: Callable[[], Any]) -> Any:
        """Run a piece of work that has its turn in a thread."""
        return await asyncio.get_running_loop().run_in_executor(self._pool, work)

    def close(self) -> None:
        """Let the threads go."""
        self._pool.shutdown(wait=False, cancel_futures=True)


class Turn:
    """Runs the pieces of one session's work in threads, one after another."""

    def __init__(self, turns: Turns) -> None:
        self._turns = turns
        self._had_s = 0.0

    async def __call__(self, work: Callable[..., Any], *args: object) -> Any:
        """Run one piece when it is due; its processor time counts."""
        tag = await self._turns.wait(self._had_s)

        def counted() -> Any:
            began_s = time.thread_time()
            try:
                return work(*args)
            finally:
                self._had_s = max(self._had_s, tag) + time.thread_time() - began_s

        try:
            return await self._turns.run(counted)
        finally:
            self._turns.done()
