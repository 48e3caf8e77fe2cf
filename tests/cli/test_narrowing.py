from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loglease.cli.errors import Usage
from loglease.cli.narrowing import level_of, narrowing, size_of
from loglease.model.errors import LogLeaseError
from loglease.model.instant import EventWindow

NS = 1_000_000_000
LIVE = EventWindow(1_000 * NS, None)
CLOSED = EventWindow(1_000 * NS, 5_000 * NS)


@pytest.mark.parametrize(
    ("text", "window", "body"),
    [
        ("level=error", LIVE, {"level_from": "error"}),
        ("level>=error, for=10m", LIVE, {"level_from": "error", "duration_s": 600}),
        ('{env="prod"} lines=100', LIVE, {"selector": '{env="prod"}', "limits": {"lines": 100}}),
        ('contains="a b" contains=c', LIVE, {"contains": ["a b", "c"]}),
        ("bytes=1MiB lines=5", LIVE, {"limits": {"bytes": 1 << 20, "lines": 5}}),
        ("subjects=20 lines=5", LIVE, {"limits": {"subjects": 20, "lines": 5}}),
        ("window=15m", LIVE, {"window": {"live": True, "lookback_s": 900}}),
        ("window=15m", CLOSED, {"window": {"live": False, "from_ns": str(4_100 * NS), "to_ns": str(5_000 * NS)}}),
        ("window=9h", CLOSED, {"window": {"live": False, "from_ns": str(1_000 * NS), "to_ns": str(5_000 * NS)}}),
        ("live=no", LIVE, {"window": {"live": False, "from_ns": str(1_000 * NS)}}),
        (
            "to=1970-01-01T01:00:00Z",
            LIVE,
            {"window": {"live": False, "from_ns": str(1_000 * NS), "to_ns": str(3_600 * NS)}},
        ),
        ("from=1970-01-01T01:00:00Z", LIVE, {"window": {"live": True, "from_ns": str(3_600 * NS)}}),
    ],
)
def test_what_is_said_is_sent_and_nothing_else(text: str, window: EventWindow, body: dict[str, Any]) -> None:
    assert narrowing(text, window) == body


@pytest.mark.parametrize(
    "text",
    [
        "",
        "less",
        "level=loud",
        "lines=0",
        "lines=x",
        "subjects=0",
        "bytes=1TB",
        "level=warn level=error",
        "live=maybe",
        "colour=red",
    ],
)
def test_what_is_not_understood_is_refused(text: str) -> None:
    with pytest.raises(Usage):
        narrowing(text, LIVE)


def test_a_closed_window_is_not_made_live() -> None:
    with pytest.raises(Usage, match="more than was asked"):
        narrowing("live=yes", CLOSED)


@given(st.text(alphabet='levlwindo=>"{} ,=m15\\abc', max_size=30))
def test_any_text_gives_a_body_or_an_error_of_ours(text: str) -> None:
    try:
        body = narrowing(text, LIVE)
    except LogLeaseError:
        return
    assert body


@given(
    st.integers(1, 1 << 20), st.sampled_from([("", 1), ("B", 1), ("KiB", 1 << 10), ("MiB", 1 << 20), ("GiB", 1 << 30)])
)
def test_sizes_are_read_by_their_unit(count: int, unit: tuple[str, int]) -> None:
    assert size_of(f"{count}{unit[0]}", "--limit-bytes") == count * unit[1]


def test_unknown_is_no_level_to_ask_for() -> None:
    assert level_of("fatal") == "fatal"
    with pytest.raises(Usage):
        level_of("unknown")
