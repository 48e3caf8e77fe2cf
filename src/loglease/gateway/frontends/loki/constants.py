"""Answers of the Loki API that hold nothing of any line."""

from __future__ import annotations

from importlib.metadata import version

import orjson

from loglease.gateway.frontends.loki.queries import Direct
from loglease.gateway.parameters import Values
from loglease.gateway.planner import parsed
from loglease.logql import print_query
from loglease.model.instant import Instant


def build_information() -> Direct:
    """Return what ``status/buildinfo`` answers; clients choose by it what they may ask."""
    fields = ("revision", "branch", "buildDate", "buildUser", "goVersion")
    return _json({"version": version("loglease"), **dict.fromkeys(fields, "")})


def limits() -> Direct:
    """Return what ``drilldown-limits`` answers."""
    return _json({"limits": {}, "pattern_ingester_enabled": False, "version": version("loglease")})


def patterns(values: Values, now: Instant) -> Direct:
    """Return what ``patterns`` answers: none are found.

    Raises:
        QueryInvalid, Malformed: the query is none, or a parameter cannot have its value.
    """
    parsed(values.text("query", "") or "{}")
    values.interval(now)
    values.seconds("step")
    return _json({"status": "success", "data": []})


def formatted(values: Values) -> Direct:
    """Return what ``format_query`` answers: the canonical text of a query.

    Raises:
        QueryInvalid: it is none.
    """
    return _json({"status": "success", "data": print_query(parsed(values.text("query", "")))})


def _json(content: object) -> Direct:
    return Direct(orjson.dumps(content))
