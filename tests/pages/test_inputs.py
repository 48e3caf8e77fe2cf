"""Fields that a policy asks for on its own stand in the form of a request, once it is known which policies cover it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests.pages.world import World

from loglease.server.wiring import close

POLICY = """
api: loglease/v1
kind: Catalog
id: main
names: {groups: [eng, leads], sources: [files]}
labels: {service: string}
redaction: {secrets: [], pii-default: [secrets], strict: [pii-default]}
---
api: loglease/v1
kind: AccessPolicy
id: support
who: {any_of: [group:eng]}
scopes: [{sources: [files], labels: {service: {prefix: pay}}, lookback: 24h, live: true}]
ask:
  inputs:
    customer: {type: string, max: 8, label: Customer <number>}
    urgent: {type: bool, required: false}
grant: {duration: {max: 30m}, redaction: pii-default}
approve: [{otherwise: true, stages: [{from: [group:leads], need: 1}]}]
"""
FORM = {"source": "files", "label.service": "pay-api", "window": "1h", "reason": "they called"}


@pytest.fixture
async def support(tmp_path: Path) -> AsyncIterator[World]:
    (tmp_path / "policy").mkdir()
    (tmp_path / "policy" / "policy.yaml").write_text(POLICY)
    tmp_path.chmod(0o700)  # noqa: ASYNC240 - a fixture
    made = await World.start(tmp_path)
    await made.add("eve@example.com", groups=frozenset({"eng"}))
    await made.add("lea@example.com", groups=frozenset({"leads"}))
    yield made
    await close(made.services)


async def test_what_a_policy_asks_for_is_asked_in_the_form(support: World) -> None:
    eve = await support.signed_in("eve@example.com")
    assert "input.customer" not in (await eve.get("/requests/new?source=files")).text
    unfilled = await eve.send("/requests/new", {**FORM, "step": "offers"})
    assert 'name="input.customer"' in unfilled.text
    assert "Customer &lt;number&gt;" in unfilled.text
    assert "Fill in &#39;customer&#39;" in unfilled.text
    too_long = await eve.send("/requests/new", {**FORM, "input.customer": "123456789", "step": "offers"})
    assert "it is too long" in too_long.text
    offers = await eve.send("/requests/new", {**FORM, "input.customer": "4711", "step": "offers"})
    assert "Send the request" in offers.text
    assert 'value="4711"' in offers.text
    sent = await eve.send("/requests/new", {**FORM, "input.customer": "4711", "step": "send", "offer": "1"})
    assert sent.status_code == 303
    again = await eve.get(f"/requests/new?like={sent.headers['location'].rpartition('/')[2]}")
    assert again.status_code == 200


async def test_what_cannot_stand_in_a_field_is_named(support: World) -> None:
    eve = await support.signed_in("eve@example.com")
    wrong = await eve.send("/requests/new", {**FORM, "input.customer": "a\u0007b", "step": "send", "offer": "1"})
    assert wrong.status_code == 422
    assert "At most 256 characters on one line." in wrong.text
