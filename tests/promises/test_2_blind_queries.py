"""Promise 2, blind, for the whole query language: hidden data changes no byte of an answer.

Below the socket, so that there can be many: `BLIND_ROUNDS` says how many pairs of logs are asked.

Two things are conceded, both in favour of masks. A read that begins inside of a secret over several lines does not know
its beginning, so those are read whole. And a beginning that line rules hide still masks what follows it in its stream,
so the lines that only such rules hide begin none.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import replace
from urllib.parse import quote

import pytest
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st
from tests.fakes.gateway import MARKER, MASTER
from tests.gateway.world import T0
from tests.promises.below import Circumstances, Desk
from tests.promises.twin_logs import WINDOW_NS, twin_logs, twin_pseudonym, twin_queries

from loglease.gateway.request import Format
from loglease.model.instant import EventWindow
from loglease.model.scope import Level, Scope
from loglease.model.selector_text import parse_selector
from loglease.redaction import Keys, redactor_for

ROUNDS = int(os.environ.get("BLIND_ROUNDS", "400"))
KEYS = Keys.derived(MASTER, salt=b"s" * 32, grant_id="grt")
DESKS = [(profile, ruled) for profile in ("pii-default@1", "strict@1") for ruled in (False, True)]
TIMES = ("start=0", "start=0", f"start={T0 + 9}", f"start={T0 + 5}&end={T0 + 30}")
NUMBERS = (f"start=0&end={T0 + 10**9}", f"start={T0}&end={T0 + 10**11}&step=20")
circumstances = st.builds(
    Circumstances,
    page_lines=st.sampled_from((1, 2, 3, 7, 1_000)),
    exact=st.booleans(),
    scan_lines=st.sampled_from((10**6, 10**6, 10**6, 1, 3, 5)),
    scan_bytes=st.sampled_from((10**9, 10**9, 150)),
    budget=st.sampled_from(((10**9, 10**12), (10**9, 10**12), (3, 10**12), (10**9, 700))),
)


@pytest.fixture(params=DESKS, ids=lambda one: f"{one[0]}, {'line rules too' if one[1] else 'labels and time'}")
def desk(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Desk, bool]]:
    profile, ruled = request.param
    monkeypatch.setattr("loglease.redaction.edits.pseudonym", twin_pseudonym)
    monkeypatch.setattr("loglease.gateway.prefilter.WHOLE_LINES", 2)
    scope = Scope(
        source="src",
        selector=parse_selector('{service="a"}'),
        window=EventWindow(T0, T0 + WINDOW_NS),
        level_from=Level.WARN if ruled else None,
        contains=("pay",) if ruled else (),
        profile=profile,
    )
    made = Desk(scope, redactor_for([profile], keys=KEYS, marker=MARKER))
    yield made, ruled
    made.close()


def test_hidden_data_changes_no_byte_of_an_answer(desk: tuple[Desk, bool]) -> None:
    asked, ruled = desk

    @settings(
        max_examples=ROUNDS // len(DESKS),
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(
        logs=twin_logs(redactor=asked.redactor, line_rules=ruled),
        query=twin_queries(),
        chosen=st.sampled_from(Format),
        direction=st.sampled_from(("forward", "backward")),
        times=st.sampled_from(TIMES),
        numbers=st.sampled_from(NUMBERS),
        limit=st.sampled_from(("", "", "&limit=1", "&limit=3")),
        met=circumstances,
    )
    def changes_no_byte(logs, query, chosen, direction, times, numbers, limit, met) -> None:  # type: ignore[no-untyped-def]
        twins, has_key = logs
        if has_key:
            times, limit = TIMES[0], ""  # what begins inside of a key does not know that it is one
        if not query.startswith("{"):
            times = numbers  # of a metric query
        parameters = f"{times}&direction={direction}{limit}&query={quote(query)}"
        one, other = (asked.answer(lines, parameters, chosen, met) for lines in (twins.one, twins.other))
        event(f"{one.problem[0] if one.problem else 'slices'} {len(one.slices) > 0}")
        assert one == other
        if (
            met.exact and min(met.scan_lines, met.scan_bytes) >= 10**6
        ):  # else what counts for the limit is another matter
            assert asked.answer(twins.one, parameters, chosen, replace(met, exact=False)) == one
        if limit and one.resume is not None:
            again = (asked.answer(lines, parameters, chosen, met, one.resume) for lines in (twins.one, twins.other))
            assert next(again) == next(again)

    changes_no_byte()
