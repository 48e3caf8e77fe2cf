"""Which stages a metric needs: a parser whose labels nothing reads is not run, and so raises no error either."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from loglease.logql.entry import ERROR, ERROR_DETAILS, EXTENSION
from loglease.logql.expressions import within_line
from loglease.logql.label_filters import filter_names
from loglease.logql.patterns import CapturingPattern
from loglease.logql.syntax import (
    BothFilters,
    Drop,
    EitherFilter,
    JsonParser,
    Keep,
    LabelFilter,
    LabelFilterStage,
    LabelFormat,
    LabelTest,
    LineFormat,
    LogfmtParser,
    LogRange,
    PatternParser,
    RegexpParser,
    Renaming,
    Stage,
)
from loglease.logql.templates import Template

_PARSERS: Final = (JsonParser, LogfmtParser, RegexpParser, PatternParser)


def needed_stages(log_range: LogRange, kept: frozenset[str] | None) -> tuple[Stage, ...]:
    """Return the stages of a range without the parsers whose labels are needed by nothing behind them.

    Args:
        log_range: the range.
        kept: names of the labels that its series have; None for all.
    """
    reads = None if kept is None else set(kept)
    if log_range.unwrap is not None and reads is not None:
        reads |= {log_range.unwrap.label, *(name for test in log_range.unwrap.filters for name in _seen(test))}
    found: list[Stage] = []
    for stage in reversed(log_range.query.stages):
        if reads is not None:
            if isinstance(stage, _PARSERS) and ERROR not in reads:
                written = _written(stage)
                if reads.isdisjoint(written) if written else not reads:
                    continue
            names = _read(stage)
            reads = None if None in names else reads | {name for name in names if name is not None}
        found.append(stage)
    return tuple(reversed(found))


def asks_for_error(log_range: LogRange) -> bool:
    """Say whether a range filters by the error, so that lines which have one are its own affair."""
    tests = [stage.test for stage in log_range.query.stages if isinstance(stage, LabelFilterStage)]
    tests += log_range.unwrap.filters if log_range.unwrap else ()
    return any(name in (ERROR, ERROR_DETAILS) for test in tests for name in filter_names(test))


def _seen(test: LabelFilter) -> Iterator[str]:
    """Yield what a label filter depends on: all but those on text depend on whether there is an error."""
    if isinstance(test, (BothFilters, EitherFilter)):
        yield from _seen(test.left)
        yield from _seen(test.right)
        return
    yield test.name
    if not isinstance(test, LabelTest) or test.name == ERROR_DETAILS:
        yield ERROR


def _read(stage: Stage) -> frozenset[str | None]:
    """Return the names of the labels that a stage reads, with None if it may read any."""
    names: set[str | None] = set()
    match stage:
        case LabelFilterStage(test):
            names |= set(_seen(test))
        case LineFormat(template):
            names |= Template(template).labels
        case LabelFormat(sets):
            for one in sets:
                names |= {one.source} if isinstance(one, Renaming) else Template(one.template).labels
        case Drop(tests) | Keep(tests):
            names |= {name for one in tests if isinstance(one, LabelTest) for name in _seen(one)}
    return frozenset(names)


def _written(stage: Stage) -> set[str]:
    """Return the names of the labels that a parser may set, none if these are any."""
    match stage:
        case JsonParser(extractions) | LogfmtParser(extractions=extractions):
            names = {one.name for one in extractions}
        case RegexpParser(pattern):
            names = {name.decode() for name in within_line(pattern).groupindex}
        case PatternParser(pattern):
            names = set(CapturingPattern(pattern).names)
        case _:
            return set()
    return names | {name + EXTENSION for name in names}
