"""The reader of VictoriaLogs: a scope in, pages of lines out. No text of a requester is in what it sends."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Final

from loglease.model.clock import Clock
from loglease.model.instant import Interval
from loglease.model.labels import Labels, Selector
from loglease.sources.following import Following
from loglease.sources.interface import Capabilities, Gap, Health, Page, ReadPlan
from loglease.sources.paging import Pager
from loglease.sources.transport import Transport
from loglease.sources.victorialogs.configuration import VictoriaLogsConfig
from loglease.sources.victorialogs.following import REPAIR_S, Tailed
from loglease.sources.victorialogs.slices import Slices, slice_request, streams_of

_NOTHING: Final = Interval(0, 1)


class VictoriaLogsReader:
    """A `Reader` over one tenant of a VictoriaLogs.

    Args:
        clock: wall time for following, boot time for waits.
    """

    capabilities = Capabilities(backward=True, follow=True, exact_literal=True, marks=True, exact_series=True)

    def __init__(self, configuration: VictoriaLogsConfig, clock: Clock) -> None:
        self.configuration = configuration
        self._clock = clock
        self._transport = Transport(configuration.upstream)

    async def read(self, plan: ReadPlan) -> AsyncGenerator[Page, None]:
        """Yield the lines of the plan in its order; lines of equal times in that of their streams and texts."""
        pager = Pager(plan.page_lines, plan.page_bytes)
        async with aclosing(Slices(self._transport, plan).rows()) as slices:
            async for rows in slices:
                for page in pager.feed(rows):
                    yield page
        for page in pager.flush():
            yield page

    async def follow(self, plan: ReadPlan) -> AsyncGenerator[Page | Gap, None]:
        """Yield the lines from the start of the plan on, then new ones as they arrive; see `Following`."""
        following = Following(Tailed(self._transport, plan), plan, self._clock, repair_s=REPAIR_S)
        async with aclosing(following.items()) as items:
            async for item in items:
                yield item

    async def series(self, selector: Selector, interval: Interval) -> AsyncGenerator[Labels, None]:
        """Yield the label sets that have at least one line there."""
        for labels in await streams_of(self._transport, ReadPlan(selector=selector, interval=interval), interval):
            yield labels

    async def labels(self, selector: Selector, interval: Interval) -> set[str]:
        """Return the names of labels of streams that have lines there."""
        return {name async for labels in self.series(selector, interval) for name, _ in labels}

    async def label_values(self, name: str, selector: Selector, interval: Interval) -> set[str]:
        """Return the values of one label among the streams that have lines there."""
        return {value async for labels in self.series(selector, interval) for key, value in labels if key == name}

    async def check(self) -> Health:
        """Say whether it answers queries as we ask them."""
        plan = ReadPlan(selector=Selector(), interval=_NOTHING)
        return await self._transport.health(slice_request(plan, plan.selector, _NOTHING, 1))

    async def aclose(self) -> None:
        """Close all connections."""
        await self._transport.aclose()
