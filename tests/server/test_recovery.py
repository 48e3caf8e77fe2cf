"""The database fails under a running server and comes back: what was refused is on the record, exactly, then late acts."""

from __future__ import annotations

import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import orjson
import pytest
from sqlalchemy import Engine, event
from tests.api.world import WISH, World, world_in

from loglease.audit.interface import AuditUnavailable
from loglease.audit.semantic import BreachKind, check
from loglease.server.recovery import Recovery
from loglease.store.interface import StoreUnavailable
from loglease.store.sqlite import SqliteStore
from loglease.store.sqlite_library import running_library

pytestmark = pytest.mark.sqlite

SECRET = "hunter2 of a statement"


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with world_in(tmp_path) as found:
        yield found


@contextmanager
def broken_writer() -> Iterator[None]:
    """Let each statement and commit of the writing connection fail as on a broken disk."""

    def fail(*_: Any) -> None:
        if threading.current_thread().name.startswith("store-writer"):
            raise running_library().module.OperationalError(f"disk I/O error near {SECRET}")

    for name in ("before_cursor_execute", "commit"):
        event.listen(Engine, name, fail)
    try:
        yield
    finally:
        for name in ("before_cursor_execute", "commit"):
            event.remove(Engine, name, fail)


def counted(world: World) -> Callable[[], int]:
    """Count what the log's entrance refuses from now on."""
    commit = world.services.sequencer.commit
    refused = 0

    async def counting(*given: Any, **named: Any) -> Any:
        nonlocal refused
        try:
            return await commit(*given, **named)
        except AuditUnavailable:
            refused += 1
            raise

    world.services.sequencer.commit = counting  # type: ignore[method-assign]
    return lambda: refused


async def entries(world: World) -> list[dict[str, Any]]:
    rows = await world.services.store.read(lambda tx: tx.entries.since(0, limit=10_000))
    found = check([(row.index + 1, bytes(row.content)) for row in rows])
    assert not [str(one) for one in found.of(BreachKind.VIOLATION)]
    return [orjson.loads(row.content) for row in rows]


async def test_what_was_refused_and_what_comes_late_is_on_the_record(world: World) -> None:
    alice, bob = await world.add("alice"), await world.add("bob", groups=("approvers",))
    first, second = [await world.approved(alice, bob) for _ in range(2)]
    before = len(await entries(world))
    refused = counted(world)
    recovery = Recovery(world.services)
    with broken_writer():
        bodies = set()
        for _ in range(3):
            answer = await world.created("/requests", WISH, alice)
            assert (answer.status_code, answer.json()["code"]) == (503, "audit_unavailable")
            assert SECRET not in answer.text
            bodies.add(answer.json()["detail"])
        assert len(bodies) == 1
        for grant in (first, second):
            cut = await world.client.post(f"/grants/{grant}/revoke", json={"reason": "leak"}, headers=bob)
            assert (cut.status_code, cut.json()["durable"]) == (202, False)
        await recovery.step()
        assert world.services.watch.unrecorded
    await recovery.step()
    added = (await entries(world))[before:]
    resumed = [one for one in added if one["type"] == "audit.resumed"]
    assert [(one["data"]["refused"], one["data"]["late"]) for one in resumed] == [(refused(), 2)]
    assert refused() >= 5
    assert resumed[0]["data"]["from_at"] <= resumed[0]["data"]["until_at"] <= resumed[0]["at"]
    assert resumed[0]["data"]["replica"] == world.services.replica
    assert [one["type"] for one in added][:3] == ["audit.resumed", "grant.revoked", "grant.revoked"]
    assert all(one["data"]["late"] for one in added[1:3])
    assert not world.services.watch.unrecorded
    await recovery.step()
    assert len(await entries(world)) == before + len(added), "once"
    assert (await world.created("/requests", WISH, alice)).status_code == 201, "without a restart"


@pytest.mark.attack("AD-02", "FT-02")
async def test_a_full_disk_is_a_failure_of_the_record_too(world: World) -> None:
    alice = await world.add("alice")
    store: Any = world.services.store

    def pragma(text: str) -> Any:
        return store._writer.run(lambda connection, _: connection.exec_driver_sql(f"PRAGMA {text}").scalar())

    refused = counted(world)
    pragma(f"max_page_count = {pragma('page_count')}")
    wish = {**WISH, "reason": "x" * 400}
    while not refused():
        request = await world.created("/requests", wish, alice)
        if request.status_code == 201:
            await world.client.post(f"/requests/{request.json()['id']}/cancel", headers=alice)
    pragma("max_page_count = 1000000")
    assert world.services.sequencer.outage.refused == refused()
    await Recovery(world.services).step()
    [resumed] = [one for one in await entries(world) if one["type"] == "audit.resumed"]
    assert (resumed["data"]["refused"], resumed["data"]["late"]) == (refused(), 0)


@pytest.mark.attack("FT-04")
async def test_an_attempt_whose_answer_is_lost_counts_once(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    alice = await world.add("alice")
    recovery, refused = Recovery(world.services), counted(world)
    with broken_writer():
        await world.created("/requests", WISH, alice)
    group, mute = SqliteStore.group, True

    async def muted(store: SqliteStore, body: Any) -> Any:
        done = await group(store, body)
        if mute:
            raise StoreUnavailable("Nothing is answered.")
        return done

    monkeypatch.setattr(SqliteStore, "group", muted)
    monkeypatch.setattr(world.services.sequencer, "_doubt_s", 0)
    await recovery.step()
    assert world.services.sequencer.outage.refused == refused(), "nobody knows yet"
    answer = await world.created("/requests", WISH, alice)
    assert answer.json()["code"] == "audit_unavailable"
    mute = False
    for _ in range(3):
        await recovery.step()
    found = [one["data"] for one in await entries(world) if one["type"] == "audit.resumed"]
    assert sum(one["refused"] for one in found) == refused()
    assert len(found) == 2, "the second outage is one of its own"
    assert found[0]["until_at"] <= found[1]["from_at"]
