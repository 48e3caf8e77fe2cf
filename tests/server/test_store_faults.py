"""What a broken database says of itself: operators read its name for the failure, callers always the same text."""

from __future__ import annotations

import io
import json
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import structlog
from sqlalchemy import Engine, event
from tests.api.world import World, world_in
from tests.fakes.clock import FakeClock

from loglease.gateway.answers import problem_body
from loglease.model.errors import LogLeaseError
from loglease.server.pages.site import shown_error
from loglease.server.problems import problem_of
from loglease.server.telemetry import StoreFailures, configure
from loglease.store.errors import StoreInUse
from loglease.store.interface import StoreUnavailable
from loglease.store.sqlite_library import running_library

pytestmark = pytest.mark.sqlite

SECRET = "hunter2"


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with world_in(tmp_path) as found:
        yield found


@pytest.fixture
def logged() -> Iterator[io.StringIO]:
    out = io.StringIO()
    configure(out)
    yield out
    structlog.reset_defaults()


@contextmanager
def broken_readers() -> Iterator[None]:
    """Let each query fail, and the driver quote what the statement was about."""

    def fail(*_: Any) -> None:
        if threading.current_thread().name.startswith(("store-reader", "store-urgent")):
            raise running_library().module.OperationalError(f"malformed MATCH expression: [{SECRET}]")

    event.listen(Engine, "before_cursor_execute", fail)
    try:
        yield
    finally:
        event.remove(Engine, "before_cursor_execute", fail)


async def test_a_body_never_says_what_the_driver_said_and_the_log_names_it(world: World, logged: io.StringIO) -> None:
    alice = await world.add("alice")
    with broken_readers():
        answers = [await world.client.get(path, headers=alice) for path in ("/requests", "/grants", "/sources")]
        page = await world.client.get("http://127.0.0.1:8080/", headers=alice)
    for answer in answers:
        body = answer.json()
        assert (answer.status_code, body["code"]) == (503, "store_unavailable")
        assert SECRET not in answer.text
    assert len({(one.json()["detail"], str(one.json()["next"])) for one in answers}) == 1
    assert SECRET not in page.text
    said = logged.getvalue()
    assert SECRET not in said
    found = [json.loads(text) for text in said.splitlines()]
    failures = [one for one in found if one["event"] == "store_failed"]
    assert failures
    assert failures[0]["reason"] == "OperationalError"


@pytest.mark.parametrize("kind", [StoreUnavailable, StoreInUse])
def test_every_door_tells_all_callers_the_same(kind: type[StoreUnavailable]) -> None:
    def bodies(error: LogLeaseError) -> list[str]:
        return [
            json.dumps(problem_of(error, instance="/requests", trace_id="t")),
            json.dumps(shown_error(error)),
            *(problem_body(error, as_json=as_json)[0].decode() for as_json in (True, False)),
        ]

    one, other = (
        kind(f"The database failed: {SECRET}.", next_step=f"Look at /srv/{SECRET}."),
        StoreUnavailable("Closed."),
    )
    assert bodies(one) == bodies(other)
    assert not [body for body in bodies(one) if SECRET in body]
    assert SECRET in one.message, "for operators, where a start fails"


def test_a_database_that_fails_all_the_time_does_not_fill_the_log(logged: io.StringIO) -> None:
    clock = FakeClock()
    failures = StoreFailures(clock)
    for _ in range(3):
        for _ in range(100):
            failures("SQLITE_FULL")
        clock.advance(1.5)
    found = [json.loads(text) for text in logged.getvalue().splitlines()]
    assert {one["reason"] for one in found} == {"SQLITE_FULL"}
    assert [one["count"] for one in found] == [1, 100, 100], "with those that it left out before"
