from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from tests.api.world import WISH, World

from loglease.model.review import Channel
from loglease.server.api.audit import _events
from loglease.server.edge import ADDRESS
from loglease.server.events import Batch, Hub, events_since


async def caller_of(world: World, headers: dict[str, str]) -> Any:
    text = headers["Authorization"].removeprefix("Bearer ")
    return (await world.services.credentials.bearer(text, Channel.API)).caller


async def since(world: World, caller: Any, position: int) -> Batch:
    return await world.services.store.read(lambda tx: events_since(tx, caller, position, None))


@pytest.mark.attack("PO-04")
async def test_events_are_thin_and_only_of_what_somebody_may_see(world: World) -> None:
    alice = await world.add("alice@example.com")
    bob = await world.add("bob@example.com", groups=("approvers",))
    mallory = await world.add("mallory@example.com")
    start = await world.services.store.read(lambda tx: tx.entries.size())
    grant = await world.approved(alice, bob)
    seen = {}
    for name, who in (("alice", alice), ("bob", bob), ("mallory", mallory)):
        caller = await caller_of(world, who)
        seen[name] = await since(world, caller, start)
    assert seen["alice"].events == seen["bob"].events
    assert [one["type"] for one in seen["alice"].events] == [
        "request.submitted",
        "offer.made",
        "review.given",
        "request.approved",
        "grant.scheduled",
    ]
    assert all(set(one) == {"id", "type", "at", "resource", "version"} for one in seen["alice"].events)
    assert seen["alice"].events[-1]["resource"] == f"/api/v1/grants/{grant}"
    assert seen["mallory"].events == ()
    assert seen["mallory"].position == seen["alice"].position


async def test_a_filter_by_type_goes_on_behind_the_end_of_the_log(world: World) -> None:
    alice = await world.add("alice@example.com")
    caller = await caller_of(world, alice)
    size = await world.services.store.read(lambda tx: tx.entries.size())
    wanted = frozenset({"grant.revoked"})
    batch = await world.services.store.read(lambda tx: events_since(tx, caller, 0, wanted))
    assert (batch.events, batch.position) == ((), size)


async def test_the_hub_wakes_its_followers_and_lets_them_go() -> None:
    hub = Hub()
    assert await hub.wait(0.01) is False
    follower = asyncio.create_task(hub.wait(10))
    await asyncio.sleep(0)
    hub.committed(())
    assert await follower is True
    follower = asyncio.create_task(hub.wait(10))
    await asyncio.sleep(0)
    hub.close()
    assert await follower is True
    assert hub.closed


async def test_a_position_that_is_not_in_the_log_is_gone(world: World) -> None:
    alice = await world.add("alice@example.com")
    for last in ("999999", "x", "-1"):
        answer = await world.client.get("/events", headers={**alice, "Last-Event-ID": last})
        assert (answer.status_code, answer.json()["code"]) == (410, "cursor_gone")


class Calling:
    """The parts of a request that following looks at: the credential, and where it comes from."""

    def __init__(self, headers: dict[str, str]) -> None:
        self.scope = {"headers": [(b"authorization", headers["Authorization"].encode())], ADDRESS: "127.0.0.1"}


async def test_following_resumes_sends_what_comes_and_ends_with_the_sign_in(world: World) -> None:
    alice = await world.add("alice@example.com")
    await world.add("bob@example.com", groups=("approvers",))
    size = await world.services.store.read(lambda tx: tx.entries.size())
    stream = _events(world.services, Calling(alice), size, None)  # type: ignore[arg-type]
    assert await anext(stream) == b": following\n\n"
    request = (await world.created("/requests", WISH, alice)).json()
    chunk = (await anext(stream)).decode()
    assert chunk.startswith(f"id: {size}\nevent: request.submitted\ndata: ")
    event = json.loads(chunk.partition("data: ")[2])
    assert event["resource"] == f"/api/v1/requests/{request['id']}"
    assert (await anext(stream)).decode().startswith(f"id: {size + 1}\nevent: offer.made\n")
    await world.client.post("/sign-out", headers=alice)
    rest = [chunk async for chunk in stream]
    assert rest == []
