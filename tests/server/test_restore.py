"""A database that was put back from a backup serves nothing until somebody says so, grant by grant."""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import orjson
import pytest
from tests.api.world import WISH, World
from tests.api.world import world_in as unchecked_world_in
from tests.fakes import postgres

from loglease.audit.lost import LogBehind
from loglease.audit.semantic import check
from loglease.server.databases import FILE
from loglease.server.publishing import LOG_FOLDER
from loglease.server.wiring import HEAD, JOURNAL
from loglease.store.sqlite_library import running_library


@asynccontextmanager
async def world_in(directory: Path) -> AsyncIterator[World]:
    """Start a server, and in the end hold its log against the rules that entries keep together: restored or not."""
    async with unchecked_world_in(directory) as world:
        yield world
        rows = await world.services.store.read(lambda tx: tx.entries.since(0, limit=10_000))
        found = check((row.index, bytes(row.content)) for row in rows)
        assert found.broken == frozenset(), [str(one) for one in found.breaches]


def backed_up(place: Path, target: Path) -> None:
    """Copy the database of a running server as a backup does: whole, as of now."""
    target.mkdir(mode=0o700)
    if postgres.WANTED:
        postgres.dump(postgres.database_at(place / FILE), target / FILE)
        return
    connection = running_library().module.connect(f"file:{place / FILE}?mode=ro", uri=True)
    connection.execute("VACUUM INTO ?", (str(target / FILE),))
    connection.close()


def put_back(copy: Path, place: Path) -> None:
    if postgres.WANTED:
        postgres.put_back(postgres.database_at(place / FILE), copy / FILE)
        return
    for stale in place.glob(f"{FILE}-*"):
        stale.unlink()
    shutil.copyfile(copy / FILE, place / FILE)


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


@pytest.mark.attack("RV-11")
async def test_an_older_database_in_the_same_place_is_recognised(tmp_path: Path) -> None:
    async with world_in(tmp_path) as world:
        grant, pending = await journey(world)
        backed_up(world.services.data_dir, tmp_path / "copy")
        await world.add("carol")
    put_back(tmp_path / "copy", world.services.data_dir)
    await suspended_until_resumed(tmp_path, grant, pending)


@pytest.mark.attack("RV-11")
@pytest.mark.answers_lost("restore.suspend_restored")
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


@pytest.mark.attack("RV-11")
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


async def facts(world: World, *types: str) -> list[tuple[str, dict[str, Any]]]:
    rows = await world.services.store.read(lambda tx: tx.entries.since(0, types=frozenset(types)))
    entries = [orjson.loads(row.content) for row in rows]
    return [(entry["type"], entry["ref"] | entry["data"]) for entry in entries]


async def test_what_only_the_log_knows_is_over_and_the_log_goes_on_from_what_was_signed(tmp_path: Path) -> None:
    async with world_in(tmp_path) as world:
        alice, bob = await world.add("alice"), await world.add("bob", groups=("approvers",))
        kept = await world.approved(alice, bob)
        backed_up(world.services.data_dir, tmp_path / "copy")
        lost = await world.approved(alice, bob)
        pending = (await world.created("/requests", WISH, alice)).json()["id"]
        place = world.services.data_dir
    signed = (place / LOG_FOLDER / "checkpoint").read_text().splitlines()[1]
    put_back(tmp_path / "copy", place)
    async with world_in(tmp_path) as world:
        entries = await world.services.store.read(lambda tx: tx.entries.since(0))
        assert len(entries) > int(signed)
        revoked = await facts(world, "grant.revoked")
        assert [(one["grant"], one["cause"]) for _, one in revoked] == [(lost, "grant")]
        cancelled = await facts(world, "request.cancelled")
        assert [(one["request"], one["why"]) for _, one in cancelled] == [(pending, "restore")]
        restored = await facts(world, "log.restored")
        assert [(one["from"], one["suspended"]) for _, one in restored] == [("tiles", 1)]
        alice = await world.sign_in("alice")
        assert (await world.client.get(f"/grants/{kept}", headers=alice)).json()["state"] == "suspended"
        assert (await world.client.get(f"/grants/{lost}", headers=alice)).status_code == 404
    async with world_in(tmp_path) as world:
        assert len(await facts(world, "log.restored")) == 1, "and the next start is an ordinary one"


