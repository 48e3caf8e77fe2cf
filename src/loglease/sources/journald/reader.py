"""The reader of a journal behind systemd-journal-gatewayd: only ``/entries`` is called, with matches that we wrote."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing

from loglease.model.clock import Clock
from loglease.model.instant import Interval
from loglease.model.labels import Labels, Selector
from loglease.sources.interface import Capabilities, Direction, Gap, Health, Page, ReadPlan
from loglease.sources.journald.configuration import JournaldConfig
from loglease.sources.journald.entries import matches_of
from loglease.sources.journald.following import Following
from loglease.sources.journald.walk import Journal, cursor_at, rows_between
from loglease.sources.paging import Pager
from loglease.sources.transport import Transport


class JournaldReader:
    """A `Reader` over the journal of one gateway daemon.

    Args:
        clock: wall time for the end of following, boot time for waits.
    """

    capabilities = Capabilities(backward=True, follow=True, exact_series=True)

    def __init__(self, configuration: JournaldConfig, clock: Clock) -> None:
        self.configuration = configuration
        self._clock = clock
        self._transport = Transport(configuration.upstream)

    def _journal(self, selector: Selector) -> Journal:
        names = self.configuration.label_names
        return Journal(self._transport, matches_of(selector, names), names)

    async def read(self, plan: ReadPlan) -> AsyncGenerator[Page, None]:
        """Yield the lines of the plan in its order; see `Reader`."""
        pager = Pager(plan.page_lines, plan.page_bytes)
        backward = plan.direction is Direction.BACKWARD
        async with aclosing(rows_between(self._journal(plan.selector), plan.interval, backward=backward)) as runs:
            async for rows in runs:
                for page in pager.feed(rows):
                    yield page
        for page in pager.flush():
            yield page

    async def follow(self, plan: ReadPlan) -> AsyncGenerator[Page | Gap, None]:
        """Yield the lines from the start of the plan on, then new ones as they arrive; see `Following`."""
        following = Following(self._transport, self._journal(plan.selector), plan, self._clock)
        async with aclosing(following.items()) as items:
            async for item in items:
                yield item

    async def series(self, selector: Selector, interval: Interval) -> AsyncGenerator[Labels, None]:
        """Yield the label sets that have at least one line there; all lines are read for it."""
        found: set[Labels] = set()
        async with aclosing(self.read(ReadPlan(selector=selector, interval=interval))) as pages:
            async for page in pages:
                for labels in page.streams:
                    if labels not in found:
                        found.add(labels)
                        yield labels

    async def labels(self, selector: Selector, interval: Interval) -> set[str]:
        """Return the names of labels of streams that have lines there."""
        return {name async for labels in self.series(selector, interval) for name, _ in labels}

    async def label_values(self, name: str, selector: Selector, interval: Interval) -> set[str]:
        """Return the values of one label among the streams that have lines there."""
        return {value async for labels in self.series(selector, interval) for key, value in labels if key == name}

    async def check(self) -> Health:
        """Say whether its entries can be read."""
        return await self._transport.health(self._journal(Selector()).request(f"{cursor_at(0)}:0:1"))

    async def aclose(self) -> None:
        """Close all connections."""
        await self._transport.aclose()
