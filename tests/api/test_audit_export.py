from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import AsyncIterator
from typing import Any, cast

import pytest
from tests.api.world import PASSWORD, SCOPE, World
from tests.audit.export.schema import faults

from loglease.access.caller import Caller
from loglease.access.errors import NotPermitted
from loglease.audit.export.formats import Format
from loglease.audit.interface import AuditUnavailable
from loglease.model.principal import Role
from loglease.model.review import Channel
from loglease.server import exporting
from loglease.server.exporting import Export, Wanted
from loglease.server.services import EXPORTED_AT_ONCE
from loglease.store.entries_interface import StoredEntry
from loglease.store.readers import READERS
from loglease.store.sqlite import SqliteStore

CANARIES = ("canary-reason", "canary-comment", "canary-ticket", "canary.person", "canary-approver", PASSWORD)


async def auditor(world: World) -> dict[str, str]:
    return await world.add("sam@example.com", roles=(Role.AUDITOR,))


async def stored(world: World) -> list[StoredEntry]:
    return list(await world.services.store.read(lambda tx: tx.entries.since(0, limit=10_000)))


async def export(world: World, who: dict[str, str], query: str = "format=ndjson") -> bytes:
    answer = await world.client.get(f"/audit/export?{query}", headers=who)
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "application/x-ndjson"
    assert answer.headers["cache-control"] == "no-store"
    return answer.content


async def records(world: World) -> list[dict[str, Any]]:
    entries = [json.loads(row.content) for row in await stored(world)]
    return [one for one in entries if one["type"] == "log.exported"]


async def test_every_entry_leaves_once_in_order_and_can_be_hashed_again(world: World) -> None:
    who = await auditor(world)
    before = await stored(world)
    lines = [json.loads(line) for line in (await export(world, who)).splitlines()]
    assert [one["index"] for one in lines] == list(range(len(before)))
    assert [one["entry"].encode() for one in lines] == [row.content for row in before]
    for one in lines:
        assert hashlib.sha256(b"\0" + one["entry"].encode()).hexdigest() == one["leaf"]
    started = json.loads(lines[0]["entry"])
    assert {one["origin"] for one in lines} == {started["data"]["origin"]}


@pytest.mark.answers_lost("export_log.record_export")
async def test_an_export_is_on_the_record_with_the_digest_of_what_left(world: World) -> None:
    who = await auditor(world)
    size = len(await stored(world))
    for wanted in Format:
        content = await export(world, who, f"format={wanted}&until={size - 1}")
        record = (await records(world))[-1]
        assert record["data"] == {
            "format": wanted,
            "first": 0,
            "last": size - 1,
            "sha256": hashlib.sha256(content).hexdigest(),
            "target": "api",
        }
        assert record["actor"] == await subject_of(world, who)


async def subject_of(world: World, who: dict[str, str]) -> str:
    principal = (await world.client.get("/me", headers=who)).json()["principal"]["id"]
    found = await world.services.store.read(lambda tx: tx.principals.find(principal))
    assert found is not None
    return found.subject


