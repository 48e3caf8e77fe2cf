from __future__ import annotations

import hashlib
import json
from typing import Any

import pytest
from tests.api.world import World
from tests.audit.drafts import draft

from loglease.audit.checkpoint import open_checkpoint
from loglease.audit.interface import Draft, Recorded
from loglease.audit.tiles import ENTRIES, Tile, entries_of, tiles_of
from loglease.model.digest import commitment
from loglease.model.ids import EntryId
from loglease.model.principal import Role
from loglease.store.entries import SqlEntries


async def auditor(world: World) -> dict[str, str]:
    return await world.add("sam@example.com", roles=(Role.AUDITOR,))


async def record(world: World, *drafts: Draft) -> None:
    await world.services.log.commit(lambda _tx, _now: Recorded(None, drafts))


async def published(world: World) -> int:
    """Sign and publish all that is there, and return its size."""
    publishing = world.services.publishing
    while await publishing.integrator.step():
        pass
    await publishing.publisher.publish()
    assert publishing.publisher.head is not None
    return publishing.publisher.head.checkpoint.size


async def file(world: World, who: dict[str, str], path: str) -> Any:
    return await world.client.get(f"/audit/log/{path}", headers=who)


async def test_the_files_of_the_log_are_those_that_were_published(world: World) -> None:
    who = await auditor(world)
    await record(world, *(draft(number) for number in range(600)))
    size = await published(world)
    note = await file(world, who, "checkpoint")
    assert note.headers["content-type"] == "text/plain; charset=utf-8"
    assert note.headers["cache-control"] == "no-store"
    assert open_checkpoint(note.content, [world.services.publishing.key]).size == size
    entries: list[bytes] = []
    for tile in tiles_of(size):
        answer = await file(world, who, tile.path)
        assert answer.status_code == 200
        assert answer.headers["content-type"] == "application/octet-stream"
        kept = "private, max-age=31536000, immutable" if tile.is_full else "no-store"
        assert answer.headers["cache-control"] == kept
        if tile.level == ENTRIES:
            entries += entries_of(answer.content, tile.width)
    rows = await world.services.store.read(lambda tx: tx.entries.since(0, limit=size))
    assert entries == [row.content for row in rows]


@pytest.mark.parametrize(
    "path",
    [
        "tile/0/001",
        "tile/0/000.p/999",
        "tile/0/x000/000",
        "tile/0/0",
        "tile/64/000",
        "tile//0/000",
        "tile/entries/000.p/0",
        "checkpoint/",
        "Checkpoint",
        "tile/0/../../log.key",
        "%2e%2e/log.key",
        "..%2flog.key",
        "%2fetc/passwd",
        "served/ent_1",
        "served/..%2flog.key",
        "served/ent_01K5M800000000000000000000",
        ".new-checkpoint",
        "tile/0/000%00",
    ],
)
async def test_there_is_nothing_at_any_other_path(world: World, path: str) -> None:
    who = await auditor(world)
    await published(world)
    answer = await file(world, who, path)
    assert (answer.status_code, answer.json()["code"]) == (404, "not_found")


async def test_only_who_may_read_the_whole_log_may_read_its_files(world: World) -> None:
    alice = await world.add("alice@example.com")
    await published(world)
    for path in ("checkpoint", "tile/entries/000.p/1", "served/ent_01K5M800000000000000000000", "nonsense"):
        answer = await file(world, alice, path)
        assert (answer.status_code, answer.json()["code"]) == (403, "not_permitted")
        assert (await world.client.get(f"/audit/log/{path}")).status_code == 401


async def test_before_anything_was_published_there_is_no_head(world: World) -> None:
    who = await auditor(world)
    for path in ("/audit/log/checkpoint", "/audit/export?format=tlog-tiles"):
        answer = await world.client.get(path, headers=who)
        assert (answer.status_code, answer.json()["code"]) == (404, "not_found")


async def test_what_was_pruned_is_not_given_higher_tiles_are(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    who = await auditor(world)
    await record(world, *(draft(number) for number in range(600)))
    size = await published(world)
    monkeypatch.setattr(SqlEntries, "min_index", lambda self: 256)
    for level, number, status in ((ENTRIES, 0, 404), (0, 0, 404), (ENTRIES, 1, 200), (0, 1, 200)):
        assert (await file(world, who, Tile(level, number).path)).status_code == status
    assert (await file(world, who, Tile(1, 0, size >> 8).path)).status_code == 200


async def test_a_served_list_comes_with_its_salt_and_hashes_to_what_its_entry_says(world: World) -> None:
    who = await auditor(world)
    content, salt = b'{"content_sha256":"","pseudonyms":[],"streams":[]}', b"\x05" * 16
    count = {"lines": 1, "bytes": 9}
    settled = {"unit": "line", **count, "masked": [], "served_c": commitment(salt, content), "overflow": False}
    entry = "ent_01K5M800000000000000000001"
    await record(
        world,
        draft(
            1,
            id=EntryId(entry),
            type="batch.served",
            ref={"grant": "grt_1", "session": "ses_1"},
            data={"query": 1, "seq": 1, "settled": settled, "total": count, "reserved": count},
            served=(content, salt),
        ),
    )
    answer = await file(world, who, f"served/{entry}")
    assert answer.content == salt + content
    assert hashlib.sha256(answer.content).hexdigest() == settled["served_c"]
    assert answer.headers["cache-control"] == "no-store"


async def test_that_the_files_leave_is_on_the_record_with_the_digest_of_the_head(world: World) -> None:
    who = await auditor(world)
    size = await published(world)
    answer = await world.client.get("/audit/export?format=tlog-tiles&since=2", headers=who)
    assert answer.status_code == 200
    assert answer.headers["loglease-min-index"] == "0"
    assert answer.content == (await file(world, who, "checkpoint")).content
    rows = await world.services.store.read(lambda tx: tx.entries.since(size, types=frozenset({"log.exported"})))
    (found,) = [json.loads(row.content) for row in rows]
    assert found["data"] == {
        "format": "tlog-tiles",
        "first": 2,
        "last": size - 1,
        "sha256": hashlib.sha256(answer.content).hexdigest(),
        "target": "api",
    }
    await world.client.get(f"/audit/export?format=tlog-tiles&since={size}", headers=who)
    assert await world.services.store.read(lambda tx: tx.entries.size()) == rows[0].index + 1
    beyond = await world.client.get(f"/audit/export?format=tlog-tiles&since={size + 1}", headers=who)
    assert (beyond.status_code, beyond.json()["code"]) == (410, "cursor_gone")
    for query in ("until=3", "follow=true"):
        refused = await world.client.get(f"/audit/export?format=tlog-tiles&{query}", headers=who)
        assert refused.status_code == 422
