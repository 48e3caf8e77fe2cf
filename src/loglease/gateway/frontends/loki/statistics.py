"""``index/stats``: zeros, or by configuration how many permitted lines there are and how large they are, redacted."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Final

import orjson

from loglease.gateway.asked import Asked, Means, Prepared
from loglease.gateway.frontends.loki.document import Document, Shape, name
from loglease.gateway.frontends.loki.names import both_ends, streams_query
from loglease.gateway.frontends.loki.queries import Direct, asked_of
from loglease.gateway.lines import Lines
from loglease.gateway.names import lines_of
from loglease.gateway.parameters import Values
from loglease.gateway.planner import planned
from loglease.gateway.reading import Batches, InPool, pages_of
from loglease.gateway.scan import too_many_lines
from loglease.logql import LogQuery
from loglease.model.instant import Instant
from loglease.model.labels import Labels
from loglease.model.session import Front, SessionKind
from loglease.sources.interface import Page, ReadPlan

_ZEROS: Final = {"streams": 0, "chunks": 0, "bytes": 0, "entries": 0}


def statistics_question(values: Values, now: Instant, *, exact: bool) -> Asked | Direct:
    """Return what ``index/stats`` asks; unless it is to be exact, its answer is zeros.

    Raises:
        QueryInvalid, Malformed: the selector is none, or a parameter cannot have its value.
    """
    text = values.text("query", "{}")
    query = streams_query(text)
    interval = both_ends(values.interval(now))
    if not exact:
        return Direct(orjson.dumps(_ZEROS))

    def prepare(all_means: Sequence[Means]) -> Prepared:
        # Chunks are a matter of the store, so their number is never told.
        document = Document(Shape(b'{"chunks":0', b"", b"", counts=False))
        return Prepared(_Counting(all_means, query, document), document)

    return Asked(
        kind=SessionKind.NAMES,
        front=Front.LOKI,
        query=text,
        interval=interval,
        limit=None,
        check=lambda scope: planned(query, scope),
        prepare=prepare,
    )


@dataclass(slots=True)
class _Counting:
    """Counts the permitted lines of the streams that a selector selects, each under the first grant that covers it."""

    all_means: Sequence[Means]
    query: LogQuery
    document: Document
    follow: bool = False
    is_exhausted: bool = False
    _streams: set[Labels] = field(default_factory=set)
    _entries: int = 0
    _bytes: int = 0

    async def batches(self, in_pool: InPool) -> Batches:
        """Yield the numbers as one item.

        Raises:
            QueryFailed: there are more lines than a query may look at.
        """
        selectors, _ = asked_of(self.query, self.all_means)
        read = [
            (means, selector) for means, selector in zip(self.all_means, selectors, strict=True) if selector is not None
        ]
        for means, selector in read:
            lines = lines_of(means, self.query.selector, means.scan())
            plan = ReadPlan(selector=selector, interval=means.interval)
            async with aclosing(pages_of(means.reader, plan, lines.covered)) as pages:
                async for page in pages:
                    await in_pool(self._count, lines, page)
        found = b',"streams":%d,"bytes":%d,"entries":%d' % (len(self._streams), self._bytes, self._entries)
        made = name(found, min(means.interval.start for means in self.all_means))
        # The numbers are made of the lines of all these grants, so they are recorded and counted under each.
        owners = tuple(means.number for means, _ in read) or (0,)
        yield self.document.led([made._replace(owners=owners)])

    def _count(self, lines: Lines, page: Page) -> None:
        found = lines.found(page)
        if lines.is_exhausted:
            raise too_many_lines()
        for number in found.numbers:
            self._streams.add(found.streams[page.stream[found.places[number]]].labels)
            self._bytes += len(found.lines.line(number))
        self._entries += len(found.numbers)