async def test_what_cannot_be_recorded_does_not_leave(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    who = await auditor(world)

    async def fails(*_: Any, **__: Any) -> None:
        raise AuditUnavailable("The disk is full.")

    monkeypatch.setattr(exporting, "record_export", fails)
    answer = await world.client.get("/audit/export?format=ndjson", headers=who)
    assert (answer.status_code, answer.json()["code"]) == (503, "audit_unavailable")
    assert await records(world) == []


async def test_pieces_are_recorded_one_by_one_and_join_to_the_whole(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    who = await auditor(world)
    monkeypatch.setattr(exporting, "PIECE_ENTRIES", 3)
    monkeypatch.setattr(exporting, "PAGE_ENTRIES", 2)
    size = len(await stored(world))
    assert size > 6
    content = await export(world, who)
    lines = content.splitlines(keepends=True)
    assert len(lines) == size
    found = [one["data"] for one in await records(world)]
    assert [(one["first"], one["last"]) for one in found] == [
        (first, min(first + 2, size - 1)) for first in range(0, size, 3)
    ]
    for one in found:
        part = b"".join(lines[one["first"] : one["last"] + 1])
        assert hashlib.sha256(part).hexdigest() == one["sha256"]


async def test_an_export_goes_on_where_one_ended(world: World) -> None:
    who = await auditor(world)
    size = len(await stored(world))
    whole = await export(world, who, f"format=ocsf&until={size - 1}")
    parts = [await export(world, who, f"format=ocsf&since={at}&until={at + 1}") for at in range(0, size, 2)]
    assert b"".join(parts).splitlines()[:size] == whole.splitlines()


async def test_nothing_new_is_an_empty_answer_that_leaves_no_record(world: World) -> None:
    who = await auditor(world)
    size = len(await stored(world))
    assert await export(world, who, f"format=ndjson&since={size}") == b""
    assert await records(world) == []


async def test_a_number_that_the_log_does_not_have_is_gone(world: World) -> None:
    who = await auditor(world)
    size = len(await stored(world))
    answer = await world.client.get(f"/audit/export?format=ndjson&since={size + 1}", headers=who)
    assert (answer.status_code, answer.json()["code"]) == (410, "cursor_gone")
    for query in (
        "format=ndjson&since=5&until=4",
        "format=ndjson&since=-1",
        "format=xml",
        "since=1",
        f"format=ndjson&since={2**53}",
    ):
        answer = await world.client.get(f"/audit/export?{query}", headers=who)
        assert answer.status_code == 422, (query, answer.text)


async def test_pruned_entries_are_left_out_and_not_asked_for(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    who = await auditor(world)
    from loglease.store.entries import SqlEntries

    monkeypatch.setattr(SqlEntries, "min_index", lambda self: 2)
    first = json.loads((await export(world, who)).splitlines()[0])
    assert first["index"] == 2
    answer = await world.client.get("/audit/export?format=ndjson&since=1", headers=who)
    assert (answer.status_code, answer.json()["code"]) == (410, "cursor_gone")
    assert "--since 2" in answer.json()["next"][0]["text"]


async def test_a_damaged_log_is_not_exported(world: World) -> None:
    who = await auditor(world)

    def damage(group: Any) -> None:
        run = group._connection.exec_driver_sql
        for (name,) in run("SELECT name FROM sqlite_master WHERE type = 'trigger' AND tbl_name = 'entries'").all():
            run(f"DROP TRIGGER {name}")
        run("UPDATE entries SET leaf = zeroblob(32) WHERE idx = 1")

    await cast("SqliteStore", world.services.store).group(damage)
    answer = await world.client.get("/audit/export?format=ndjson", headers=who)
    assert (answer.status_code, answer.json()["code"]) == (503, "audit_unavailable")
    assert "entry 1 " in answer.json()["detail"]
    assert await records(world) == []


async def test_only_who_may_read_the_whole_log_may_export_it(world: World) -> None:
    alice = await world.add("alice@example.com")
    sam = await auditor(world)
    body = {"label": "mine", "rights": ["logs.read"], "expires_in_s": 600}
    lacking = (await world.created("/tokens", body, sam)).json()["secret"]
    body = {"label": "siem", "rights": ["audit.read"], "expires_in_s": 600}
    siem = (await world.created("/tokens", body, sam)).json()["secret"]
    for who in (alice, {"Authorization": f"Bearer {lacking}"}):
        answer = await world.client.get("/audit/export?format=ndjson", headers=who)
        assert (answer.status_code, answer.json()["code"]) == (403, "not_permitted")
    assert await records(world) == []
    assert await export(world, {"Authorization": f"Bearer {siem}"})


async def test_a_journey_leaves_as_valid_events_and_nothing_that_people_typed(world: World) -> None:
    alice = await world.add("canary.person@example.com")
    bob = await world.add("canary-approver@example.com", groups=("approvers",))
    who = await auditor(world)
    wish = {"scopes": [SCOPE], "reason": "canary-reason", "ticket": "canary-ticket"}
    request = (await world.created("/requests", wish, alice)).json()
    review = {"verdict": "approve", "comment": "canary-comment"}
    answer = await world.created(
        f"/requests/{request['id']}/reviews", review, bob, **{"If-Match": f'"{request["digest"]}"'}
    )
    grant = answer.json()["grant"]
    await world.client.post(f"/grants/{grant}/activate", headers={**alice, **world.key()})
    await world.client.post(f"/grants/{grant}/revoke", json={"reason": "canary-reason"}, headers={**bob, **world.key()})
    holder = await subject_of(world, alice)
    contents = {wanted: await export(world, who, f"format={wanted}") for wanted in Format}
    for content in contents.values():
        for canary in CANARIES:
            assert canary.encode() not in content
    events = [json.loads(line) for line in contents[Format.OCSF].splitlines()]
    assert [fault for event in events for fault in faults(event)] == []
    (revoked,) = [event for event in events if event["metadata"]["event_code"] == "grant.revoked"]
    assert revoked["user"] == {"uid": holder}
    assert revoked["privileges"] == ["logs:read:files"]
    assert revoked["metadata"]["correlation_uid"] == request["id"]


class Followed:
    """A follower of the log, fed by hand."""

    def __init__(self, world: World, caller: Caller, **wanted: Any) -> None:
        self.refused: Exception | None = None
        self.caller = caller
        asked: dict[str, Any] = {"format": Format.NDJSON, "since": None, "until": None, "follow": True, "target": "api"}
        self.export = Export(world.services, Wanted(**(asked | wanted)), self.still_may)
        self.stream: AsyncIterator[bytes] = self.export.stream()

    async def still_may(self) -> Caller:
        if self.refused is not None:
            raise self.refused
        return self.caller

    async def types(self) -> list[str]:
        lines = (await asyncio.wait_for(anext(self.stream), 10)).splitlines()
        return [json.loads(json.loads(line)["entry"])["type"] for line in lines]


async def followed(world: World, monkeypatch: pytest.MonkeyPatch, **wanted: Any) -> Followed:
    monkeypatch.setattr(exporting, "FOLLOW_PAUSE_S", 0.0)
    who = await auditor(world)
    token = who["Authorization"].removeprefix("Bearer ")
    caller = (await world.services.credentials.bearer(token, Channel.API)).caller
    found = Followed(world, caller, **wanted)
    await found.export.begin()
    return found


async def test_following_sends_what_comes_and_does_not_feed_on_its_own_records(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exporting, "KEEP_ALIVE_S", 0.05)
    follower = await followed(world, monkeypatch)
    assert (await follower.types())[0] == "service.started"
    assert await anext(follower.stream) == b"\n"
    assert await anext(follower.stream) == b"\n"
    assert len(await records(world)) == 1
    await world.add("alice@example.com")
    found: list[str] = []
    while "signin.succeeded" not in found:
        chunk = await anext(follower.stream)
        found += [json.loads(json.loads(line)["entry"])["type"] for line in chunk.splitlines() if line]
    assert found[:2] == ["log.exported", "principal.added"]
    assert await anext(follower.stream) == b"\n"


async def test_following_wakes_for_what_was_committed_meanwhile(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    follower = await followed(world, monkeypatch)
    await follower.types()
    waiting = asyncio.create_task(follower.types())
    await asyncio.sleep(0.05)
    assert not waiting.done()
    await world.add("alice@example.com")
    assert (await waiting)[:2] == ["log.exported", "principal.added"]


async def test_following_ends_with_the_process_and_at_its_last_entry(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    size = len(await stored(world))
    ending = await followed(world, monkeypatch, until=size)
    assert len(await ending.types()) == size + 1
    assert [chunk async for chunk in ending.stream] == []
    endless = Followed(world, ending.caller, since=size)
    await endless.export.begin()
    await endless.types()
    world.services.hub.close()
    assert [chunk async for chunk in endless.stream] == []


async def test_who_may_no_more_gets_no_further_page(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exporting, "PAGE_ENTRIES", 2)
    follower = await followed(world, monkeypatch, follow=False)
    assert len(await follower.types()) == 2
    follower.refused = NotPermitted("The role was taken away.")
    with pytest.raises(NotPermitted):
        await anext(follower.stream)


async def test_exports_leave_readers_of_the_database_to_others(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exporting, "PAGE_ENTRIES", 1)
    who = await auditor(world)
    at_once, most = 0, 0
    read = world.services.store.read

    async def counted(query: Any, **named: Any) -> Any:
        nonlocal at_once, most
        at_once += getattr(query, "func", None) is not None
        most = max(most, at_once)
        try:
            return await read(query, **named)
        finally:
            at_once -= getattr(query, "func", None) is not None

    monkeypatch.setattr(world.services.store, "read", counted)
    found = await asyncio.gather(*(export(world, who, "format=ndjson&until=5") for _ in range(6)))
    assert len(set(found)) == 1
    assert 0 < most <= EXPORTED_AT_ONCE < READERS


async def test_a_pause_between_pieces_ends_with_the_process(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    follower = await followed(world, monkeypatch)
    monkeypatch.setattr(exporting, "FOLLOW_PAUSE_S", 3_600.0)
    await follower.types()
    waiting = asyncio.create_task(anext(follower.stream, b"ended"))
    await asyncio.sleep(0.05)
    await world.add("alice@example.com")
    await asyncio.sleep(0.05)
    assert not waiting.done()
    world.services.hub.close()
    # What came during the pause still goes out, with its record, before the end.
    assert await asyncio.wait_for(waiting, 10) != b"ended"
    assert [chunk async for chunk in follower.stream] == []
