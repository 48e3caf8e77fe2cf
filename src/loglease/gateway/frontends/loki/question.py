"""Which question of the Loki API a route asks."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from loglease.gateway.asked import Asked
from loglease.gateway.frontends.loki import constants, fields, names, queries, statistics, volume
from loglease.gateway.frontends.loki.queries import Direct
from loglease.gateway.parameters import Values
from loglease.gateway.routes import Action, Route
from loglease.model.instant import Instant

SINGLE: Final = frozenset(
    (
        "query",
        "start",
        "end",
        "time",
        "since",
        "step",
        "interval",
        "limit",
        "direction",
        "targetLabels",
        "aggregateBy",
        "line_limit",
        "field_limit",
    )
)
"""Parameters that may be given once."""


def loki_question(
    route: Route, values: Values, now: Instant, *, categorize: bool, exact_statistics: bool = False
) -> Asked | Direct:
    """Return what a call asks, or its answer where that holds nothing of any line.

    Args:
        categorize: the client wants labels of metadata and parsers apart from those of streams.
        exact_statistics: ``index/stats`` counts, rather than to say nothing.

    Raises:
        QueryInvalid, Malformed: the query or a parameter is wrong.
    """
    match route.action:
        case Action.QUERY_RANGE:
            return queries.range_question(values, now, categorize=categorize)
        case Action.VALUES:
            return names.values_question(values, now, route.name)
        case Action.FIELD_VALUES:
            return fields.field_values_question(values, now, route.name)
        case Action.STATISTICS:
            return statistics.statistics_question(values, now, exact=exact_statistics)
        case action if (question := _QUESTIONS.get(action)) is not None:
            return question(values, now)
        case action:
            return _constant(action, values)


_QUESTIONS: Final[Mapping[Action, Callable[[Values, Instant], Asked | Direct]]] = {
    Action.QUERY: queries.instant_question,
    Action.LABELS: names.labels_question,
    Action.LABEL: names.labels_question,
    Action.SERIES: names.series_question,
    Action.DETECTED_LABELS: names.detected_labels_question,
    Action.DETECTED_FIELDS: fields.fields_question,
    Action.PATTERNS: constants.patterns,
    Action.VOLUME: volume.volume_question,
    Action.VOLUME_RANGE: volume.volume_range_question,
}


def _constant(action: Action, values: Values) -> Direct:
    match action:
        case Action.FORMAT:
            return constants.formatted(values)
        case Action.LIMITS:
            return constants.limits()
        case _:
            return constants.build_information()
