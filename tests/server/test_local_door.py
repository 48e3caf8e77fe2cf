"""Whoever runs the server can lock everything on the machine itself, also while the database is away."""

from __future__ import annotations

import asyncio
import stat
from pathlib import Path
from typing import Any

import orjson
import pytest
from tests.api.world import World, world_in

from loglease.access.reassert import reassert
from loglease.access.watch import Cut, LockCut
from loglease.model.hold import LockKind, LockOn
from loglease.server.local_door import SOCKET, LocalDoorClosed, local_door, lock_add
from loglease.store.interface import StoreUnavailable

EVERYTHING = LockOn(LockKind.EVERYTHING)


async def add(world: World, on: str) -> dict[str, Any]:
    data_dir = world.services.data_dir
    return await asyncio.to_thread(lock_add, on=on, reason="incident 12", data_dir=data_dir)


async def test_everything_is_locked_while_the_store_refuses(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def lost(*_args: object, **_options: object) -> None:
        raise StoreUnavailable("The disk is gone.")

    async with world_in(tmp_path) as world, local_door(world.services):
        services = world.services
        heard: list[Cut] = []
        services.watch.subscribe(heard.append)
        with monkeypatch.context() as away:
            away.setattr(type(services.store), "group", lost)
            away.setattr(type(services.store), "read", lost)
            answer = await add(world, "everything")
        assert (answer["on"], answer["durable"]) == ("everything", False)
        assert heard == [LockCut(on=EVERYTHING, text="locked")]
        assert [(one.kind, one.id) for one in services.journal.records()] == [("lock", answer["id"])]
        assert services.watch.unrecorded == {answer["id"]}

        await reassert(
            services.journal, log=services.log, watch=services.watch, new_id=services.new_id, random=services.random
        )
        rows = await services.store.read(lambda tx: tx.entries.since(0, types=frozenset({"lock.added"})))
        entry = orjson.loads(rows[0].content)
        assert (entry["actor"], entry["data"]["lock"], entry["data"]["on"]) == ("system", answer["id"], "everything")
        admin = await world.sign_in("admin", world.admin_password)
        locks = (await world.client.get("/locks", headers=admin)).json()["items"]
        assert [(one["id"], one["added_by"]["account"]) for one in locks] == [(answer["id"], "system")]
        lifted = await world.client.post(f"/locks/{answer['id']}/lift", json={"reason": "over"}, headers=admin)
        assert lifted.status_code == 200, lifted.text


async def test_with_the_database_it_is_recorded_at_once_and_people_are_found_by_name(tmp_path: Path) -> None:
    async with world_in(tmp_path) as world, local_door(world.services):
        await world.add("alice")
        answer = await add(world, "person:alice")
        assert answer["durable"]
        assert answer["on"].startswith("person:per_")
        with pytest.raises(LocalDoorClosed, match="no person nobody"):
            await add(world, "person:nobody")


async def test_the_socket_is_the_servers_own(tmp_path: Path) -> None:
    async with world_in(tmp_path) as world:
        path = world.services.data_dir / SOCKET
        async with local_door(world.services):
            assert stat.S_IMODE(path.stat().st_mode) == 0o600
            reader, writer = await asyncio.open_unix_connection(str(path))
            writer.write(b"everything\n")
            assert b"no call of this door" in await reader.readline()
            writer.close()
        assert not path.exists()
        with pytest.raises(LocalDoorClosed, match="No server answers"):
            await add(world, "everything")
