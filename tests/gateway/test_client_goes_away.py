"""A client that goes away ends the read of its source, whatever it had asked; nothing more is read for it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest
from tests.gateway.world import T0, ListReader, Tail, World, eventually, line, page_of, world

from loglease.gateway import GatewaySettings
from loglease.sources.interface import Capabilities

WEBSOCKET = (
    "Connection: Upgrade",
    "Upgrade: websocket",
    "Sec-WebSocket-Version: 13",
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
)
SPAN = f"start={T0}&end={T0 + 10**15}"
NOTHING = "query=%7B%7D%20%7C%3D%20%22no%20such%20text%22"
METRIC = "query=count_over_time(%7B%7D%5B1h%5D)"
EXACT = GatewaySettings(exact_statistics=True, progress_s=0.02)

ASKED: dict[str, tuple[str, tuple[str, ...]]] = {
    "body": (f"logs?{SPAN}&direction=forward&{NOTHING}", ()),
    "body backward": (f"logs?{SPAN}&{NOTHING}", ()),
    "body that spoke": (f"logs?{SPAN}&{NOTHING}&progress=true", ()),
    "events": (f"logs?{SPAN}&{NOTHING}", ("Accept: text/event-stream",)),
    "streams": (f"loki/api/v1/query_range?{SPAN}&{NOTHING}", ()),
    "matrix": (f"loki/api/v1/query_range?{SPAN}&{METRIC}&step=1h", ()),
    "vector": (f"loki/api/v1/query?time={T0 + 10**15}&{METRIC}", ()),
    "names": (f"loki/api/v1/labels?{SPAN}", ()),
    "fields": (f"loki/api/v1/detected_fields?{SPAN}&{NOTHING}", ()),
    "volume": (f"loki/api/v1/index/volume?{SPAN}", ()),
    "statistics": (f"loki/api/v1/index/stats?{SPAN}", ()),
    "tail, looking back": (f"loki/api/v1/tail?start={T0}&{NOTHING}", WEBSOCKET),
    "followed lines": (f"logs?start={T0}&follow=true&{NOTHING}", ()),
}


class EndlessReader(ListReader):
    """A source that always has another page, counts them, and knows which reads of it are open."""

    def __init__(self) -> None:
        super().__init__()
        self.capabilities = Capabilities(backward=True, follow=True)
        self.pages = 0
        self.open = 0

    def _page(self, at: int):
        self.pages += 1
        return page_of([line(T0 + at, "x", service="a", pod="9")])

    async def _endless(self, numbers: Iterator[int]):
        self.open += 1
        try:
            for number in numbers:
                yield self._page(number)
                await asyncio.sleep(0.001)
        finally:
            self.open -= 1

    def read(self, plan):
        newest_first = plan.direction == "backward"
        return self._endless(iter(range(10**9, 0, -1) if newest_first else range(10**9)))

    def follow(self, plan):
        return self._endless(iter(range(10**9)))

    async def series(self, selector, interval):
        self.open += 1
        try:
            for number in range(10**9):
                self.pages += 1
                yield line(0, "", service="b", pod=str(number)).labels
                await asyncio.sleep(0.001)
        finally:
            self.open -= 1


def endless(w: World) -> EndlessReader:
    w.reader = EndlessReader()
    return w.reader


@pytest.mark.parametrize("what", sorted(ASKED))
async def test_the_read_is_closed_and_nothing_more_is_read(tmp_path, what):
    path, headers = ASKED[what]
    async with world(tmp_path, settings=EXACT) as w:
        grant, reader = await w.grant(), endless(w)
        client = await Tail.open(w, f"/g/{grant.id}/{path}", *headers)
        await eventually(lambda: reader.pages > 20)
        assert reader.open == 1
        client.close()
        await eventually(lambda: reader.open == 0)
        pages = reader.pages
        await eventually(lambda: w.gateway.open_sessions == 0)
        assert reader.pages == pages
        assert (await w.entries("session.closed"))[0]["data"]["why"] == "client"
        assert reader.pages == pages


async def test_a_source_that_answers_nothing_is_left_likewise(tmp_path):
    closed = asyncio.Event()

    class SilentReader(ListReader):
        async def read(self, plan):
            try:
                await asyncio.Event().wait()
                yield page_of([])
            finally:
                closed.set()

    async with world(tmp_path) as w:
        grant = await w.grant()
        w.reader = SilentReader()
        client = await Tail.open(w, f"/g/{grant.id}/loki/api/v1/query_range?query=%7B%7D&{SPAN}")
        await eventually(lambda: w.gateway.open_sessions == 1)
        client.close()
        await asyncio.wait_for(closed.wait(), 10)
        assert (await w.entries("session.closed"))[0]["data"]["why"] == "client"
