"""Whether a query takes text apart or makes new text of it, so that a token in it may not be one any more."""

from __future__ import annotations

from dataclasses import fields, is_dataclass
from typing import Final

from loglease.logql.syntax import LabelReplace, LineFormat, PatternParser, Query, RegexpParser, Templating

_REWRITING: Final = (LabelReplace, LineFormat, PatternParser, RegexpParser, Templating)


def rewrites(query: Query) -> bool:
    """Say whether some part of a query gives labels or lines other values than whole ones that it found."""
    parts: list[object] = [query]
    while parts:
        one = parts.pop()
        if isinstance(one, _REWRITING):
            return True
        if is_dataclass(one):
            parts += (getattr(one, field.name) for field in fields(one))
        elif isinstance(one, tuple):
            parts += one
    return False
