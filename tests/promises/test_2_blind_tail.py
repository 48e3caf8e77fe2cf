"""Promise 2, blind, for Loki's tail: hidden data changes no byte on a WebSocket, the borders of messages included.

Two data sets that differ only in what the reader may not see are tailed through a real gateway on a real socket. The
clock stands still, so pings come equally often.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import quote

import pytest
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st
from tests.fakes.world import Runner
from tests.gateway.world import T0, TOKEN, World, request_bytes, world
from tests.promises.shared import running
from tests.promises.twins import WINDOW_NS, Twins, by_pattern, queries, twins

from loglease.gateway import GatewaySettings
from loglease.model.grant import Grant
from loglease.model.limits import Limits
from loglease.model.scope import Level

EXAMPLES = 60
GENEROUS = Limits(queries_per_min=10**9, lines=10**12, bytes=10**15)
ASKS = (
    "Connection: Upgrade",
    "Upgrade: websocket",
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
    "Sec-WebSocket-Version: 13",
)
FLAG = "X-Loki-Response-Encoding-Flags: categorize-labels"
_DATE = re.compile(rb"\r\ndate: [^\r]*", re.IGNORECASE)


@dataclass
class Tailing:
    """A gateway, the two grants that are read under, and a loop to run it in."""

    run: Runner
    world: World
    plain: Grant
    ruled: Grant


@pytest.fixture(scope="module")
def tailing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tailing]:
    gateway = world(
        tmp_path_factory.mktemp("blind"), settings=GatewaySettings(record_within_s=60), loose=True, page_lines=3
    )
    with running(gateway) as (run, made):
        made.clock.stop()
        run(made.watch.poll())
        made.profile = "pii-default@1"
        window = {"start_ns": T0, "end_ns": T0 + WINDOW_NS, "limits": GENEROUS}
        plain = run(made.grant('{service="a"}', **window))
        ruled = run(made.grant('{service="a"}', level=Level.WARN, contains=("pay",), **window))
        yield Tailing(run, made, plain, ruled)


async def transcript(made: World, path: str, *headers: str) -> bytes:
    """Return everything that a client can see but the time of day and the values behind pseudonyms."""
    reader, writer = await asyncio.open_connection("127.0.0.1", made.port)
    writer.write(request_bytes(path, TOKEN, *ASKS, *headers))
    raw = await asyncio.wait_for(reader.read(), 20)
    writer.close()
    return by_pattern(_DATE.sub(b"", raw))


@pytest.mark.volume
@pytest.mark.parametrize("ruled", [False, True], ids=["labels and time", "line rules too"])
def test_hidden_data_changes_no_byte_of_a_tail(tailing: Tailing, ruled: bool) -> None:
    grant = tailing.ruled if ruled else tailing.plain

    @settings(
        max_examples=EXAMPLES // 2,
        deadline=None,
        database=None,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
    )
    @given(
        data=twins(line_rules=ruled),
        query=st.one_of(st.just("{}"), queries()),
        start=st.sampled_from((0, T0 + 100)),
        limit=st.sampled_from((1, 3, 5_000)),
        headers=st.sampled_from(((), (FLAG,))),
    )
    def changes_no_byte(data: Twins, query: str, start: int, limit: int, headers: tuple[str, ...]) -> None:
        path = f"/g/{grant.id}/loki/api/v1/tail?start={start}&limit={limit}&query={quote(query)}"

        async def compared() -> None:
            seen = []
            for lines in (data.one, data.other):
                tailing.world.reader.lines = list(lines)
                seen.append(await transcript(tailing.world, path, *headers))
            event(f"{seen[0][9:12]!r} lines: {min(seen[0].count(b'streams'), 5)}")
            assert seen[0] == seen[1]

        tailing.run(compared())

    changes_no_byte()
