"""A reservation costs few statements: one is recorded for each 256 lines that leave, and for each line of a quiet tail."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import pytest
from sqlalchemy import Connection, Engine, event
from tests.access.journey import active_grant
from tests.fakes.world import World, caller, principal

from loglease.access.open_session import Places, open_session
from loglease.access.reserve import reserve
from loglease.access.serving import NOTHING
from loglease.model.instant import Interval
from loglease.model.limits import Limits
from loglease.model.session import Front, SessionKind
from loglease.store import statements


async def test_a_reservation_reads_all_that_it_asks_in_one_statement(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
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
    ran: Counter[str] = Counter()
    cursor_of = statements.cursor_of

    class Noting:
        def __init__(self, connection: Connection) -> None:
            self._cursor = cursor_of(connection)

        def execute(self, text: str, values: Sequence[object]) -> Any:
            ran[text] += 1
            return self._cursor.execute(text, values)

        def executemany(self, text: str, rows: Sequence[Sequence[object]]) -> Any:
            return self._cursor.executemany(text, rows)

    def note(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        ran[statement] += 1

    monkeypatch.setattr(statements, "cursor_of", Noting)
    event.listen(Engine, "before_cursor_execute", note)
    try:
        ports = {key: value for key, value in world.ports.items() if key in ("log", "new_id", "random")}
        reserved = await reserve(
            opened.session.id, settled=NOTHING, want_lines=10, want_bytes=1_000, limits=Limits(), replica="one", **ports
        )
    finally:
        event.remove(Engine, "before_cursor_execute", note)
    assert reserved.ceiling_lines == 10
    reads = [text for text in ran if text.startswith("SELECT") and "seq_head FOR UPDATE" not in text]
    assert [text.partition(" AS ")[0] for text in reads] == ["SELECT sessions.id"]
    assert set(ran.values()) == {1}
