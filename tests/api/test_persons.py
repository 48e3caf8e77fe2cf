"""Managers: who names them, what it says on the record, and whose review a policy then asks for."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import orjson
import pytest
from tests.api.world import WISH, World, world_in

from loglease.model.principal import Role
from loglease.policy.defaults import default_files

MANAGED = "stages: [{from: ['relation:manager'], need: 1}]"


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    folder = tmp_path / "data" / "policy"
    folder.mkdir(parents=True)
    tmp_path.joinpath("data").chmod(0o700)
    for name, content in default_files(["files"]).items():
        if not name.endswith(".test.yaml"):
            text = content.decode().replace("stages: [{from: [group:approvers], need: 1}]", MANAGED)
            assert MANAGED in text
            (folder / Path(name).name).write_text(text)
    async with world_in(tmp_path) as made:
        yield made


async def persons(world: World, admin: dict[str, str]) -> dict[str, Any]:
    items = (await world.client.get("/persons", headers=admin)).json()["items"]
    return {login["account"]: one for one in items for login in one["principals"]}


async def named(world: World, who: dict[str, str], person: str, manager: str | None) -> Any:
    return await world.client.patch(f"/persons/{person}", json={"manager": manager}, headers=who)


@pytest.mark.answers_lost("name_manager.name_manager")
async def test_whoever_has_a_manager_gets_their_review(world: World) -> None:
    alice, bob = await world.add("alice@example.com"), await world.add("bob@example.com")
    admin = await world.sign_in("admin", world.admin_password)
    refused = await world.created("/requests", WISH, alice)
    assert (refused.status_code, refused.json()["code"]) == (422, "no_eligible_approver")
    assert "admin person change" in refused.text
    known = {account: one["id"] for account, one in (await persons(world, admin)).items()}
    done = await named(world, admin, known["alice@example.com"], known["bob@example.com"])
    assert (done.status_code, done.json()["manager"]) == (200, known["bob@example.com"])
    assert (await persons(world, admin))["alice@example.com"]["manager"] == known["bob@example.com"]
    assert (await named(world, admin, known["alice@example.com"], known["bob@example.com"])).status_code == 200
    rows = await world.services.store.read(lambda tx: tx.entries.page(types=frozenset({"principal.changed"})))
    told = [orjson.loads(row.content)["data"] for row in rows]
    (entry,) = [one for one in told if one["change"] == "manager"]
    accounts = await world.services.store.read(lambda tx: tx.principals.directory())
    subjects = {one.account: one.subject for one in accounts.principals.values()}
    assert (entry["subject"], entry["other"]) == (subjects["alice@example.com"], subjects["bob@example.com"])
    assert await world.approved(alice, bob)


async def test_who_becomes_a_manager_reviews_nothing_that_waits(world: World) -> None:
    alice = await world.add("alice@example.com")
    for account in ("bob@example.com", "carol@example.com"):
        await world.add(account)
    admin = await world.sign_in("admin", world.admin_password)
    known = {account: one["id"] for account, one in (await persons(world, admin)).items()}
    await named(world, admin, known["alice@example.com"], known["bob@example.com"])
    request = (await world.created("/requests", WISH, alice)).json()
    await named(world, admin, known["alice@example.com"], known["carol@example.com"])
    for account in ("bob@example.com", "carol@example.com"):
        answer = await world.created(
            f"/requests/{request['id']}/reviews",
            {"verdict": "approve"},
            await world.sign_in(account),
            **{"If-Match": f'"{request["digest"]}"'},
        )
        assert answer.status_code in (403, 404), answer.text


async def test_an_agent_has_the_manager_of_its_owner(world: World) -> None:
    await world.add("alice@example.com")
    await world.add("bob@example.com")
    admin = await world.sign_in("admin", world.admin_password)
    known = await persons(world, admin)
    owner = known["alice@example.com"]
    early = {"account": "early-bot", "kind": "agent", "owner": owner["principals"][0]["id"]}
    assert (await world.created("/principals", early, admin)).status_code == 201
    await named(world, admin, owner["id"], known["bob@example.com"]["id"])
    assert (await world.created("/principals", early | {"account": "late-bot"}, admin)).status_code == 201
    directory = await world.services.store.read(lambda tx: tx.principals.directory())
    managers = {one.account: one.manager for one in directory.principals.values()}
    assert managers["early-bot"] == managers["late-bot"] == known["bob@example.com"]["id"]
    assert (await named(world, admin, owner["id"], None)).json().get("manager") is None


async def test_what_is_no_manager_is_refused(world: World) -> None:
    alice = await world.add("alice@example.com")
    other = await world.add("erin@example.com", roles=(Role.ADMIN,))
    admin = await world.sign_in("admin", world.admin_password)
    known = {account: one["id"] for account, one in (await persons(world, admin)).items()}
    nobody = "per_" + "0" * 26
    for person, manager, status in (
        (known["alice@example.com"], known["alice@example.com"], 422),
        (known["alice@example.com"], nobody, 422),
        (nobody, known["alice@example.com"], 404),
        (known["admin"], known["alice@example.com"], 403),
    ):
        assert (await named(world, admin, person, manager)).status_code == status
    assert (await named(world, alice, known["erin@example.com"], known["alice@example.com"])).status_code == 403
    assert (await named(world, other, known["admin"], known["alice@example.com"])).status_code == 200
