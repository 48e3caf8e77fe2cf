"""The tests on each line: what they keep has a bound, and their answers do not depend on it."""

from __future__ import annotations

import pytest
from tests.gateway.world import line, page_of

from loglease.gateway import covered_streams
from loglease.gateway.covered_streams import CoveredStreams
from loglease.gateway.recheck import Recheck, Violations
from loglease.model.instant import EventWindow, Interval
from loglease.model.scope import Scope
from loglease.model.selector_text import parse_selector

SCOPE = Scope(source="src", selector=parse_selector('{service="a"}'), window=EventWindow(0, None), profile="raw@1")


@pytest.mark.attack("IN-03")
def test_a_source_with_many_streams_does_not_fill_the_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(covered_streams, "MAX_STREAMS", 3)
    streams = CoveredStreams()
    tests = Recheck(SCOPE, Interval(0, None), Violations(), streams)
    for number in range(20):
        lines = [line(number, "seen", service="a", pod=str(number)), line(number, "hidden", service="b")]
        assert tests.admitted(page_of(lines)) == [0]
        assert streams.size <= 3
