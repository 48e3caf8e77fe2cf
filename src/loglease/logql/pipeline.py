"""The stages of a log query made ready: redacted entries go in, those that pass come out, changed by the stages."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import takewhile
from typing import Final

from loglease.logql.entry import Entry
from loglease.logql.extraction import Rescan, Step, json_step, logfmt_step, pattern_step, regexp_step, unpack_step
from loglease.logql.formats import decolorize_step, drop_step, keep_step, label_format_step, line_format_step
from loglease.logql.json_values import all_json_values, json_values
from loglease.logql.label_filters import filter_names, label_test
from loglease.logql.line_filters import line_test
from loglease.logql.logfmt_values import all_logfmt_values, logfmt_values
from loglease.logql.needs import Names, is_needed, names_read, parsed_names, read_behind
from loglease.logql.sparing import Values, quick, unless_dropped
from loglease.logql.syntax import (
    Decolorize,
    Drop,
    JsonParser,
    Keep,
    LabelFilterStage,
    LabelFormat,
    LineFilter,
    LineFormat,
    LogfmtParser,
    PatternParser,
    RegexpParser,
    Stage,
    Unpack,
)

_VALUES: Final[Mapping[Stage, tuple[Callable[[frozenset[str]], Values | None], Callable[[], Values]]]] = {
    JsonParser(): (json_values, all_json_values),
    LogfmtParser(): (logfmt_values, all_logfmt_values),
}
"""Parsers that have a faster way, for labels of some names and for all."""


class Pipeline:
    """Stages ready to be applied, without those parsers whose labels nothing needs.

    Args:
        rescan: redacts a value that a stage has decoded; takes its label's name and the value.
        now: the time of the query, nanoseconds since the epoch.
        wanted: names of the labels that count behind all stages; None for all.
    """

    def __init__(self, stages: Sequence[Stage], *, rescan: Rescan, now: int, wanted: Names = None) -> None:
        behind = zip(stages, read_behind(stages, wanted), strict=True)
        needed = [(stage, parsed_names(names)) for stage, names in behind if is_needed(stage, names)]
        steps = [_step(stage, rescan, now, names) for stage, names in needed]
        for place, (stage, names) in enumerate(needed):
            if stage in _VALUES:
                steps[place] = _quick(steps, [stage for stage, _ in needed], place, names)
        self._steps = tuple(steps)

    def passes(self, entry: Entry) -> bool:
        """Lead an entry through the stages; False as soon as one drops it."""
        for step in self._steps:  # noqa: SIM110 - this runs for each line, and `all` makes a generator every time
            if not step(entry):
                return False
        return True


def _quick(steps: Sequence[Step], stages: Sequence[Stage], place: int, names: frozenset[str] | None) -> Step:
    """Return the step of a parser that makes labels a faster way, and only those that are needed."""
    some, all_values = _VALUES[stages[place]]
    if names is not None:
        values = some(names)
        return steps[place] if values is None else quick(values, steps[place])
    parse = quick(all_values(), steps[place])
    after = stages[place + 1 :]
    tests = list(takewhile(lambda stage: isinstance(stage, (LabelFilterStage, LineFilter)), after))
    tested = {name for stage in tests if isinstance(stage, LabelFilterStage) for name in filter_names(stage.test)}
    values = some(parsed_names(tested) or frozenset()) if tested else None
    return parse if values is None else unless_dropped(values, steps[place + 1 : place + 1 + len(tests)], parse)


def _step(stage: Stage, rescan: Rescan, now: int, names: frozenset[str] | None) -> Step:
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
            return regexp_step(stage, names)
        case PatternParser():
            return pattern_step(stage, names)
        case Unpack():
            return unpack_step(rescan, names)
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


def split_filters(stages: tuple[Stage, ...]) -> tuple[tuple[LineFilter, ...], tuple[Stage, ...]]:
    """Return the line filters that come first, which need no label, and the stages behind them."""
    first = tuple(takewhile(lambda stage: isinstance(stage, LineFilter), stages))
    return tuple(stage for stage in first if isinstance(stage, LineFilter)), stages[len(first) :]


def may_read(stages: Iterable[Stage], name: str) -> bool:
    """Say whether a stage may look at the value of a label that is there before all stages."""
    return any(names is None or name in names for names in map(names_read, stages))
