"""Emergencies and after-reviews on the pages, without scripts."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests.pages.world import World

from loglease.server.wiring import close

POLICY = """
api: loglease/v1
kind: Catalog
id: main
names: {groups: [sre, leads], sources: [files], channels: [security]}
labels: {service: string}
redaction: {secrets: [], pii-default: [secrets], strict: [pii-default]}
---
api: loglease/v1
kind: BreakGlass
id: on-fire
title: Production on fire
who: {any_of: [group:sre]}
scopes: [{sources: [files], labels: {service: {prefix: pay}}, lookback: 24h, live: true}]
step_up: {within: 5m}
grant: {duration: {max: 30m}, redaction: pii-default}
notify: [channel:security]
after_review: {from: [group:leads], need: 1, within: 24h}
rate: {per_person: 2, window: 7d, alarm_at: 9}
"""
FORM = {
    "source": "files",
    "label.service": "pay-api",
    "window": "1h",
    "reason": "on fire <b>now</b>",
    "break_glass": "1",
}


@pytest.fixture
async def glass(tmp_path: Path) -> AsyncIterator[World]:
    (tmp_path / "policy").mkdir()
    (tmp_path / "policy" / "policy.yaml").write_text(POLICY)
    tmp_path.chmod(0o700)  # noqa: ASYNC240 - a fixture
    made = await World.start(tmp_path)
    await made.add("eve@example.com", groups=frozenset({"sre"}))
    await made.add("lea@example.com", groups=frozenset({"leads"}))
    yield made
    await close(made.services)


async def test_the_price_is_stated_and_the_name_typed(glass: World) -> None:
    eve = await glass.signed_in("eve@example.com")
    plain = (await eve.get("/requests/new?source=files")).text
    assert "This breaks the glass" not in plain
    assert "/requests/new?source=files&amp;break_glass=1" in plain
    assert "This breaks the glass" in (await eve.get("/requests/new?source=files&break_glass=1")).text
    offers = await eve.send("/requests/new", {**FORM, "step": "offers"})
    assert "active at once" in offers.text
    assert "Break the glass" in offers.text
    unsaid = await eve.send("/requests/new", {**FORM, "step": "send", "offer": "1"})
    assert unsaid.status_code == 422
    assert 'id="confirm-error"' in unsaid.text
    sent = await eve.send("/requests/new", {**FORM, "step": "send", "offer": "1", "confirm": "files"})
    assert sent.status_code == 303
    detail = (await eve.get(sent.headers["location"])).text
    assert "After-review" in detail
    assert "<b>now</b>" not in detail
    assert 'value="justified"' not in detail


async def test_somebody_else_finds_it_and_says_what_they_think(glass: World) -> None:
    eve, lea = await glass.signed_in("eve@example.com"), await glass.signed_in("lea@example.com")
    sent = await eve.send("/requests/new", {**FORM, "step": "send", "offer": "1", "confirm": "files"})
    path = sent.headers["location"]
    assert "To look at afterwards" in (await lea.get("/")).text
    assert "To look at afterwards" not in (await eve.get("/")).text
    page = (await lea.get(path)).text
    assert re.search(r"<strong>0</strong> lines", page)
    act = f"{path}/after-review"
    silent = await lea.send(act, {"verdict": "not_justified", "comment": " "}, page=path)
    assert silent.status_code == 422
    assert "needs a comment" in silent.text
    assert (await lea.send(act, {"verdict": "never"}, page=path)).status_code == 422
    assert (await eve.send(act, {"verdict": "justified"}, page=path)).status_code == 403
    done = await lea.send(act, {"verdict": "not_justified", "comment": "<i>why</i>"}, page=path)
    assert done.status_code == 303
    after = (await eve.get(path)).text
    assert "not justified" in after
    assert "&lt;i&gt;why&lt;/i&gt;" in after
    refused = await eve.send("/requests/new", {**FORM, "step": "offers"})
    assert "policy_denied" in refused.text
    assert "To look at afterwards" not in (await lea.get("/")).text
