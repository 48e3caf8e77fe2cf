"""Long queries are read in a thread: while one is read, the event loop hands over lines of others."""

from __future__ import annotations

import threading
from urllib.parse import quote

import pytest
from tests.gateway.world import T0, Tail, call, line, world

from loglease.gateway import application
from loglease.gateway.frontends.loki import queries, tail

LINES = [line(T0, "hello", service="a")]
SHORT = '{service="a"}'
LONG = f'{SHORT} |~ "{"hello|" * 2000}x"'


@pytest.fixture
def readers(monkeypatch):
    """Whether the main thread read each query, in order."""
    found: list[bool] = []
    for module in (application, queries, tail):

        def recorded(text, original=module.parsed):
            found.append(threading.current_thread() is threading.main_thread())
            return original(text)

        monkeypatch.setattr(module, "parsed", recorded)
    return found


@pytest.mark.parametrize("route", ["logs", "loki/api/v1/query_range"])
@pytest.mark.parametrize(("query", "on_the_loop"), [(SHORT, True), (LONG, False)], ids=["short", "long"])
async def test_of_queries(tmp_path, readers, route, query, on_the_loop):
    async with world(tmp_path, lines=LINES) as here:
        grant = await here.grant()
        answer = await call(here, f"/g/{grant.id}/{route}?start={T0}&end={T0 + 10**9}&query={quote(query)}")
        assert answer.status == 200, answer.body
        assert b"hello" in answer.body
    assert readers == [on_the_loop]


async def test_of_tails(tmp_path, readers):
    upgrade = (
        "Connection: Upgrade",
        "Upgrade: websocket",
        "Sec-WebSocket-Version: 13",
        "Sec-WebSocket-Key: " + "A" * 22 + "==",
    )
    async with world(tmp_path, lines=LINES) as here:
        grant = await here.grant()
        follower = await Tail.open(here, f"/g/{grant.id}/loki/api/v1/tail?query={quote(LONG)}", *upgrade)
        assert (await follower.head()).status == 101
        follower.close()
    assert readers == [False]
