"""Metric queries: numbers computed from redacted lines.

Public: `Grid` (the steps), `MetricQuery` (the evaluation), `Answer` (what it gives), `Series` and
`Vector` (label sets, and their numbers at one time).
"""

from loglease.logql.metrics.evaluation import Answer, MetricQuery
from loglease.logql.metrics.grid import Grid
from loglease.logql.metrics.series import Series, Vector

__all__ = ["Answer", "Grid", "MetricQuery", "Series", "Vector"]
