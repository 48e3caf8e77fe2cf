"""The stages of a log query made ready: redacted entries go in, those that pass come out, changed by the stages."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import takewhile
from typing import Final

from loglease.logql.entry import Entry
from loglease.logql.extraction import Rescan, Step, json_step, logfmt_step, pattern_step, regexp_step, unpack_step
from loglease.logql.formats import decolorize_step, drop_step, keep_step, label_format_step, line_format_step
from loglease.logql.label_filters import filter_names, label_test
from loglease.logql.line_filters import line_test, required_literal
from loglease.logql.syntax import (
    Decolorize,
    Drop,
    JsonParser,
    Keep,
    LabelFilterStage,
    LabelFormat,
    LabelTest,
    LineFilter,
    LineFormat,
    LogfmtParser,
    PatternParser,
    RegexpParser,
    Stage,
    Unpack,
)


class Pipeline:
    """Stages ready to be applied.

    Args:
        rescan: redacts a value that a stage has decoded; takes its label's name and the value.
        now: the time of the query, nanoseconds since the epoch.
    """

    def __init__(self, stages: tuple[Stage, ...], *, rescan: Rescan, now: int) -> None:
        self._steps = tuple(_step(stage, rescan, now) for stage in stages)

    def passes(self, entry: Entry) -> bool:
        """Lead an entry through the stages; False as soon as one drops it."""
        return all(step(entry) for step in self._steps)

    def run(self, entries: Iterable[Entry]) -> Iterator[Entry]:
        """Yield the entries that pass, changed by the stages."""
        return filter(self.passes, entries)


def _step(stage: Stage, rescan: Rescan, now: int) -> Step:
    match stage:
        case LineFilter():
            return line_test(stage)
        case LabelFilterStage(test):
            return label_test(test)
        case JsonParser():
            return json_step(stage, rescan)
        case LogfmtParser():
            return logfmt_step(stage, rescan)
        case RegexpParser():
            return regexp_step(stage)
        case PatternParser():
            return pattern_step(stage)
        case Unpack():
            return unpack_step(rescan)
    return _writing(stage, rescan, now)


def _writing(stage: LineFormat | LabelFormat | Decolorize | Drop | Keep, rescan: Rescan, now: int) -> Step:
    match stage:
        case LineFormat():
            return line_format_step(stage, rescan, now)
        case LabelFormat():
            return label_format_step(stage, rescan, now)
        case Decolorize():
            return decolorize_step
        case Drop():
            return drop_step(stage)
        case Keep():
            return keep_step(stage)


_KEEPS_LINE: Final = (LineFilter, LabelFilterStage, JsonParser, LogfmtParser, RegexpParser, PatternParser, Drop, Keep)


def split_filters(stages: tuple[Stage, ...]) -> tuple[tuple[LineFilter, ...], tuple[Stage, ...]]:
    """Return the line filters that come first, which need no label, and the stages behind them."""
    first = tuple(takewhile(lambda stage: isinstance(stage, LineFilter), stages))
    return tuple(stage for stage in first if isinstance(stage, LineFilter)), stages[len(first) :]


def may_read(stages: Iterable[Stage], name: str) -> bool:
    """Say whether a stage may look at the value of a label that is there before all stages."""
    return any(_may_read(stage, name) for stage in stages)


def _may_read(stage: Stage, name: str) -> bool:
    match stage:
        case LabelFilterStage(test):
            return name in filter_names(test)
        case Drop(names) | Keep(names):
            return any(isinstance(one, LabelTest) and one.name == name for one in names)
        case LineFormat() | LabelFormat():
            return True
    return False


def required_literals(stages: Iterable[Stage]) -> tuple[bytes, ...]:
    """Return byte strings that every line which passes held before any stage, outside of masks."""
    unchanged = takewhile(lambda stage: isinstance(stage, _KEEPS_LINE), stages)
    filters = (stage for stage in unchanged if isinstance(stage, LineFilter))
    return tuple(literal for one in filters if (literal := required_literal(one)) is not None)
