"""The page of the policy in force: what it says, how it came about, what was refused since, and what it would answer."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import orjson
import pytest
from tests.pages.world import World

from loglease.model.principal import Role
from loglease.model.review import Verdict
from loglease.server.managed import propose, review
from loglease.server.reload import reload_rules

BROKEN = "api: loglease/v1\nkind: Guardrail\nid: broken\napplies: {all_streams: true}\ndenny: true\n"


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    made = await World.start(tmp_path, policy={"trust": "managed"})
    for name in ("pam", "quinn"):
        await made.add(f"{name}@example.com", roles=frozenset({Role.POLICY_ADMIN}))
    yield made
    await made.stop()


async def test_it_shows_the_documents_and_what_they_mean(world: World) -> None:
    sam = await world.signed_in("sam@example.com")
    page = (await sam.get("/policies")).text
    assert 'href="/policies" aria-current="page"' in page
    bundle = world.services.rules.current.bundle
    assert bundle.hash in page
    for name in (*(one.id for one in bundle.policies), *(one.id for one in bundle.guardrails)):
        assert f"<strong>{name}</strong>" in page
    assert "kind: AccessPolicy" in page
    assert "Revision 1 came into force" in page
    assert "1 of" in page
    assert "is refused" not in page


async def test_without_a_role_there_is_no_such_page(world: World) -> None:
    alice = await world.signed_in("alice@example.com")
    refused = await alice.get("/policies")
    assert (refused.status_code, "kind: AccessPolicy" in refused.text) == (403, False)
    assert 'href="/policies"' not in (await alice.get("/")).text
    for door in ("/policies/explain", "/policies/who-can"):
        asked = await alice.send(door, {"about": "bob@example.com"}, page="/requests/new")
        assert asked.status_code == 403


async def test_the_history_says_who_proposed_what_it_meant_and_links_to_it(world: World) -> None:
    stored = await world.services.store.read(lambda tx: tx.proposals.bundle())
    assert stored is not None
    files = {path: text.replace("lines: 200000", "lines: 100") for path, text in stored.files.items()}
    made = await propose(world.services, files, comment="fewer <b>", caller=world.caller("pam@example.com"))
    await review(
        world.services,
        made.id,
        verdict=Verdict.APPROVE,
        digest=made.digest,
        comment="",
        caller=world.caller("quinn@example.com"),
    )
    quinn = await world.signed_in("quinn@example.com")
    page = (await quinn.get("/policies")).text
    assert "Revision 2 came into force" in page
    assert f'href="/proposals/{made.id}"' in page
    assert "pam@example.com" in page
    assert "<strong>NARROWS</strong>" in page
    assert "fewer &lt;b&gt;" in page
    assert "lines: 100\n" in page.replace("lines: 100,", "lines: 100\n"), "the documents are the new ones"


async def test_what_is_refused_is_shown_with_its_place_beside_the_last_good_one(tmp_path: Path) -> None:
    directory = tmp_path / "policies"
    directory.mkdir()
    world = await World.start(tmp_path / "data")
    await world.stop()
    source = next(iter(world.services.sources))
    good = (
        "api: loglease/v1\nkind: Catalog\nid: main\n"
        f"names: {{groups: [payments, approvers], sources: ['{source}']}}\nlabels: {{service: string}}\n"
        "redaction: {}\n---\n"
        "api: loglease/v1\nkind: AccessPolicy\nid: shown\nwho: {any_of: [group:payments]}\n"
        f"scopes: [{{sources: ['{source}'], all_streams: true, lookback: 1h}}]\n"
        "grant: {duration: {max: 1h}, redaction: pii-default}\n"
        "approve: [{otherwise: true, stages: [{from: [group:approvers], need: 1}]}]\n"
    )
    good = good.replace("redaction: {}\n", "redaction: {secrets: [], pii-default: [secrets]}\n")
    (directory / "a.yaml").write_text(good)
    world = await World.start(tmp_path / "other", policy={"directory": str(directory)})
    try:
        sam = await world.signed_in("sam@example.com")
        assert "is refused" not in (await sam.get("/policies")).text
        (directory / "b.yaml").write_text(BROKEN.replace("broken", "bro\u202eken", 0) + "# \u202e <script>\n")
        assert not await reload_rules(world.services)
        page = (await sam.get("/policies")).text
        assert "Newer documents are refused" in page
        assert "b.yaml:5:1: error[P110]" in page
        assert "^^^^^" in page
        assert "did you mean &#39;deny&#39;?" in page
        assert "<strong>shown</strong>" in page
        assert "Newer documents were refused" in page
        (directory / "b.yaml").unlink()
        assert await reload_rules(world.services)
        assert "Newer documents are refused" not in (await sam.get("/policies")).text
    finally:
        await world.stop()


async def test_it_explains_for_anybody_and_that_is_on_the_record(world: World) -> None:
    sam = await world.signed_in("sam@example.com")
    source = next(iter(world.services.sources))
    fields = {"about": "alice@example.com", "source": source, "selector": '{service="pay"}', "window": "1h"}
    answer = await sam.send("/policies/explain", fields, page="/policies")
    assert answer.status_code == 200
    assert "Alice Archer: " in answer.text.partition('id="answer"')[2]
    assert "bundle 1 sha256:" in answer.text or "bundle 1 " in answer.text
    assert 'value="{service=&#34;pay&#34;}"' in answer.text, "what was asked stays in the form"
    looks = await world.services.store.read(lambda tx: [orjson.loads(one.content) for one in tx.entries.since(0)])
    assert any(one["type"] == "report.made" for one in looks), {one["type"] for one in looks}
    unknown = await sam.send("/policies/explain", fields | {"about": "nobody <b>"}, page="/policies")
    assert unknown.status_code == 404
    assert "<b>" not in unknown.text.replace("<bdi>", "")


async def test_it_says_who_could_have_it(world: World) -> None:
    sam = await world.signed_in("sam@example.com")
    source = next(iter(world.services.sources))
    fields = {"source": source, "selector": '{service="pay"}', "window": "1h"}
    answer = (await sam.send("/policies/who-can", fields, page="/policies")).text
    assert "group:everybody" in answer.partition('id="answer"')[2]
    wrong = await sam.send("/policies/who-can", fields | {"selector": "{service="}, page="/policies")
    assert wrong.status_code == 422
    assert "{service=" in wrong.text
