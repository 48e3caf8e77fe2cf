"""Several sequences that are read piece by piece, put together: in order, or as they arrive."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Callable, Sequence
from typing import Any, TypeVar

ItemT = TypeVar("ItemT")
PieceT = TypeVar("PieceT")

Numbered = tuple[int, ItemT]
"""An item with the number of the sequence that it is from."""


async def in_order(
    sources: Sequence[AsyncGenerator[Sequence[ItemT], None]],
    key: Callable[[ItemT], Any],
    ends_all: Callable[[int], bool] = lambda _: False,
) -> AsyncGenerator[list[Numbered[ItemT]], None]:
    """Yield the items of sequences that are each in the order of a key; of equal ones the first sequence's come first.

    Args:
        ends_all: whether nothing more is given once this sequence is at its end.
    """
    ahead: dict[int, deque[ItemT]] = {number: deque() for number in range(len(sources))}
    try:
        while ahead:
            for number in list(ahead):
                if await _fill(ahead[number], sources[number]):
                    continue
                if ends_all(number):
                    return
                del ahead[number]
            if ahead:
                yield _taken(ahead, key)
    finally:
        for source in sources:
            await source.aclose()


async def _fill(items: deque[ItemT], source: AsyncGenerator[Sequence[ItemT], None]) -> bool:
    """Read until there is an item, and say whether there is one."""
    while not items:
        piece = await anext(source, None)
        if piece is None:
            return False
        items.extend(piece)
    return True


def _taken(ahead: dict[int, deque[ItemT]], key: Callable[[ItemT], Any]) -> list[Numbered[ItemT]]:
    """Take items for as long as each sequence has one, since what is not read yet may come next."""
    heads = {number: key(items[0]) for number, items in ahead.items()}
    taken: list[Numbered[ItemT]] = []
    while True:
        first = min(heads, key=lambda number: (heads[number], number))
        items = ahead[first]
        taken.append((first, items.popleft()))
        if not items:
            return taken
        heads[first] = key(items[0])


async def as_they_arrive(sources: Sequence[AsyncGenerator[PieceT, None]]) -> AsyncGenerator[Numbered[PieceT], None]:
    """Yield the pieces of all sequences until none goes on; one piece of each is read ahead."""
    waiting: dict[asyncio.Task[PieceT | None], int] = {
        asyncio.create_task(_next(source)): number for number, source in enumerate(sources)
    }
    try:
        while waiting:
            done, _ = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
            for task in sorted(done, key=waiting.__getitem__):
                piece = task.result()
                number = waiting.pop(task)
                if piece is not None:
                    waiting[asyncio.create_task(_next(sources[number]))] = number
                    yield number, piece
    finally:
        for task in waiting:
            task.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)
        for source in sources:
            await source.aclose()


async def _next(source: AsyncGenerator[PieceT, None]) -> PieceT | None:
    return await anext(source, None)
