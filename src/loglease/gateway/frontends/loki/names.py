"""``labels``, ``label/{name}/values``, ``series``, ``detected_labels``: names and values, of permitted lines only."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import orjson

from loglease.gateway.asked import Asked, Means, Prepared
from loglease.gateway.errors import QueryInvalid
from loglease.gateway.frontends.loki.document import Document, Shape, name, names_document
from loglease.gateway.frontends.loki.queries import asked_of, outside
from loglease.gateway.names import Owned, SeriesReading
from loglease.gateway.parameters import Values
from loglease.gateway.planner import parsed
from loglease.gateway.served import Item
from loglease.logql import LabelTest, LogQuery
from loglease.model.instant import Instant, Interval
from loglease.model.labels import Selector
from loglease.model.scope import Scope
from loglease.model.session import Front, SessionKind

DocumentOf = Callable[[Sequence[str]], Document]
"""Makes the answer around them; takes warnings."""
ListOf = Callable[[Owned, int], list[Item]]
"""Makes the items of an answer of label sets; takes the start of the time asked for."""


def labels_question(values: Values, now: Instant) -> Asked:
    """Return what ``labels`` asks: the names of all labels."""
    return _question(values, now, (values.text("query", "{}"),), _label_names, names_document)


def values_question(values: Values, now: Instant, label: str) -> Asked:
    """Return what ``label/{name}/values`` asks."""

    def found(series: Owned, ns: int) -> list[Item]:
        known: dict[str, set[int]] = {}
        for labels, owner in series.items():
            for key, value in labels:
                if key == label:
                    known.setdefault(value, set()).add(owner)
        return [_first(name(orjson.dumps(value), ns), owners) for value, owners in sorted(known.items())]

    return _question(values, now, (values.text("query", "{}"),), found, names_document)


def series_question(values: Values, now: Instant) -> Asked:
    """Return what ``series`` asks: whole label sets, of any of several selectors."""
    selectors = values.all("match", "match[]") or ["{}"]

    def found(series: Owned, ns: int) -> list[Item]:
        return [_first(name(orjson.dumps(dict(labels)), ns, labels), {owner}) for labels, owner in series.items()]

    return _question(values, now, selectors, found, names_document)


def detected_labels_question(values: Values, now: Instant) -> Asked:
    """Return what ``detected_labels`` asks: each label with the number of its values."""

    def found(series: Owned, ns: int) -> list[Item]:
        known: dict[str, set[str]] = {}
        owners: dict[str, set[int]] = {}
        for labels, owner in series.items():
            for key, value in labels:
                known.setdefault(key, set()).add(value)
                owners.setdefault(key, set()).add(owner)
        items = {key: name(orjson.dumps({"label": key, "cardinality": len(known[key])}), ns) for key in sorted(known)}
        # A number is made of what all these grants show.
        return [item._replace(owners=tuple(sorted(owners[key]))) for key, item in items.items()]

    def document(warnings: Sequence[str]) -> Document:
        return Document(Shape(b'{"detectedLabels":[', b"", b"]", counts=False), warnings)

    return _question(values, now, (values.text("query", "{}"),), found, document)


def _label_names(series: Owned, ns: int) -> list[Item]:
    known: dict[str, set[int]] = {}
    for labels, owner in series.items():
        for key, _ in labels:
            known.setdefault(key, set()).add(owner)
    return [_first(name(orjson.dumps(key), ns), owners) for key, owners in sorted(known.items())]


def _first(item: Item, owners: set[int]) -> Item:
    """Return a name as one of the first grant that shows it."""
    return item._replace(owners=(min(owners),))


def _question(
    values: Values,
    now: Instant,
    selectors: Sequence[str],
    found: ListOf,
    document_of: Callable[[Sequence[str]], Document],
) -> Asked:
    queries = [streams_query(text) for text in selectors]

    def prepare(all_means: Sequence[Means]) -> Prepared:
        wanted: list[list[tuple[tuple[LabelTest, ...], Selector]]] = [[] for _ in all_means]
        warnings: list[str] = []
        for query in queries:
            selectors_of, texts = asked_of(query, all_means)
            warnings += (text for text in texts if text not in warnings)
            for own, selector in zip(wanted, selectors_of, strict=True):
                if selector is not None:
                    own.append((query.selector, selector))
        document = document_of(warnings)
        start = min(means.interval.start for means in all_means)
        reading = SeriesReading(
            list(zip(all_means, wanted, strict=True)), lambda series: document.led(found(series, start))
        )
        return Prepared(reading, document)

    def check(scope: Scope) -> None:
        refusals = [refusal for query in queries if (refusal := outside(query, scope)) is not None]
        if len(refusals) == len(queries):
            raise refusals[0]

    return Asked(
        kind=SessionKind.NAMES,
        front=Front.LOKI,
        query=" or ".join(selectors),
        interval=both_ends(values.interval(now)),
        limit=None,
        check=check,
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
