"""A database that was put back from a backup serves nothing until somebody says so, grant by grant."""

from __future__ import annotations

import shutil
from pathlib import Path

import orjson
from tests.api.world import WISH, World, world_in

from loglease.server.wiring import DATABASE, HEAD
from loglease.store.sqlite_library import running_library


def backed_up(place: Path, target: Path) -> None:
    """Copy the database of a running server as a backup does: whole, as of now."""
    target.mkdir(mode=0o700)
    connection = running_library().module.connect(f"file:{place / DATABASE}?mode=ro", uri=True)
    connection.execute("VACUUM INTO ?", (str(target / DATABASE),))
    connection.close()


def put_back(copy: Path, place: Path) -> None:
    for stale in place.glob(f"{DATABASE}-*"):
        stale.unlink()
    shutil.copyfile(copy / DATABASE, place / DATABASE)


async def journey(world: World) -> tuple[str, str]:
    alice, bob = await world.add("alice"), await world.add("bob", groups=("approvers",))
    grant = await world.approved(alice, bob)
    used = await world.client.post(f"/grants/{grant}/activate", headers=alice)
    assert used.json()["state"] == "active"
    pending = await world.created("/requests", WISH, alice)
    return grant, pending.json()["id"]


async def suspended_until_resumed(directory: Path, grant: str, pending: str) -> None:
    async with world_in(directory) as world:
        alice, bob = await world.sign_in("alice"), await world.sign_in("bob")
        shown = (await world.client.get(f"/grants/{grant}", headers=alice)).json()
        assert shown["state"] == "suspended"
        assert [one["cause"] for one in shown["holds"]] == ["restore"]
        assert (await world.client.get(f"/requests/{pending}", headers=alice)).json()["cause"] == "restore"
        own = await world.client.post(f"/grants/{grant}/resume", json={"reason": "mine"}, headers=alice)
        assert own.status_code == 403
        resumed = await world.client.post(f"/grants/{grant}/resume", json={"reason": "still due"}, headers=bob)
        assert resumed.json()["state"] == "active", resumed.text
        rows = await world.services.store.read(lambda tx: tx.entries.since(0, types=frozenset({"log.restored"})))
        assert [orjson.loads(row.content)["data"]["suspended"] for row in rows] == [1]
    async with world_in(directory) as world:
        alice = await world.sign_in("alice")
        assert (await world.client.get(f"/grants/{grant}", headers=alice)).json()["state"] == "active"


async def test_an_older_database_in_the_same_place_is_recognised(tmp_path: Path) -> None:
    async with world_in(tmp_path) as world:
        grant, pending = await journey(world)
        backed_up(world.services.data_dir, tmp_path / "copy")
        await world.add("carol")
    put_back(tmp_path / "copy", world.services.data_dir)
    await suspended_until_resumed(tmp_path, grant, pending)


async def test_what_was_revoked_since_the_backup_stays_revoked(tmp_path: Path) -> None:
    async with world_in(tmp_path) as world:
        grant, _ = await journey(world)
        backed_up(world.services.data_dir, tmp_path / "copy")
        bob = await world.sign_in("bob")
        await world.client.post(f"/grants/{grant}/revoke", json={"reason": "leak"}, headers=bob)
    put_back(tmp_path / "copy", world.services.data_dir)
    async with world_in(tmp_path) as world:
        shown = await world.client.get(f"/grants/{grant}", headers=await world.sign_in("alice"))
        assert shown.json()["state"] == "revoked"


async def test_a_database_in_a_new_place_is_recognised(tmp_path: Path) -> None:
    async with world_in(tmp_path) as world:
        grant, pending = await journey(world)
    (world.services.data_dir / HEAD).unlink()
    await suspended_until_resumed(tmp_path, grant, pending)


async def test_tokens_of_the_lost_history_do_not_work(tmp_path: Path) -> None:
    async with world_in(tmp_path) as world:
        await journey(world)
        token = await world.sign_in("alice")
    (world.services.data_dir / HEAD).unlink()
    async with world_in(tmp_path) as world:
        assert (await world.client.get("/grants", headers=token)).status_code == 401


async def test_a_restart_suspends_nothing(tmp_path: Path) -> None:
    async with world_in(tmp_path) as world:
        grant, _ = await journey(world)
        token = await world.sign_in("alice")
    async with world_in(tmp_path) as world:
        assert (await world.client.get(f"/grants/{grant}", headers=token)).json()["state"] == "active"
