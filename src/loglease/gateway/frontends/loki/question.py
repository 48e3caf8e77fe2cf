"""Which question of the Loki API a route asks."""

from __future__ import annotations

from typing import Final

from loglease.gateway.asked import Asked
from loglease.gateway.frontends.loki import constants, names, queries, volume
from loglease.gateway.frontends.loki.queries import Direct
from loglease.gateway.parameters import Values
from loglease.gateway.routes import Action, Route
from loglease.model.instant import Instant

SINGLE: Final = frozenset(
    ("query", "start", "end", "time", "since", "step", "interval", "limit", "direction", "targetLabels", "aggregateBy")
)
"""Parameters that may be given once."""


def loki_question(route: Route, values: Values, now: Instant, *, categorize: bool) -> Asked | Direct:
    """Return what a call asks, or its answer where that holds nothing of any line.

    Args:
        categorize: the client wants labels of metadata and parsers apart from those of streams.

    Raises:
        QueryInvalid, Malformed: the query or a parameter is wrong.
    """
    match route.action:
        case Action.QUERY_RANGE:
            return queries.range_question(values, now, categorize=categorize)
        case Action.QUERY:
            return queries.instant_question(values, now)
        case Action.LABELS | Action.LABEL:
            return names.labels_question(values, now)
        case Action.VALUES:
            return names.values_question(values, now, route.name)
        case Action.SERIES:
            return names.series_question(values, now)
        case Action.DETECTED_LABELS:
            return names.detected_labels_question(values, now)
        case Action.VOLUME:
            return volume.volume_question(values, now)
        case Action.VOLUME_RANGE:
            return volume.volume_range_question(values, now)
    return _constant(route.action, values)


def _constant(action: Action, values: Values) -> Direct:
    match action:
        case Action.STATISTICS:
            return constants.statistics()
        case Action.PATTERNS:
            return constants.patterns()
        case Action.FORMAT:
            return constants.formatted(values)
        case Action.LIMITS:
            return constants.limits()
        case _:
            return constants.build_information()
