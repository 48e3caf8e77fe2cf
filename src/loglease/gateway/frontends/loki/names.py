"""``labels``, ``label/{name}/values``, ``series``, ``detected_labels``: names and values, of permitted lines only."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import orjson

from loglease.gateway.asked import Asked, Means, Prepared
from loglease.gateway.errors import QueryInvalid
from loglease.gateway.frontends.loki.document import Document, Shape, name, names_document
from loglease.gateway.frontends.loki.queries import asked_of
from loglease.gateway.names import SeriesReading
from loglease.gateway.parameters import Values
from loglease.gateway.planner import parsed
from loglease.gateway.served import Item
from loglease.logql import LogQuery
from loglease.model.instant import Instant, Interval
from loglease.model.labels import Labels
from loglease.model.session import Front, SessionKind

DocumentOf = Callable[[Sequence[str]], Document]
"""Makes the answer around them; takes warnings."""
ListOf = Callable[[Sequence[Labels], int], list[Item]]
"""Makes the items of an answer of label sets; takes the start of the time asked for."""


def labels_question(values: Values, now: Instant) -> Asked:
    """Return what ``labels`` asks: the names of all labels."""
    return _question(values, now, (values.text("query", "{}"),), _label_names, names_document)


def values_question(values: Values, now: Instant, label: str) -> Asked:
    """Return what ``label/{name}/values`` asks."""

    def found(series: Sequence[Labels], ns: int) -> list[Item]:
        known = sorted({value for labels in series for key, value in labels if key == label})
        return [name(orjson.dumps(value), ns) for value in known]

    return _question(values, now, (values.text("query", "{}"),), found, names_document)


def series_question(values: Values, now: Instant) -> Asked:
    """Return what ``series`` asks: whole label sets, of any of several selectors."""
    selectors = values.all("match", "match[]") or ["{}"]

    def found(series: Sequence[Labels], ns: int) -> list[Item]:
        return [name(orjson.dumps(dict(labels)), ns, labels) for labels in series]

    return _question(values, now, selectors, found, names_document)


def detected_labels_question(values: Values, now: Instant) -> Asked:
    """Return what ``detected_labels`` asks: each label with the number of its values."""

    def found(series: Sequence[Labels], ns: int) -> list[Item]:
        known: dict[str, set[str]] = {}
        for labels in series:
            for key, value in labels:
                known.setdefault(key, set()).add(value)
        return [name(orjson.dumps({"label": key, "cardinality": len(known[key])}), ns) for key in sorted(known)]

    def document(warnings: Sequence[str]) -> Document:
        return Document(Shape(b'{"detectedLabels":[', b"", b"]", counts=False), warnings)

    return _question(values, now, (values.text("query", "{}"),), found, document)


def _label_names(series: Sequence[Labels], ns: int) -> list[Item]:
    known = sorted({key for labels in series for key, _ in labels})
    return [name(orjson.dumps(key), ns) for key in known]


def _question(
    values: Values,
    now: Instant,
    selectors: Sequence[str],
    found: ListOf,
    document_of: Callable[[Sequence[str]], Document],
) -> Asked:
    queries = [streams_query(text) for text in selectors]

    def prepare(means: Means) -> Prepared:
        asked = [(query.selector, *asked_of(query, means)) for query in queries]
        document = document_of(list(dict.fromkeys(text for _, _, warnings in asked for text in warnings)))
        wanted = [(tests, selector) for tests, selector, _ in asked if selector is not None]
        reading = SeriesReading(means, wanted, lambda series: document.led(found(series, means.interval.start)))
        return Prepared(reading, document)

    return Asked(
        kind=SessionKind.NAMES,
        front=Front.LOKI,
        query=" or ".join(selectors),
        interval=both_ends(values.interval(now)),
        limit=None,
        check=lambda _: None,
        prepare=prepare,
    )


def both_ends(interval: Interval) -> Interval:
    """Return the time of a question for names, which has both its ends."""
    return Interval(interval.start, (interval.end or interval.start) + 1)


def streams_query(text: str) -> LogQuery:
    """Return the query for the streams that a selector selects; none is all of them.

    Raises:
        QueryInvalid: it is more than a selector.
    """
    query = parsed(text or "{}")
    if not isinstance(query, LogQuery) or query.stages:
        raise QueryInvalid("This takes a selector alone.", next_step='Write one like {service="pay-api"}.')
    return query
