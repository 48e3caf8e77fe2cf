"""The typed tree of a query. So far log queries of a selector and line filters; later parts add node types."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class MatchOp(StrEnum):
    """How a selector compares a label."""

    EQUAL = "="
    NOT_EQUAL = "!="
    MATCHES = "=~"
    NOT_MATCHES = "!~"

    @property
    def positive(self) -> bool:
        """Whether the value has to fit, rather than must not."""
        return self in (MatchOp.EQUAL, MatchOp.MATCHES)


class FilterOp(StrEnum):
    """How a line filter tests the text of a line."""

    HOLDS = "|="
    LACKS = "!="


@dataclass(frozen=True, slots=True)
class LabelTest:
    """One matcher of a selector. A missing label counts as an empty value; expressions match whole values."""

    name: str
    op: MatchOp
    value: str


@dataclass(frozen=True, slots=True)
class LineFilter:
    """One line filter; with several literals `|=` takes a line that holds any, `!=` one that lacks all."""

    op: FilterOp
    literals: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class LogQuery:
    """A log query: streams that pass every test, then lines that pass every filter in turn."""

    selector: tuple[LabelTest, ...] = ()
    filters: tuple[LineFilter, ...] = ()
