from __future__ import annotations

from dataclasses import replace

import pytest
from tests.pages.world import World

from loglease.model.errors import NarrowingNotSubset
from loglease.model.instant import NANOSECONDS
from loglease.model.scope import Level
from loglease.model.wish import WindowDraft
from loglease.server.pages.narrowing import Presets, allowed_terms, comparison, narrowing_of


async def test_presets_are_proven_subsets(world: World) -> None:
    request = await world.ask()
    now = world.services.clock.now()
    presets = Presets(half_time=True, errors_only=True, no_live=True, last_hour=True)
    allowed = allowed_terms(request, narrowing_of(request, presets, now))
    assert request.terms.contains(allowed)
    assert allowed.duration_s == request.terms.duration_s // 2
    assert allowed.scopes[0].level_from is Level.ERROR
    assert allowed.scopes[0].window.end_ns is not None
    changed = {row.name for row in comparison(request.terms, allowed) if row.smaller}
    assert changed == {"Level", "Events", "May be read for"}


async def test_errors_only_never_loosens_a_stricter_level(world: World) -> None:
    request = await world.ask(level_from=Level.FATAL)
    narrowing = narrowing_of(request, Presets(errors_only=True), world.services.clock.now())
    assert allowed_terms(request, narrowing).scopes[0].level_from is Level.FATAL


async def test_the_last_hour_of_a_closed_window_is_its_own_last_hour(world: World) -> None:
    request = await world.ask(window=WindowDraft(lookback_s=6 * 3600))
    allowed = allowed_terms(request, narrowing_of(request, Presets(last_hour=True), world.services.clock.now()))
    window = allowed.scopes[0].window
    assert window.end_ns == request.terms.scopes[0].window.end_ns
    assert window.end_ns is not None
    assert window.end_ns - window.start_ns == 3_600 * NANOSECONDS


@pytest.mark.parametrize(
    "presets", [Presets(duration="2h"), Presets(selector='{service="ledger"}'), Presets(selector='{service=~"pay-.*"}')]
)
async def test_what_asks_for_more_is_refused(world: World, presets: Presets) -> None:
    request = await world.ask(duration_s=1800)
    with pytest.raises(Exception, match=r"allows more|nothing to read") as refused:
        allowed_terms(request, narrowing_of(request, presets, world.services.clock.now()))
    assert getattr(refused.value, "code", "") in (NarrowingNotSubset.code, "narrowing_empty")


async def test_no_preset_is_no_narrowing(world: World) -> None:
    request = await world.ask()
    assert narrowing_of(request, Presets(), world.services.clock.now()) is None
    assert allowed_terms(request, None) == request.terms
    assert not replace(Presets(), selector="").any
