"""Filters of LogsQL that we print ourselves.

What is asked for is always ``*``; what may be seen stands in the extra filters, which VictoriaLogs joins to a query
whatever the query says.
"""

from __future__ import annotations

from collections.abc import Sequence

from loglease.model.instant import Interval, event_time_text
from loglease.model.labels import Selector
from loglease.sources.interface import MAX_TIME_NS, Direction
from loglease.sources.matchers import label_tests, literal_pattern, quoted


def stream_filter(selector: Selector) -> str | None:
    """Write what streams a selector selects, or None where it selects all."""
    tests = [test for name, matcher in selector.matchers for test in label_tests(quoted(name), matcher, present='!=""')]
    return f"_stream:{{{','.join(tests)}}}" if tests else None


def time_filter(interval: Interval) -> str:
    """Write the event times of an interval; nine digits, or its end would be rounded up."""
    start = min(max(interval.start, 0), MAX_TIME_NS)
    end = MAX_TIME_NS if interval.end is None else min(max(interval.end, 0), MAX_TIME_NS)
    return f"_time:[{event_time_text(start)}, {event_time_text(end)})"


def literal_filter(literal: bytes, marks: Sequence[bytes] = ()) -> str | None:
    """Write that lines contain a text or a mark; None where one is no UTF-8 or empty, so that no filter can say it."""
    try:
        texts = [one.decode() for one in (literal, *marks)]
    except UnicodeDecodeError:
        return None
    return f"_msg:~{quoted('|'.join(map(literal_pattern, texts)))}" if all(texts) else None


def extra_filters(
    selector: Selector, literals: Sequence[bytes], interval: Interval, marks: Sequence[bytes] = ()
) -> list[tuple[str, str]]:
    """Return the parameters that hold a scope.

    SECURITY: the time bound is a filter, not only the parameters `start` and `end`, which a query option can void.
    tests/sources/victorialogs/test_filters.py.
    """
    pairs = [("extra_filters", time_filter(interval))]
    streams = stream_filter(selector)
    if streams is not None:
        pairs.append(("extra_stream_filters", streams))
    pairs += [("extra_filters", one) for one in (literal_filter(text, marks) for text in literals) if one]
    return pairs


def sorted_query(direction: Direction, limit: int) -> str:
    """Write the query: everything in order of time, as many lines as fit."""
    order = "" if direction is Direction.FORWARD else " desc"
    return f"* | sort by (_time{order}) limit {limit}"
