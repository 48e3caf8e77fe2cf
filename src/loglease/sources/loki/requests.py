"""Requests to Loki: constant paths, explicit times, and queries that are printed here.

A query is one stream selector and, for each literal, one line filter. Nothing in it comes from whoever reads but
values, each quoted in plain ASCII.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final
from urllib.parse import quote

from loglease.model.instant import Interval, event_time_text
from loglease.model.labels import Labels, Selector
from loglease.sources.faults import LABEL_NAME
from loglease.sources.interface import MAX_TIME_NS, Direction
from loglease.sources.matchers import label_tests, literal_pattern, quoted
from loglease.sources.transport import Request

JSON: Final = "application/json"

_PRESENT: Final = '=~"(?s:.+)"'
_REPLACEMENT: Final = "\ufffd"


def selectors_of(selector: Selector, names: Iterable[str]) -> list[str]:
    """Write which streams a selector selects; no stream is in two of the texts.

    Loki wants a label that is there in every selector. A selector without keys is therefore written as one text for
    each trusted label: the streams that have it and none of those before.

    Args:
        names: the trusted labels.
    """
    tests = [test for name, matcher in selector.matchers for test in label_tests(name, matcher, present=_PRESENT)]
    if tests:
        return [_braced(tests)]
    ordered = sorted(names)
    return [
        _braced([*(f'{before}=""' for before in ordered[:place]), f"{name}{_PRESENT}"])
        for place, name in enumerate(ordered)
    ]


def selector_of_stream(labels: Labels) -> str:
    """Write the narrowest selector of a stream; one with more labels may still match it."""
    return _braced(f"{name}={quoted(value)}" for name, value in labels if LABEL_NAME.fullmatch(name))


def _braced(tests: Iterable[str]) -> str:
    return f"{{{','.join(tests)}}}"


def literal_filters(literals: Iterable[bytes], marks: Sequence[bytes] = ()) -> str:
    """Write that lines contain texts, each of them or a mark.

    What cannot be written is left out, and so is the letter that Loki puts where a line is no UTF-8: the line as it is
    kept does not have it.
    """
    filters = []
    for literal in literals:
        try:
            texts = [one.decode() for one in (literal, *marks)]
        except UnicodeDecodeError:
            continue
        if all(text and _REPLACEMENT not in text for text in texts):
            pattern = "|".join(map(literal_pattern, texts))
            filters.append(f" |~ {quoted(pattern)}" if marks else f" |= {quoted(texts[0])}")
    return "".join(filters)


class Requests:
    """Writes the requests to one Loki.

    Args:
        policy_tenant: where it is one, each request repeats its selector as this tenant's label policy.
    """

    def __init__(self, policy_tenant: str | None) -> None:
        self._policy_tenant = policy_tenant

    def read(self, streams: str, filters: str, interval: Interval, *, direction: Direction, limit: int) -> Request:
        """Ask for the first or last lines of an interval that has an end.

        Args:
            streams: a selector that was printed here.
            filters: line filters that were printed here.
        """
        return self._request(
            "/loki/api/v1/query_range",
            streams,
            ("query", streams + filters),
            *_times(interval),
            ("limit", str(limit)),
            ("direction", direction.value),
        )

    def series(self, streams: str, interval: Interval) -> Request:
        """Ask for the streams that may have lines in an interval that has an end."""
        return self._request("/loki/api/v1/series", streams, ("match[]", streams), *_times(interval))

    def tail(self, streams: str, filters: str, from_ns: int, *, limit: int) -> Request:
        """Ask for what arrives, after the last lines from a time on."""
        return self._request(
            "/loki/api/v1/tail",
            streams,
            ("query", streams + filters),
            ("start", _time(from_ns)),
            ("limit", str(limit)),
            ("delay_for", "0"),
        )

    def _request(self, path: str, streams: str, *query: tuple[str, str]) -> Request:
        policy = []
        if self._policy_tenant is not None:
            policy = [("X-Prom-Label-Policy", f"{quote(self._policy_tenant, safe='')}:{quote(streams, safe='')}")]
        return Request(path=path, accept=JSON, types=frozenset({JSON}), query=query, headers=policy)


def _times(interval: Interval) -> tuple[tuple[str, str], tuple[str, str]]:
    end = MAX_TIME_NS if interval.end is None else interval.end
    return ("start", _time(interval.start)), ("end", _time(end))


def _time(event_ns: int) -> str:
    """Write a time as a date: Loki takes a short number for one of seconds."""
    return event_time_text(min(max(event_ns, 0), MAX_TIME_NS))
