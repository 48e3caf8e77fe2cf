"""Which stages of a range somebody needs: a parser whose labels nothing reads is not run and raises no error."""

from __future__ import annotations

import re
from collections.abc import Iterator

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

ERROR = "__error__"


def filtered(test: LabelFilter) -> Iterator[str]:
    """Yield the names that a label filter reads. All but those on text behave otherwise on lines with an error."""
    match test:
        case BothFilters(left, right) | EitherFilter(left, right):
            yield from filtered(left)
            yield from filtered(right)
        case LabelTest(name):
            yield name
        case _:
            yield test.name
            yield ERROR


def _templated(template: str) -> set[str] | None:
    """Return the fields of a template, None if it may read all labels."""
    actions = " ".join(re.findall(r"\{\{.*?\}\}", template, re.DOTALL))
    if "{{with" not in template and re.search(r"(?<![\w\"`)])\.(?![A-Za-z_0-9])", actions):
        return None
    return set(re.findall(r"\.([A-Za-z_]\w*)", actions))


def read(stage: Stage) -> set[str] | None:
    """Return the names that a stage reads, None for all."""
    match stage:
        case LabelFilterStage(test):
            return set(filtered(test))
        case LineFormat(template):
            return _templated(template)
        case LabelFormat(sets):
            found: set[str] = set()
            for one in sets:
                fields = {one.source} if isinstance(one, Renaming) else _templated(one.template)
                if fields is None:
                    return None
                found |= fields
            return found
        case Drop(names) | Keep(names):
            return {one.name for one in names if isinstance(one, LabelTest)}
    return set()


def written(stage: Stage) -> set[str] | None:
    """Return the names that a parser may set, None for any."""
    match stage:
        case JsonParser(extractions) | LogfmtParser(extractions=extractions) if extractions:
            names = {one.name for one in extractions}
        case RegexpParser(pattern):
            names = set(re.compile(pattern).groupindex)
        case PatternParser(pattern):
            names = set(re.findall(r"<([A-Za-z_]\w*)>", pattern)) - {"_"}
        case _:
            return None
    return names | {f"{name}_extracted" for name in names}


def needed(log_range: LogRange, wanted: set[str] | None) -> list[Stage]:
    """Return the stages without the parsers that nobody needs; `wanted` are the names that the series keep."""
    reads: set[str] | None = wanted
    if log_range.unwrap is not None and reads is not None:
        reads = reads | {log_range.unwrap.label}
        for test in log_range.unwrap.filters:
            reads |= set(filtered(test))
    kept: list[Stage] = []
    for stage in reversed(log_range.query.stages):
        if isinstance(stage, (JsonParser, LogfmtParser, RegexpParser, PatternParser)) and reads is not None:
            makes = written(stage)
            used = bool(reads) if makes is None else bool(makes & reads)
            if not used and ERROR not in reads:
                continue
        kept.insert(0, stage)
        fields = read(stage)
        reads = None if fields is None or reads is None else reads | fields
    return kept
