"""The reader of Loki: a scope in, pages of lines out. No text of a requester is in what it sends."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing

from loglease.model.clock import Clock
from loglease.model.instant import Interval
from loglease.model.labels import Labels, Selector
from loglease.sources.following import Following
from loglease.sources.interface import Capabilities, Direction, Gap, Health, Page, ReadPlan
from loglease.sources.loki.configuration import LokiConfig
from loglease.sources.loki.following import REPAIR_S, Tailed
from loglease.sources.loki.joining import merged
from loglease.sources.loki.requests import selectors_of
from loglease.sources.loki.slices import Loki, Slices
from loglease.sources.paging import Pager
from loglease.sources.transport import Transport, health_of


class LokiReader:
    """A `Reader` over one tenant of a Loki: over the streams of it that have at least one trusted label.

    Args:
        clock: wall time for following, boot time for waits.
    """

    capabilities = Capabilities(backward=True, follow=True, exact_literal=True, marks=True)

    def __init__(self, configuration: LokiConfig, clock: Clock) -> None:
        self.configuration = configuration
        self._clock = clock
        self._transport = Transport(configuration.upstream)
        self._loki = Loki(self._transport, configuration)

    def _selectors(self, selector: Selector) -> list[str]:
        return selectors_of(selector, self.configuration.label_names)

    async def read(self, plan: ReadPlan) -> AsyncGenerator[Page, None]:
        """Yield the lines of the plan in its order; lines of equal times in that of their streams, then the store's."""
        pager = Pager(plan.page_lines, plan.page_bytes)
        reads = [Slices(self._loki, streams, plan).rows() for streams in self._selectors(plan.selector)]
        async with aclosing(merged(reads, backward=plan.direction is Direction.BACKWARD)) as runs:
            async for rows in runs:
                for page in pager.feed(rows):
                    yield page
        for page in pager.flush():
            yield page

    async def follow(self, plan: ReadPlan) -> AsyncGenerator[Page | Gap, None]:
        """Yield the lines from the start of the plan on, then new ones as they arrive; see `Following`."""
        tailed = Tailed(self._loki, self._selectors(plan.selector), plan)
        async with aclosing(Following(tailed, plan, self._clock, repair_s=REPAIR_S).items()) as items:
            async for item in items:
                yield item

    async def series(self, selector: Selector, interval: Interval) -> AsyncGenerator[Labels, None]:
        """Yield the label sets of streams with chunks there; Loki does not say whether a line of these lies there."""
        for streams in self._selectors(selector):
            async with aclosing(self._loki.series(streams, interval)) as found:
                async for labels in found:
                    yield labels

    async def labels(self, selector: Selector, interval: Interval) -> set[str]:
        """Return the names of labels of those streams."""
        return {name async for labels in self.series(selector, interval) for name, _ in labels}

    async def label_values(self, name: str, selector: Selector, interval: Interval) -> set[str]:
        """Return the values of one label among those streams."""
        return {value async for labels in self.series(selector, interval) for key, value in labels if key == name}

    async def check(self) -> Health:
        """Say whether it answers queries as we ask them, and tells labels apart if it has to."""
        now = self._clock.now() * 1_000
        streams = self._selectors(Selector())[0]
        return await health_of(
            self._loki.lines(streams, "", Interval(now, now + 1), direction=Direction.FORWARD, limit=1)
        )

    async def aclose(self) -> None:
        """Close all connections."""
        await self._transport.aclose()
