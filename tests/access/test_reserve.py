"""A reservation costs few statements: it is written for each 256 lines that leave."""

from __future__ import annotations

from collections import Counter

from sqlalchemy import Engine, event
from tests.access.journey import active_grant
from tests.fakes.world import World, caller, principal

from loglease.access.open_session import Places, open_session
from loglease.access.reserve import reserve
from loglease.access.serving import NOTHING
from loglease.model.instant import Interval
from loglease.model.limits import Limits
from loglease.model.session import Front, SessionKind


async def test_a_reservation_reads_nothing_twice_but_the_head(world: World) -> None:
    grant = await active_grant(world)
    now = world.clock.now()
    opened = await open_session(
        grant.id,
        kind=SessionKind.QUERY,
        front=Front.PLAIN,
        query="{}",
        interval=Interval(now * 1_000 - 10**9, now * 1_000),
        limit=None,
        caller=caller(principal("alice"), now),
        replica="one",
        places=Places(sessions=5, tails=3),
        **world.ports,
    )
    statements: Counter[str] = Counter()

    def note(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        statements[statement] += 1

    event.listen(Engine, "before_cursor_execute", note)
    try:
        ports = {key: value for key, value in world.ports.items() if key in ("log", "new_id", "random")}
        reserved = await reserve(
            opened.session.id, settled=NOTHING, want_lines=10, want_bytes=1_000, limits=Limits(), replica="one", **ports
        )
    finally:
        event.remove(Engine, "before_cursor_execute", note)
    assert reserved.ceiling_lines == 10
    reads = {text: count for text, count in statements.items() if text.startswith("SELECT")}
    assert len(reads) >= 5
    assert {text for text, count in reads.items() if count > 1 and "seq_head" not in text} == set()
    assert max(reads.values()) <= 2
