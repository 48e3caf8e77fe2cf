"""Label sets that a grant may see: of streams with at least one permitted line in the interval, after redaction."""

from __future__ import annotations

from array import array
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from typing import Final

from loglease.gateway.asked import Means
from loglease.gateway.lines import Lines
from loglease.gateway.reading import Batches, InPool, pages_of
from loglease.gateway.recheck import Order
from loglease.gateway.scan import Scan
from loglease.gateway.served import Item
from loglease.logql import LabelTest, QueryFailed
from loglease.model.labels import Labels, Selector, matcher_of, selector_of
from loglease.sources.interface import Direction, Page, ReadPlan

MAX_SERIES: Final = 5_000

Selectors = Sequence[tuple[tuple[LabelTest, ...], Selector]]
"""Selectors of a question, each with the streams to ask the source for."""

Owned = Mapping[Labels, int]
"""Label sets in ascending order, each with the number of the first grant that shows it."""


@dataclass(frozen=True, slots=True)
class SeriesReading:
    """The label sets that fit any of some selectors.

    Attributes:
        parts: what is read under each grant, as they rank.
        encode: makes items of them.
    """

    parts: Sequence[tuple[Means, Selectors]]
    encode: Callable[[Owned], Sequence[Item]]
    follow: bool = False
    is_exhausted: bool = False

    async def batches(self, in_pool: InPool) -> Batches:
        """Yield all items at once.

        Raises:
            QueryFailed: there are more than 5,000 label sets.
        """
        found: dict[Labels, int] = {}
        for means, selectors in self.parts:
            for tests, selector in selectors:
                async with aclosing(_confirmed(means, tests, selector, in_pool)) as confirmed:
                    async for labels in confirmed:
                        found.setdefault(labels, means.number)
                        if len(found) > MAX_SERIES:
                            raise QueryFailed(
                                "too_many_series", f"there are more than {MAX_SERIES} streams; name some", limit=True
                            )
        yield self.encode(dict(sorted(found.items())))


async def _confirmed(
    means: Means, tests: tuple[LabelTest, ...], selector: Selector, in_pool: InPool
) -> AsyncGenerator[Labels, None]:
    """Yield redacted label sets; a candidate of the source counts only with a line to show for it that is this grant's.

    A line that a grant which ranks before covers is not.

    SECURITY: how much is read depends on streams without one, so no limit counts it but time, and their labels are not
    even redacted; tested in tests/gateway/test_blind.py.
    """
    sure = means.reader.capabilities.exact_series and not means.has_line_rules and not means.others()
    candidates: AsyncIterator[Labels] = means.reader.series(selector, means.interval)
    try:
        async for raw in candidates:
            if not means.scope.admits_stream(raw):
                continue
            lines = lines_of(means, tests, None)
            if sure or await _has_line(means, lines, raw, in_pool):
                labels = await in_pool(lines.shown, raw)
                if labels is not None:
                    yield labels
    finally:
        if isinstance(candidates, AsyncGenerator):
            await candidates.aclose()


async def _has_line(means: Means, lines: Lines, raw: Labels, in_pool: InPool) -> bool:
    plan = ReadPlan(
        selector=_just(raw),
        interval=means.interval,
        page_lines=100,
    )
    async with aclosing(pages_of(means.reader, plan, lines.covered)) as pages:
        async for page in pages:
            if await in_pool(_shows, lines, page, raw):
                return True
    return False


def _just(raw: Labels) -> Selector:
    """Return the selector of a stream; what cannot be said is left to the test of each line."""
    exact = ((name, matcher_of(exact=(value,))) for name, value in raw)
    return selector_of({name: matcher for name, matcher in exact if matcher is not None})


def _shows(lines: Lines, page: Page, raw: Labels) -> bool:
    numbers = {number for number, labels in enumerate(page.streams) if labels == raw}
    places = [place for place, number in enumerate(page.stream) if number in numbers]
    own = Page(
        streams=[raw],
        stream=array("I", [0] * len(places)),
        ts=array("q", [page.ts[place] for place in places]),
        lines=[page.lines[place] for place in places],
        metadata=[page.metadata[place] for place in places],
    )
    return len(lines.found(own).numbers) > 0


def lines_of(means: Means, tests: Iterable[LabelTest], scan: Scan | None) -> Lines:
    """Return the redacted lines of the streams that a selector selects.

    Args:
        scan: what may be looked at; None counts nothing.
    """
    return Lines(
        tests,
        redactor=means.redactor,
        recheck=means.recheck(),
        order=Order(Direction.FORWARD),
        filters=(),
        backward=False,
        scan=scan,
        others=means.others(),
    )
