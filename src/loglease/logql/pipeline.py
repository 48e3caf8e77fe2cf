"""The stages of a log query made ready: redacted entries go in, those that pass come out, changed by the stages."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from collections.abc import Set as AbstractSet
from itertools import takewhile

from loglease.logql.entry import Entry
from loglease.logql.extraction import Rescan, Step, json_step, logfmt_step, pattern_step, regexp_step, unpack_step
from loglease.logql.formats import decolorize_step, drop_step, keep_step, label_format_step, line_format_step
from loglease.logql.json_values import json_values, only, unless_dropped
from loglease.logql.label_filters import filter_names, label_test
from loglease.logql.line_filters import line_test
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
        wanted: names of the labels that count behind all stages; None for all.
    """

    def __init__(
        self, stages: tuple[Stage, ...], *, rescan: Rescan, now: int, wanted: AbstractSet[str] | None = None
    ) -> None:
        steps = [_step(stage, rescan, now) for stage in stages]
        for place, stage in enumerate(stages):
            if stage == JsonParser():
                steps[place] = _sparing(steps, stages, place, wanted)
        self._steps = tuple(steps)

    def passes(self, entry: Entry) -> bool:
        """Lead an entry through the stages; False as soon as one drops it."""
        for step in self._steps:  # noqa: SIM110 - this runs for each line, and `all` makes a generator every time
            if not step(entry):
                return False
        return True


def _sparing(steps: Sequence[Step], stages: tuple[Stage, ...], place: int, wanted: AbstractSet[str] | None) -> Step:
    """Return the step of a ``| json`` that makes only labels that the stages behind it need, if possible."""
    after = stages[place + 1 :]
    needed = _needed(after, wanted)
    if needed is not None:
        return only(json_values(needed), steps[place])
    tests = list(takewhile(lambda stage: isinstance(stage, (LabelFilterStage, LineFilter)), after))
    names = {name for stage in tests if isinstance(stage, LabelFilterStage) for name in filter_names(stage.test)}
    if not names:
        return steps[place]
    return unless_dropped(json_values(names), steps[place + 1 : place + 1 + len(tests)], steps[place])


def _needed(stages: Iterable[Stage], wanted: AbstractSet[str] | None) -> set[str] | None:
    """Return the names of the labels on which stages and what comes behind them depend; None for all."""
    if wanted is None:
        return None
    needed = set(wanted)
    for stage in stages:
        match stage:
            case LabelFilterStage(test):
                needed |= set(filter_names(test))
            case Drop(names) | Keep(names):
                needed |= {one.name for one in names if isinstance(one, LabelTest)}
            case LineFormat() | LabelFormat():
                return None
    return needed


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
