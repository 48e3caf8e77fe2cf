"""One entry over REST, and proofs that anybody can check who has the log's public key."""

from __future__ import annotations

import base64
from typing import Any

import pytest
from tests.api.world import World

from loglease.audit.checkpoint import open_checkpoint
from loglease.audit.merkle import check_consistency
from loglease.audit.proof import InclusionProof
from loglease.audit.tiles import CHECKPOINT
from loglease.model.principal import Role


async def recorded(world: World) -> tuple[dict[str, str], dict[str, str], list[dict[str, Any]]]:
    """Return an engineer and an auditor, and the entries about the engineer's request."""
    engineer = await world.add("alice@example.com")
    auditor = await world.add("sam@example.com", roles=(Role.AUDITOR,))
    approver = await world.add("bob@example.com", groups=("approvers",))
    grant = await world.approved(engineer, approver)
    request = (await world.client.get(f"/grants/{grant}", headers=engineer)).json()["request"]
    items = (await world.client.get(f"/audit/entries?request={request}", headers=engineer)).json()["items"]
    assert items
    return engineer, auditor, items


async def content_of(world: World, entry_id: str) -> bytes:
    row = await world.services.store.read(lambda tx: tx.entries.find(entry_id))
    assert row is not None
    return row.content


async def test_an_entry_is_found_by_id_and_by_index(world: World) -> None:
    engineer, auditor, items = await recorded(world)
    for who in (engineer, auditor):
        for name in (items[0]["id"], str(items[0]["index"])):
            answer = await world.client.get(f"/audit/entries/{name}", headers=who)
            assert answer.status_code == 200
            assert answer.json() == items[0]


async def test_a_proof_holds_for_the_bytes_of_its_entry_alone(world: World) -> None:
    engineer, _, items = await recorded(world)
    key = world.services.publishing.key
    for item in items:
        answer = await world.client.get(f"/audit/entries/{item['id']}/proof", headers=engineer)
        assert answer.status_code == 200, answer.text
        assert answer.headers["content-type"].startswith("text/plain")
        proof = InclusionProof.parse(answer.content)
        assert (proof.index, proof.extra) == (item["index"], None)
        assert proof.check(await content_of(world, item["id"]), [key]).size > item["index"]
    answer = await world.client.get(f"/audit/entries/{items[0]['index']}/proof?extra=true", headers=engineer)
    assert InclusionProof.parse(answer.content).extra == await content_of(world, items[0]["id"])


async def test_what_is_not_there_and_what_is_somebody_elses_is_one_answer(world: World) -> None:
    _, auditor, items = await recorded(world)
    mallory = await world.add("mallory@example.com")
    nothing = "ent_0000000000000000000000000A"
    texts = set()
    for name, who in ((items[0]["id"], mallory), (nothing, mallory), (nothing, auditor), ("0", mallory)):
        for path in (f"/audit/entries/{name}", f"/audit/entries/{name}/proof"):
            answer = await world.client.get(path, headers=who)
            assert (answer.status_code, answer.json()["code"]) == (404, "not_found")
            texts.add(answer.json()["detail"].replace(name, "X"))
    assert len(texts) == 1
    assert (await world.client.get("/audit/entries/999999999", headers=auditor)).status_code == 404


@pytest.mark.parametrize("name", ["01", "-1", "ent_1", "grt_0000000000000000000000000A", "99999999999999999"])
async def test_another_form_of_name_is_refused(world: World, name: str) -> None:
    _, auditor, _ = await recorded(world)
    answer = await world.client.get(f"/audit/entries/{name}", headers=auditor)
    assert (answer.status_code, answer.json()["code"]) == (400, "malformed")


async def test_a_log_is_shown_to_have_only_grown(world: World) -> None:
    admin = await world.sign_in("admin", world.admin_password)
    # Whoever asks for a proof gets a signed head; nothing signs by itself here.
    assert (await world.client.get("/audit/entries/0/proof", headers=admin)).status_code == 200
    engineer, auditor, items = await recorded(world)
    assert (await world.client.get(f"/audit/entries/{items[0]['index']}/proof", headers=auditor)).status_code == 200
    heads = await world.services.store.read(lambda tx: tx.checkpoints.since(1))
    key = world.services.publishing.key
    assert len(heads) > 1
    newest = open_checkpoint(heads[-1].note, [key])
    for head in heads:
        old = open_checkpoint(head.note, [key])
        answer = await world.client.get(f"/audit/consistency?from={old.size}&to={newest.size}", headers=auditor)
        assert answer.status_code == 200, answer.text
        assert (answer.json()["from"], answer.json()["to"]) == (old.size, newest.size)
        hashes = [base64.b64decode(one) for one in answer.json()["hashes"]]
        check_consistency(old.size, old.root, newest.size, newest.root, hashes)
    size = await world.services.store.read(lambda tx: tx.entries.size())
    for query, code in (("from=0&to=1", "log_invalid"), ("from=2&to=1", "log_invalid")):
        answer = await world.client.get(f"/audit/consistency?{query}", headers=auditor)
        assert (answer.status_code, answer.json()["code"]) == (422, code)
    answer = await world.client.get(f"/audit/consistency?from=1&to={size + 1_000}", headers=auditor)
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_field")
    answer = await world.client.get(f"/audit/consistency?from=1&to={size}", headers=engineer)
    assert (answer.status_code, answer.json()["code"]) == (403, "not_permitted")


async def test_a_damaged_directory_proves_nothing(world: World) -> None:
    _, auditor, items = await recorded(world)
    path = f"/audit/entries/{items[-1]['index']}/proof"
    assert (await world.client.get(path, headers=auditor)).status_code == 200
    root = world.services.publishing.files.root
    bundles = [one for one in (root / "tile/entries").rglob("*") if one.is_file()]
    for bundle in bundles:
        content = bytearray(bundle.read_bytes())
        content[-2] ^= 1
        bundle.write_bytes(bytes(content))
    for bundle in (root / "tile/0").rglob("*"):
        if bundle.is_file():
            bundle.write_bytes(bytes(len(bundle.read_bytes())))
    answer = await world.client.get(path, headers=auditor)
    assert (answer.status_code, answer.json()["code"]) == (503, "log_tampered")
    (root / CHECKPOINT).unlink()
    answer = await world.client.get(path, headers=auditor)
    assert (answer.status_code, answer.json()["code"]) == (404, "log_incomplete")
