"""Filters of LogsQL that we print ourselves. Every value is quoted in plain ASCII, so that it can only be a value.

What is asked for is always ``*``; what may be seen stands in the extra filters, which VictoriaLogs joins to a query
whatever the query says.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from loglease.model.instant import Interval, event_time_text
from loglease.model.labels import Matcher, Selector
from loglease.sources.interface import Direction

MAX_TIME_NS: Final = (1 << 63) - 1
"""The store keeps event times as 64-bit numbers of nanoseconds."""

_SPECIAL: Final = frozenset("\\.+*?()|[]{}^$")
_PLAIN: Final = frozenset(map(chr, range(0x20, 0x7F))) - {'"', "\\"}


def quoted(value: str) -> str:
    """Write a string literal, nothing in it but printable ASCII."""
    return '"' + "".join(letter if letter in _PLAIN else _escape(ord(letter)) for letter in value) + '"'


def _escape(code: int) -> str:
    if code < 0x80:  # noqa: PLR2004 - ASCII; above, \x would be a byte and not a letter
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code <= 0xFFFF else f"\\U{code:08x}"  # noqa: PLR2004 - four digits


def literal_pattern(text: str) -> str:
    """Write a regular expression that means just this text."""
    return "".join(f"\\{letter}" if letter in _SPECIAL else letter for letter in text)


def stream_filter(selector: Selector) -> str | None:
    """Write what streams a selector selects, or None where it selects all."""
    tests = [test for name, matcher in selector.matchers for test in _tests(quoted(name), matcher)]
    return f"_stream:{{{','.join(tests)}}}" if tests else None


def _tests(name: str, matcher: Matcher) -> Iterable[str]:
    """Write one label's tests. A missing label is an empty value here, too, and no pattern of ours matches it."""
    if len(matcher.exact) == 1 and not matcher.prefixes:
        yield f"{name}={quoted(next(iter(matcher.exact)))}"
    elif matcher.exact or matcher.prefixes:
        yield f"{name}=~{quoted(_pattern(matcher.exact, matcher.prefixes))}"
    else:
        yield f'{name}!=""'
    if matcher.except_exact or matcher.except_prefixes:
        yield f"{name}!~{quoted(_pattern(matcher.except_exact, matcher.except_prefixes))}"


def _pattern(exact: Iterable[str], prefixes: Iterable[str]) -> str:
    alternatives = [literal_pattern(value) for value in sorted(exact)]
    alternatives += [f"{literal_pattern(prefix)}(?s:.*)" for prefix in sorted(prefixes)]
    return "|".join(alternatives)


def time_filter(interval: Interval) -> str:
    """Write the event times of an interval; nine digits, or its end would be rounded up."""
    start = min(max(interval.start, 0), MAX_TIME_NS)
    end = MAX_TIME_NS if interval.end is None else min(max(interval.end, 0), MAX_TIME_NS)
    return f"_time:[{event_time_text(start)}, {event_time_text(end)})"


def literal_filter(literal: bytes) -> str | None:
    """Write that lines contain a text; None where it is no UTF-8 and so cannot be written."""
    try:
        text = literal.decode()
    except UnicodeDecodeError:
        return None
    return f"_msg:~{quoted(literal_pattern(text))}" if text else None


def extra_filters(selector: Selector, literals: Sequence[bytes], interval: Interval) -> list[tuple[str, str]]:
    """Return the parameters that hold a scope.

    SECURITY: the time bound is a filter, not only the parameters `start` and `end`, which a query option can void.
    tests/sources/victorialogs/test_filters.py.
    """
    pairs = [("extra_filters", time_filter(interval))]
    streams = stream_filter(selector)
    if streams is not None:
        pairs.append(("extra_stream_filters", streams))
    pairs += [("extra_filters", one) for one in map(literal_filter, literals) if one is not None]
    return pairs


def sorted_query(direction: Direction, limit: int) -> str:
    """Write the query: everything in order of time, as many lines as fit."""
    order = "" if direction is Direction.FORWARD else " desc"
    return f"* | sort by (_time{order}) limit {limit}"
