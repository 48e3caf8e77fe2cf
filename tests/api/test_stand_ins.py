"""Stand-ins over REST: named, used for a review that records both, ended; and what is refused."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import orjson
import pytest
from tests.api.world import WISH, World, world_in

from loglease.policy.defaults import default_files

SET = """\
api: loglease/v1
kind: ApproverSet
id: leads
any_of: [group:approvers]
stand_ins: {from: [group:deputies], max: 7d}
---
"""
DAY_S = 86_400


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    folder = tmp_path / "data" / "policy"
    folder.mkdir(parents=True)
    tmp_path.joinpath("data").chmod(0o700)
    for name, content in default_files(["files"]).items():
        if not name.endswith(".test.yaml"):
            text = content.decode().replace("from: [group:approvers]", "from: ['approvers:leads']")
            text = SET + text.replace("groups: [approvers]", "groups: [approvers, deputies]")
            (folder / Path(name).name).write_text(text)
    async with world_in(tmp_path) as made:
        yield made


async def named(world: World, who: dict[str, str], other: str, for_s: int = DAY_S) -> Any:
    return await world.created("/stand-ins", {"stand_in": other, "for_s": for_s}, who)


async def reviewed(world: World, request: dict[str, Any], who: dict[str, str]) -> Any:
    match = {"If-Match": f'"{request["digest"]}"'}
    return await world.created(f"/requests/{request['id']}/reviews", {"verdict": "approve"}, who, **match)


async def told(world: World, kind: str) -> list[dict[str, Any]]:
    rows = await world.services.store.read(lambda tx: tx.entries.page(types=frozenset({kind})))
    return [orjson.loads(row.content)["data"] for row in rows]


async def test_a_stand_in_reviews_and_both_names_are_recorded(world: World) -> None:
    alice = await world.add("alice@example.com")
    bob = await world.add("bob@example.com", groups=("approvers",))
    carol = await world.add("carol@example.com", groups=("deputies",))
    early = (await world.created("/requests", WISH, alice)).json()
    done = await named(world, bob, "carol@example.com")
    assert done.status_code == 200, done.text
    assert done.json()["stand_in"]["account"] == "carol@example.com"
    assert (await reviewed(world, early, carol)).status_code in (403, 404)
    request = (await world.created("/requests", WISH, alice)).json()
    answer = await reviewed(world, request, carol)
    assert answer.status_code == 201, answer.text
    shown = (await world.client.get(f"/requests/{request['id']}/reviews", headers=alice)).json()["items"][0]
    accounts = shown["reviewer"]["account"], shown["stands_for"]["account"]
    assert accounts == ("carol@example.com", "bob@example.com")
    directory = await world.services.store.read(lambda tx: tx.principals.directory())
    subjects = {one.account: one.subject for one in directory.principals.values()}
    (given,) = await told(world, "review.given")
    assert (given["stands_for"], given["eligible"]) == (subjects["bob@example.com"], ["approvers:leads"])
    (entry,) = await told(world, "stand_in.named")
    assert (entry["subject"], entry["stand_in"]) == (subjects["bob@example.com"], subjects["carol@example.com"])


@pytest.mark.answers_lost("name_stand_in.end_stand_in", "name_stand_in.name_stand_in", "notices.TellingLog.commit")
async def test_either_of_the_two_ends_it_and_others_do_not_know_of_it(world: World) -> None:
    alice = await world.add("alice@example.com")
    bob = await world.add("bob@example.com", groups=("approvers",))
    carol = await world.add("carol@example.com", groups=("deputies",))
    admin = await world.sign_in("admin", world.admin_password)
    for ends in (bob, carol, admin):
        path = f"/stand-ins/{(await named(world, bob, 'carol@example.com')).json()['person']}"
        for who, count in ((alice, 0), (bob, 1), (carol, 1), (admin, 1)):
            assert len((await world.client.get("/stand-ins", headers=who)).json()["items"]) == count
        assert (await world.client.delete(path, headers=alice)).status_code == 404
        assert (await world.client.delete(path, headers=ends)).status_code == 204
        assert (await world.client.delete(path, headers=ends)).status_code == 404
    assert len(await told(world, "stand_in.ended")) == 3
    request = (await world.created("/requests", WISH, alice)).json()
    assert (await reviewed(world, request, carol)).status_code in (403, 404)


async def test_naming_another_one_ends_the_first(world: World) -> None:
    bob = await world.add("bob@example.com", groups=("approvers",))
    for account in ("carol@example.com", "dan@example.com"):
        await world.add(account, groups=("deputies",))
        assert (await named(world, bob, account)).status_code == 200
    (one,) = (await world.client.get("/stand-ins", headers=bob)).json()["items"]
    assert one["stand_in"]["account"] == "dan@example.com"
    assert (len(await told(world, "stand_in.named")), len(await told(world, "stand_in.ended"))) == (2, 1)


async def test_what_no_set_allows_is_refused(world: World) -> None:
    alice = await world.add("alice@example.com", groups=("deputies",))
    bob = await world.add("bob@example.com", groups=("approvers",))
    await world.add("carol@example.com", groups=("deputies",))
    await world.add("eve@example.com")
    for who, other, for_s, status in (
        (bob, "carol@example.com", 8 * DAY_S, 422),
        (bob, "eve@example.com", DAY_S, 422),
        (bob, "bob@example.com", DAY_S, 422),
        (alice, "carol@example.com", DAY_S, 422),
        (bob, "nobody@example.com", DAY_S, 404),
    ):
        assert (await named(world, who, other, for_s)).status_code == status


@pytest.mark.parametrize("how", ["in time", "its end", "ended", "named anew"])
async def test_a_grant_begins_while_whoever_approved_it_stands_in(world: World, how: str) -> None:
    alice = await world.add("alice@example.com")
    bob = await world.add("bob@example.com", groups=("approvers",))
    carol = await world.add("carol@example.com", groups=("deputies",))
    person = (await named(world, bob, "carol@example.com", 600)).json()["person"]
    request = (await world.created("/requests", WISH, alice)).json()
    grant = (await reviewed(world, request, carol)).json()["grant"]
    assert grant
    if how == "its end":
        world.clock.later_s += 600
    elif how == "ended":
        assert (await world.client.delete(f"/stand-ins/{person}", headers=bob)).status_code == 204
    elif how == "named anew":
        assert (await named(world, bob, "carol@example.com", 600)).status_code == 200
    answer = await world.client.post(f"/grants/{grant}/activate", headers=alice)
    if how == "in time":
        assert answer.status_code == 200, answer.text
        return
    assert answer.status_code == 403, answer.text
    assert answer.json()["code"] == "policy_denied"
    assert not await told(world, "grant.activated")
