"""What binds a grant, limits whom it shows, what it lets people link and what it waits for, stands on every page that shows it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests.pages.test_inputs import POLICY
from tests.pages.world import World

from loglease.server.wiring import close

BOUND = POLICY.replace(
    "redaction: pii-default}",
    "redaction: pii-default, bind: [network], pseudonyms: team-day, audit: published, limits: {subjects: 7}}",
).replace(
    "ask:\n  inputs:\n    customer: {type: string, max: 8, label: Customer <number>}\n"
    "    urgent: {type: bool, required: false}\n",
    "",
)
FORM = {"source": "files", "label.service": "pay-api", "window": "1h", "reason": "they called"}
SAID = "only from address 127.0.0.1"
RECORDED = "nothing is shown before a signed head of the audit log covers its record"
LINKABLE = "equal values have equal pseudonyms in all grants of"


@pytest.fixture
async def bound(tmp_path: Path) -> AsyncIterator[World]:
    (tmp_path / "policy").mkdir()
    (tmp_path / "policy" / "policy.yaml").write_text(BOUND)
    tmp_path.chmod(0o700)  # noqa: ASYNC240 - a fixture
    made = await World.start(tmp_path)
    await made.add("eve@example.com", groups=frozenset({"eng"}))
    await made.add("lea@example.com", groups=frozenset({"leads"}))
    signing = asyncio.create_task(made.services.publishing.sign())
    yield made
    signing.cancel()
    await close(made.services)


async def test_offer_request_decision_and_grant_say_from_where(bound: World) -> None:
    eve, lea = await bound.signed_in("eve@example.com"), await bound.signed_in("lea@example.com")
    offers = (await eve.send("/requests/new", {**FORM, "step": "offers"})).text
    assert SAID in offers
    assert LINKABLE in offers
    assert RECORDED in offers
    sent = await eve.send("/requests/new", {**FORM, "step": "send", "offer": "1"})
    request = sent.headers["location"]
    for page in (request, f"{request}/decide?verdict=approve"):
        text = (await lea.get(page)).text
        assert SAID in text, page
        assert LINKABLE in text, page
        assert RECORDED in text, page
    digest = (await lea.get(f"{request}/decide?verdict=approve")).text.partition('name="digest" value="')[2][:64]
    answer = await lea.send(
        f"{request}/decide", {"verdict": "approve", "digest": digest, "step": "decide", "comment": ""}
    )
    assert answer.status_code == 303
    (grant,) = await bound.services.store.read(lambda tx: tx.grants.live())
    text = (await eve.get(f"/grants/{grant.id}")).text
    assert SAID in text
    assert LINKABLE in text
    assert RECORDED in text
    assert "at most 7 data subjects" in text
    assert "<dt>Data subjects</dt><dd>0 of 7" in text
