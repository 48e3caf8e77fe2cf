"""A policy that waits for whoever is on call, on a server that reads a rota from a calendar."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from tests.api.world import WISH, World, world_in

from loglease.policy.defaults import default_files
from loglease.server.health import checks

STAGES = "stages: [{from: [group:approvers], need: 1}]"
ON_CALL = "stages: [{from: ['oncall:duty'], need: 1}]"
SETTINGS = """
[facts.providers.rota]
kind = "icalendar"
domain = "example.com"
refresh_s = 5
max_age_s = 3600
rotas.duty.file = "duty.ics"
"""


def put_on_call(tmp_path: Path, *accounts: str) -> None:
    attendees = "".join(f"ATTENDEE:mailto:{one}@example.com\n" for one in accounts)
    event = f"UID:1\nDTSTART:20200101T000000Z\nDURATION:P1D\nRRULE:FREQ=DAILY\n{attendees}"
    (tmp_path / "data" / "duty.ics").write_text(
        f"BEGIN:VCALENDAR\nVERSION:2.0\nBEGIN:VEVENT\n{event}END:VEVENT\nEND:VCALENDAR\n"
    )


async def handed_over(world: World, tmp_path: Path, *accounts: str) -> None:
    put_on_call(tmp_path, *accounts)
    world.clock.later_s += 6
    await world.services.facts.refresh()


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    folder = tmp_path / "data" / "policy"
    folder.mkdir(parents=True)
    (tmp_path / "data").chmod(0o700)
    (tmp_path / "data" / "loglease.toml").write_text(SETTINGS)
    put_on_call(tmp_path, "bob")
    for name, content in default_files(["files"]).items():
        if not name.endswith(".test.yaml"):
            text = content.decode().replace(STAGES, ON_CALL).replace("names: {", "names: {rotas: [duty], ", 1)
            assert ON_CALL in text
            (folder / Path(name).name).write_text(text)
    async with world_in(tmp_path) as made:
        yield made


async def reviewed(world: World, request: dict[str, Any], who: dict[str, str]) -> Any:
    match = {"If-Match": f'"{request["digest"]}"'}
    return await world.created(f"/requests/{request['id']}/reviews", {"verdict": "approve"}, who, **match)


async def waiting_for(world: World, who: dict[str, str]) -> list[str]:
    listed = (await world.client.get("/requests", params={"needs": "my-review"}, headers=who)).json()
    return [one["id"] for one in listed["items"]]


async def test_whoever_is_on_call_now_reviews(world: World, tmp_path: Path) -> None:
    alice, bob, carol = [await world.add(f"{name}") for name in ("alice", "bob", "carol")]
    request = (await world.created("/requests", WISH, alice)).json()
    assert (await waiting_for(world, bob), await waiting_for(world, carol)) == ([request["id"]], [])
    assert (await world.client.get(f"/requests/{request['id']}", headers=carol)).status_code == 404
    assert (await reviewed(world, request, carol)).status_code == 404
    # The shift ends, another one begins.
    await handed_over(world, tmp_path, "carol")
    assert await waiting_for(world, carol) == [request["id"]]
    assert (await reviewed(world, request, bob)).json()["code"] == "reviewer_not_eligible"
    done = await reviewed(world, request, carol)
    assert done.status_code == 201, done.text
    # And ends, too: what was approved stays.
    await handed_over(world, tmp_path, "bob")
    found = (await world.client.get(f"/requests/{request['id']}", headers=alice)).json()
    assert found["state"] == "approved"
    activated = await world.created(f"/grants/{found['grant']}/activate", {}, alice)
    assert activated.status_code in (200, 201), activated.text


async def test_nobody_is_on_call_of_a_calendar_that_is_too_old(world: World, tmp_path: Path) -> None:
    alice = await world.add("alice")
    await world.add("bob")
    (tmp_path / "data" / "duty.ics").unlink()
    world.clock.later_s += 1_800
    await world.services.facts.refresh()
    alice = await world.sign_in("alice")
    assert (await world.created("/requests", WISH, alice)).status_code == 201
    world.clock.later_s += 2_400
    await world.services.facts.refresh()
    alice = await world.sign_in("alice")
    refused = await world.created("/requests", WISH, alice)
    assert (refused.status_code, refused.json()["code"]) == (422, "no_eligible_approver")
    [rota] = [one for one in await checks(world.services) if one.name == "facts rota"]
    assert "nobody of it may approve" in rota.detail


async def test_a_rota_that_no_provider_has_is_seen_in_health(world: World, tmp_path: Path) -> None:
    assert [one for one in await checks(world.services) if one.name == "rotas"] == []
    world.services.facts.put({})
    [rotas] = [one for one in await checks(world.services) if one.name == "rotas"]
    assert (rotas.ok, rotas.decisive, "duty" in rotas.detail) == (False, False, True)
