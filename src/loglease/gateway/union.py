"""One answer under several grants: a reading of its own under each, put together item by item.

Each reading leaves out what a grant that ranks before its own covers, so no line comes twice. If one of them fails,
so does the whole: an answer that lacks a grant's lines would look like a whole one.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass

from loglease.gateway.merging import as_they_arrive, in_order
from loglease.gateway.reading import Batches, InPool, Reading
from loglease.gateway.resume import Places
from loglease.gateway.served import Item
from loglease.model.labels import Labels
from loglease.sources.interface import Gap

Identified = Callable[[Item], Item]
"""Writes into an item where an answer that stops behind it goes on."""


class Marks:
    """Gives the items of each grant their owner, and says where the whole answer goes on behind each.

    Args:
        after: where the answer goes on from.
        identified: what the format writes of that into an item.
    """

    def __init__(self, after: Places, identified: Identified | None = None) -> None:
        self._places = list(after)
        self._identified = identified

    def marked(self, number: int, item: Item) -> Item:
        """Return an item as one of a grant; to be called in the order in which items leave."""
        self._places[number] = item.places[0]
        marked = item._replace(owners=(number,), places=tuple(self._places))
        return marked if self._identified is None else self._identified(marked)


@dataclass(frozen=True, slots=True)
class Merged:
    """Log queries over closed intervals, in the order of one: by time, then by redacted labels, then by rank."""

    readings: Sequence[Reading]
    marks: Marks
    backward: bool
    follow: bool = False

    @property
    def is_exhausted(self) -> bool:
        """Whether under one grant there is more than may be looked at; the answer ends where that one's items do."""
        return any(reading.is_exhausted for reading in self.readings)

    async def batches(self, in_pool: InPool) -> AsyncGenerator[Sequence[Item], None]:
        """Yield items as far as their order is certain."""
        items = in_order(
            [_items(reading.batches(in_pool)) for reading in self.readings],
            self._key,
            lambda number: self.readings[number].is_exhausted,
        )
        async with aclosing(items):
            async for taken in items:
                yield [self.marks.marked(number, item) for number, item in taken]

    def _key(self, item: Item) -> tuple[int, Labels]:
        return -item.event_ns if self.backward else item.event_ns, item.labels


@dataclass(frozen=True, slots=True)
class Together:
    """Readings that follow their sources: items leave as they arrive, whichever grant they are from."""

    readings: Sequence[Reading]
    marks: Marks
    follow: bool = True
    is_exhausted: bool = False

    async def batches(self, in_pool: InPool) -> Batches:
        """Yield what arrives, until no reading goes on."""
        arriving = as_they_arrive([reading.batches(in_pool) for reading in self.readings])
        async with aclosing(arriving):
            async for number, batch in arriving:
                yield batch if isinstance(batch, Gap) else [self.marks.marked(number, item) for item in batch]


async def _items(batches: Batches) -> AsyncGenerator[Sequence[Item], None]:
    async with aclosing(batches):
        async for batch in batches:
            yield () if isinstance(batch, Gap) else batch


def merged(
    readings: Sequence[Reading], *, backward: bool, after: Places | None = None, identified: Identified | None = None
) -> Reading:
    """Return log readings as one; that of a single grant is what it is."""
    if len(readings) == 1:
        return readings[0]
    return Merged(readings, Marks(after or (None,) * len(readings), identified), backward)


def together(
    readings: Sequence[Reading], *, after: Places | None = None, identified: Identified | None = None
) -> Reading:
    """Return readings that follow as one; that of a single grant is what it is."""
    if len(readings) == 1:
        return readings[0]
    return Together(readings, Marks(after or (None,) * len(readings), identified))
