from __future__ import annotations

from dataclasses import replace

import pytest
from tests.pages.world import World

from loglease.model.access_request import AccessRequest
from loglease.model.instant import NANOSECONDS, EventWindow
from loglease.model.labels import Selector
from loglease.model.offer import Outcome
from loglease.model.principal import Kind
from loglease.model.scope import Scope
from loglease.model.wish import WindowDraft
from loglease.server.pages.risks import risk_statements


def with_scope(request: AccessRequest, scope: Scope) -> AccessRequest:
    return replace(request, offer=replace(request.offer, terms=replace(request.offer.terms, scopes=(scope,))))


async def test_an_ordinary_request_has_no_statement(world: World) -> None:
    request = await world.ask(window=WindowDraft(lookback_s=3_600))
    assert risk_statements(request, world.people["alice@example.com"]) == []


async def test_each_statement_is_made_when_it_is_true(world: World) -> None:
    alice = world.people["alice@example.com"]
    request = await world.ask(window=WindowDraft(lookback_s=3_600))
    scope = request.terms.scopes[0]
    day = EventWindow(scope.window.start_ns - 24 * 3_600 * NANOSECONDS, scope.window.end_ns)
    cases = {
        "not masked": (with_scope(request, replace(scope, profile="raw@1")), alice),
        "all streams": (with_scope(request, replace(scope, selector=Selector(()))), alice),
        "more than 24 hours": (with_scope(request, replace(scope, window=day)), alice),
        "Live tail": (with_scope(request, replace(scope, window=EventWindow(scope.window.start_ns, None))), alice),
        "Break-glass": (replace(request, offer=replace(request.offer, outcome=Outcome.BREAK_GLASS)), alice),
        "An agent asks": (request, replace(alice, kind=Kind.AGENT)),
        "A service asks": (request, replace(alice, kind=Kind.SERVICE)),
    }
    for words, (risky, asker) in cases.items():
        statements = risk_statements(risky, asker)
        assert len(statements) == 1, words
        assert words in statements[0]


@pytest.mark.attack("UI-05")
async def test_streams_that_resemble_others_are_flagged_where_it_is_decided(world: World) -> None:
    for selector, flagged in (('{service="shop"}', False), ('{service="sh\u043ep"}', True)):
        request = await world.ask(selector=selector, window=WindowDraft(lookback_s=3_600))
        bob = await world.signed_in("bob@example.com")
        for path in (f"/requests/{request.id}", f"/requests/{request.id}/decide?verdict=approve"):
            assert ("unusual characters" in (await bob.get(path)).text) is flagged, (path, selector)
