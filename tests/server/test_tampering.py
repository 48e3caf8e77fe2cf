"""A log that is not what was recorded ends everything and lets nothing begin; revocations go on, and are recorded."""

from __future__ import annotations

from pathlib import Path

import orjson
import pytest
from tests.api.world import World, world_in
from tests.audit.signing import UNGUARDED
from tests.store.fixtures import raw

from loglease.access.watch import Cut, LeaseLost
from loglease.audit.checking import LogDamaged, Tampered
from loglease.model.session import CloseWhy
from loglease.server.databases import FILE
from loglease.server.health import checks
from loglease.server.publishing import LOG_FOLDER
from loglease.server.settings import Settings
from loglease.store.sqlite_library import running_library


def change(world: World, *statements: str) -> None:
    raw(world.services.store, *UNGUARDED, *statements)


def changed(place: Path, *statements: str) -> None:
    """Change the database of a server that does not run."""
    connection = running_library().module.connect(place / FILE, isolation_level=None)
    for statement in (*UNGUARDED, *statements):
        connection.execute(statement)
    connection.close()


async def signed(world: World) -> None:
    await world.services.publishing.integrator.finish()
    await world.services.publishing.publisher.publish()


async def found_by_signing(world: World) -> list[Cut]:
    """Change the newest entry, and have the integrator find it; return what open sessions hear."""
    heard: list[Cut] = []
    world.services.watch.subscribe(heard.append)
    size = await world.services.store.read(lambda tx: tx.entries.size())
    change(world, f"UPDATE entries SET leaf = zeroblob(32) WHERE idx = {size - 1}")  # noqa: S608 - the test's own
    with pytest.raises(Tampered):
        await world.services.publishing.integrator.finish()
    await world.services.alarm.aclose()
    return heard


async def test_everything_ends_and_nothing_begins(tmp_path: Path) -> None:
    async with world_in(tmp_path) as world:
        await world.services.watch.poll()
        alice, bob = await world.add("alice"), await world.add("bob", groups=("approvers",))
        used, unused = await world.approved(alice, bob), await world.approved(alice, bob)
        assert (await world.client.post(f"/grants/{used}/activate", headers=alice)).status_code == 200
        await signed(world)
        await world.add("carol")
        assert await found_by_signing(world) == [LeaseLost(why=CloseWhy.AUDIT, text="audit")]
        refused = await world.client.post(f"/grants/{unused}/activate", headers=alice)
        assert (refused.status_code, refused.json()["code"]) == (503, "audit_unavailable")
        revoked = await world.client.post(f"/grants/{used}/revoke", json={"reason": "leak"}, headers=bob)
        assert revoked.status_code == 200, revoked.text
        assert revoked.json()["durable"] is True
        ready = {check.name: check for check in await checks(world.services)}["log"]
        assert (ready.ok, ready.decisive) == (False, True)
        assert "does not hash to its leaf" in ready.detail


async def test_it_is_on_the_record(tmp_path: Path) -> None:
    async with world_in(tmp_path) as world:
        await signed(world)
        await world.add("carol")
        bad = await world.services.store.read(lambda tx: tx.entries.size()) - 1
        await found_by_signing(world)
        rows = await world.services.store.read(lambda tx: tx.entries.since(0, types=frozenset({"tamper.found"})))
        assert [orjson.loads(row.content)["data"] for row in rows] == [
            {"check": "integrator", "detail": "hash", "first_bad": bad, "place": "entries"}
        ]


async def test_no_setting_turns_it_off() -> None:
    assert Settings.model_fields["audit"].annotation.model_fields.keys() == {
        "origin",
        "key_file",
        "ack",
        "self_check_s",
        "retain",
        "sinks",
        "witness_policy",
        "witness_private_network",
    }


async def test_the_self_check_finds_what_nobody_reads_any_more(tmp_path: Path) -> None:
    async with world_in(tmp_path) as world:
        for number in range(300):
            await world.add(f"user{number}")
        await signed(world)
        services = world.services
        await services.publishing.check_all()
        assert services.publishing.checked_at is not None
        change(world, "UPDATE entries SET bytes = x'00' WHERE idx = 1")
        with pytest.raises(Tampered) as caught:
            await services.publishing.check_all()
        assert caught.value.first_bad == 1
        await services.alarm.aclose()
        assert services.watch.log_changed
        rows = await services.store.read(lambda tx: tx.entries.since(0, types=frozenset({"tamper.found"})))
        assert [orjson.loads(row.content)["data"]["check"] for row in rows] == ["self_check"]


@pytest.mark.parametrize(
    "damage",
    [
        "UPDATE entries SET leaf = zeroblob(32) WHERE idx = 1",
        "DELETE FROM entries WHERE idx = 1",
        "DELETE FROM checkpoints WHERE size = 0",
        "UPDATE checkpoints SET note = x'00' WHERE size = (SELECT max(size) FROM checkpoints)",
        "UPDATE checkpoints SET root = zeroblob(32) WHERE size = (SELECT max(size) FROM checkpoints)",
    ],
)
async def test_a_start_refuses_and_changes_nothing(tmp_path: Path, damage: str) -> None:
    async with world_in(tmp_path) as world:
        await world.add("alice")
        place = world.services.data_dir
    changed(place, damage)
    for _ in range(2):
        with pytest.raises(LogDamaged) as caught:
            async with world_in(tmp_path):
                pass
        assert caught.value.next_step
    connection = running_library().module.connect(place / FILE)
    assert connection.execute("SELECT state FROM replicas").fetchall() == [("stopped",)]
    connection.close()


async def test_a_signed_head_that_only_the_directory_has_is_stored_again(tmp_path: Path) -> None:
    async with world_in(tmp_path) as world:
        await world.add("alice")
        place, head = world.services.data_dir, world.services.publishing
    changed(place, "DELETE FROM checkpoints WHERE size = (SELECT max(size) FROM checkpoints)")
    async with world_in(tmp_path) as world:
        size = head.head.checkpoint.size
        stored = await world.services.store.read(lambda tx: tx.checkpoints.at(size))
        assert stored.note == head.head.note
        assert not await world.services.store.read(lambda tx: tx.entries.since(0, types=frozenset({"log.restored"})))


async def test_a_start_refuses_a_directory_that_differs_and_writes_it_anew_once_it_is_away(tmp_path: Path) -> None:
    async with world_in(tmp_path) as world:
        await world.add("alice")
        place = world.services.data_dir
    size = max(int(path.name) for path in (place / LOG_FOLDER / "tile/entries/000.p").iterdir())
    bundle = place / LOG_FOLDER / f"tile/entries/000.p/{size}"
    bundle.write_bytes(bundle.read_bytes().replace(b"alice", b"malle").replace(b"sub_", b"sup_"))
    with pytest.raises(Tampered, match="is not what the entries say") as caught:
        async with world_in(tmp_path):
            pass
    assert "Move the log directory away" in str(caught.value.next_step)
    (place / LOG_FOLDER).rename(place / "away")
    async with world_in(tmp_path) as world:
        await signed(world)
        assert world.services.publishing.publisher.head == world.services.publishing.head


async def test_a_stop_signs_and_publishes_all_there_is(tmp_path: Path) -> None:
    async with world_in(tmp_path) as world:
        await world.add("alice")
        place = world.services.data_dir
        publishing = world.services.publishing
    head = (place / LOG_FOLDER / "checkpoint").read_bytes()
    assert publishing.head.note == head
    connection = running_library().module.connect(place / FILE)
    assert connection.execute("SELECT next FROM seq_head").fetchone() == (publishing.head.checkpoint.size,)
    connection.close()
