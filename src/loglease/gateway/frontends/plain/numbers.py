"""A metric query at the plain endpoint: one JSON object, as Loki's API gives it."""

from __future__ import annotations

from dataclasses import replace

from loglease.gateway.asked import Asked
from loglease.gateway.errors import QueryInvalid
from loglease.gateway.frontends.loki.queries import Direct, grid_of, metric_question
from loglease.gateway.parameters import Parameters
from loglease.logql import Metric
from loglease.logql.metrics import Grid
from loglease.model.instant import Instant
from loglease.model.session import Front


def numbers_question(parameters: Parameters, query: Metric, now: Instant) -> Asked | Direct:
    """Return what a call asks: numbers at each step if it has a step, else at its end.

    Raises:
        QueryInvalid: there are too many steps, or numbers were to be followed.
    """
    if parameters.follow:
        raise QueryInvalid("Lines can be followed, the query asks for numbers.", next_step="Ask without follow.")
    start, end = parameters.interval.start, parameters.interval.end or parameters.interval.start
    is_instant = parameters.step is None
    grid = Grid.instant(end) if is_instant else grid_of(start, end, parameters.step)
    asked = metric_question(parameters.query, query, grid, is_instant=is_instant, now=now)
    return asked if isinstance(asked, Direct) else replace(asked, front=Front.PLAIN)