@pytest.mark.parametrize("how", ["revoke", "return"])
async def test_without_a_journal_the_log_alone_says_what_is_over(tmp_path: Path, how: str) -> None:
    async with world_in(tmp_path) as world:
        grant, _ = await journey(world)
        backed_up(world.services.data_dir, tmp_path / "copy")
        who = await world.sign_in("bob" if how == "revoke" else "alice")
        body = {"reason": "leak"} if how == "revoke" else {}
        answer = await world.client.post(f"/grants/{grant}/{how}", json=body, headers=who)
        assert answer.status_code == 200, answer.text
        state, place = answer.json()["state"] if how == "return" else "revoked", world.services.data_dir
    (place / JOURNAL).unlink()
    put_back(tmp_path / "copy", place)
    async with world_in(tmp_path) as world:
        shown = await world.client.get(f"/grants/{grant}", headers=await world.sign_in("alice"))
        assert shown.json()["state"] == state
        assert len(await facts(world, "grant.revoked", "grant.ended")) == 1, "it ended once"


async def test_a_lock_that_only_the_log_knows_holds(tmp_path: Path) -> None:
    async with world_in(tmp_path) as world:
        admin = await world.sign_in("admin", world.admin_password)
        backed_up(world.services.data_dir, tmp_path / "copy")
        lock = await world.created("/locks", {"on": "everything", "reason": "incident"}, admin)
        assert lock.status_code == 201, lock.text
        place = world.services.data_dir
    (place / JOURNAL).unlink()
    put_back(tmp_path / "copy", place)
    async with world_in(tmp_path) as world:
        locks = await world.services.store.read(lambda tx: tx.holds.find_lock(lock.json()["id"]))
        assert str(locks.on) == "everything"
        assert locks.lifted_at is None


async def test_a_database_that_lacks_signed_entries_for_good_is_refused(tmp_path: Path) -> None:
    async with world_in(tmp_path) as world:
        await journey(world)
        backed_up(world.services.data_dir, tmp_path / "copy")
        await world.add("carol")
        place = world.services.data_dir
    put_back(tmp_path / "copy", place)
    (place / LOG_FOLDER).rename(tmp_path / "away")
    for _ in range(2):
        with pytest.raises(LogBehind, match="older than this") as caught:
            async with world_in(tmp_path):
                pass
        assert "newer backup" in str(caught.value.next_step)
    (tmp_path / "away").rename(place / LOG_FOLDER)
    async with world_in(tmp_path) as world:
        assert len(await facts(world, "log.restored")) == 1


async def test_what_was_decided_since_the_backup_is_decided_once(tmp_path: Path) -> None:
    async with world_in(tmp_path) as world:
        alice, bob = await world.add("alice"), await world.add("bob", groups=("approvers",))
        waiting = [(await world.created("/requests", WISH, alice)).json() for _ in range(2)]
        backed_up(world.services.data_dir, tmp_path / "copy")
        for request, verdict in zip(waiting, ("approve", "deny"), strict=True):
            await world.created(
                f"/requests/{request['id']}/reviews",
                {"verdict": verdict, "comment": "seen"},
                bob | {"if-match": f'"{request["digest"]}"'},
            )
        place = world.services.data_dir
    put_back(tmp_path / "copy", place)
    async with world_in(tmp_path) as world:
        ends = await facts(world, "request.approved", "request.denied", "request.cancelled", "request.expired")
        assert [(kind, one["request"]) for kind, one in ends] == [
            ("request.approved", waiting[0]["id"]),
            ("request.denied", waiting[1]["id"]),
        ]
        alice = await world.sign_in("alice")
        for request in waiting:
            assert (await world.client.get(f"/requests/{request['id']}", headers=alice)).json()["state"] == "cancelled"
