"""More time on the pages: the grant offers it, the form says what would go on, and each page says how it does."""

from __future__ import annotations

import html
import re

import pytest
from tests.pages.world import World

from loglease.access.activate_grant import activate_grant
from loglease.access.review_request import review_request
from loglease.model.grant import Grant
from loglease.model.ids import RequestId
from loglease.model.review import Verdict
from loglease.policy.defaults import POLICY_FILE, default_files
from loglease.server.pages.static_files import FOLDER
from loglease.server.policies import rules_of

REASON = "the second node shows the same fault"
MASK = b"  redaction: pii-default\n"


def extending(world: World, rule: bytes = b"  extend: {times: 1, by: 20m}\n") -> None:
    services = world.services
    files = default_files(services.sources)
    files[POLICY_FILE] = files[POLICY_FILE].replace(MASK, MASK + rule)
    services.rules.current = rules_of(files, services.sources, library=services.library.current, revision=2)


@pytest.fixture
async def grant(world: World) -> Grant:
    """Let the policy extend grants, and give Alice an active one."""
    extending(world)
    services = world.services
    scheduled = await world.approve(await world.ask(ticket="PAY-7"))
    await services.watch.poll()
    return await activate_grant(
        scheduled.id,
        caller=world.caller("alice@example.com"),
        log=services.log,
        watch=services.watch,
        rules=services.rules.current,
        new_id=services.new_id,
    )


async def test_the_page_of_a_grant_leads_to_a_form_that_says_what_goes_on(world: World, grant: Grant) -> None:
    alice = await world.signed_in("alice@example.com")
    page = (await alice.get(f"/grants/{grant.id}")).text
    assert f'href="/grants/{grant.id}/extend"' in page
    assert "by 20m at most" in page
    form = (await alice.get(f"/grants/{grant.id}/extend")).text
    assert "pay-api" in form
    assert 'placeholder="20m"' in form
    assert 'placeholder="PAY-7"' in form
    sent = await alice.send(f"/grants/{grant.id}/extend", {"reason": REASON, "duration": "10m"})
    assert sent.status_code == 303
    request = (await alice.get(sent.headers["location"])).text
    assert f'href="/grants/{grant.id}"' in request
    assert "from the end of the grant that it extends" in request
    assert "waits for its decision" in (await alice.get(f"/grants/{grant.id}")).text


async def test_sending_it_twice_is_once(world: World, grant: Grant) -> None:
    alice = await world.signed_in("alice@example.com")
    page = (await alice.get(f"/grants/{grant.id}/extend")).text
    key = re.search(r'name="key" value="([0-9a-f]+)"', page)
    assert key is not None
    fields = {"reason": REASON, "key": key[1]}
    first = await alice.send(f"/grants/{grant.id}/extend", fields, page=f"/grants/{grant.id}")
    second = await alice.send(f"/grants/{grant.id}/extend", fields, page=f"/grants/{grant.id}")
    assert (first.status_code, second.headers["location"]) == (303, first.headers["location"])


async def test_what_was_typed_stays_with_what_was_wrong(world: World, grant: Grant) -> None:
    alice = await world.signed_in("alice@example.com")
    answer = await alice.send(f"/grants/{grant.id}/extend", {"reason": REASON, "duration": "soon"})
    assert answer.status_code == 422
    assert REASON in answer.text
    assert 'id="duration-error"' in answer.text
    answer = await alice.send(f"/grants/{grant.id}/extend", {"reason": "", "duration": "10m"})
    assert answer.status_code == 422
    assert 'value="10m"' in answer.text


async def test_the_grant_that_goes_on_says_when_it_begins(world: World, grant: Grant) -> None:
    alice = await world.signed_in("alice@example.com")
    sent = await alice.send(f"/grants/{grant.id}/extend", {"reason": REASON})
    services = world.services
    request_id = RequestId(sent.headers["location"].rpartition("/")[2])
    request = await services.store.read(lambda tx: tx.requests.find(request_id))
    assert request is not None
    done = await review_request(
        request.id,
        verdict=Verdict.APPROVE,
        digest=request.digest,
        caller=world.caller("bob@example.com"),
        log=services.log,
        rules=services.rules.current,
        new_id=services.new_id,
        random=services.random,
    )
    assert done.grant is not None
    own = html.unescape((await alice.get(f"/grants/{done.grant.id}")).text)
    assert "begins in" in own
    assert f'href="/grants/{grant.id}"' in own
    assert "Start the clock now" not in own
    before = (await alice.get(f"/grants/{grant.id}")).text
    assert f'href="/grants/{done.grant.id}"' in before
    again = await alice.get(f"/grants/{grant.id}/extend")
    assert again.status_code == 409
    assert done.grant.id in again.text


async def test_without_a_word_of_policy_there_is_no_form(world: World) -> None:
    alice = await world.signed_in("alice@example.com")
    extending(world, b"")
    services = world.services
    scheduled = await world.approve(await world.ask())
    await services.watch.poll()
    await alice.send(f"/grants/{scheduled.id}/activate", {}, page=f"/grants/{scheduled.id}")
    page = (await alice.get(f"/grants/{scheduled.id}")).text
    assert "cannot be extended" in page
    assert "/extend" not in page
    answer = await alice.get(f"/grants/{scheduled.id}/extend")
    assert answer.status_code == 403
    assert "<textarea" not in answer.text


async def test_nobody_extends_the_grant_of_another(world: World, grant: Grant) -> None:
    bob = await world.signed_in("bob@example.com")
    assert f"/grants/{grant.id}/extend" not in (await bob.get(f"/grants/{grant.id}")).text
    answer = await bob.send(f"/grants/{grant.id}/extend", {"reason": REASON}, page="/settings")
    assert answer.status_code == 404


async def test_the_last_five_minutes_are_announced_with_a_way_on(world: World, grant: Grant) -> None:
    alice = await world.signed_in("alice@example.com")
    for path in (f"/grants/{grant.id}", f"/grants/{grant.id}/logs"):
        page = (await alice.get(path)).text
        notice = re.search(r'<(?:div|p) class="notice is-live" id="ends-soon"( hidden)?>(.*?)</(?:div|p)>', page)
        assert notice is not None
        assert notice[1] == " hidden"
        assert f"/grants/{grant.id}/extend" in notice[2]
    script = (FOLDER / "loglease.js").read_text()
    assert "endsSoon.hidden = mark === 0" in script
