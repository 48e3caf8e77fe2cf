"""Several reads, or several tails, as one: a selector without keys is as many selectors as there are trusted labels."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from typing import TypeVar

from loglease.sources.paging import Row

T = TypeVar("T")


async def merged(
    reads: Sequence[AsyncGenerator[list[Row], None]], *, backward: bool
) -> AsyncGenerator[list[Row], None]:
    """Yield the rows of reads that share no stream, in order of time; a run of each is held.

    Raises:
        SourceError: one of them failed.
    """
    if len(reads) == 1:
        async with aclosing(reads[0]) as only:
            async for run in only:
                yield run
        return
    held: list[tuple[AsyncGenerator[list[Row], None], deque[Row]]] = [(read, deque()) for read in reads]
    try:
        while True:
            for read, rows in held:
                while not rows and (more := await _next(read)) is not None:
                    rows.extend(more)
            held = [(read, rows) for read, rows in held if rows]
            if not held:
                return
            lasts = [rows[-1].ts for _, rows in held]
            bound = max(lasts) if backward else min(lasts)
            ready: list[Row] = []
            for _, rows in held:
                while rows and (rows[0].ts >= bound if backward else rows[0].ts <= bound):
                    ready.append(rows.popleft())
            ready.sort(key=lambda row: (row.ts, row.labels), reverse=backward)
            yield ready
    finally:
        for read in reads:
            await read.aclose()


async def together(streams: Sequence[AsyncGenerator[T, None]]) -> AsyncGenerator[T, None]:
    """Yield what any of them gives, as it comes, until one of them ends.

    Raises:
        SourceError: one of them failed.
    """
    waiting = {asyncio.ensure_future(_next(stream)): stream for stream in streams}
    try:
        while True:
            done, _ = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                stream = waiting.pop(task)
                item = task.result()
                if item is None:
                    return
                yield item
                waiting[asyncio.ensure_future(_next(stream))] = stream
    finally:
        for task in waiting:
            task.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)
        for stream in streams:
            await stream.aclose()


async def _next(stream: AsyncGenerator[T, None]) -> T | None:
    return await anext(stream, None)
