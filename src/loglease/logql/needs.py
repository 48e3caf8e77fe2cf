"""Which labels each stage of a query reads, and so which parsers are needed for which labels.

A parser whose labels nothing behind it reads is not run, and so raises no error either.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from collections.abc import Set as AbstractSet
from typing import Final

from loglease.logql.entry import ERROR, ERROR_DETAILS, EXTENSION
from loglease.logql.expressions import within_line
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
    PatternParser,
    RegexpParser,
    Renaming,
    Stage,
)
from loglease.logql.templates import Template

Names = AbstractSet[str] | None
"""Names of labels, the error's among them; None for all."""

_PARSERS: Final = (JsonParser, LogfmtParser, RegexpParser, PatternParser)


def read_behind(stages: Sequence[Stage], wanted: Names) -> list[Names]:
    """Return for each stage the names of the labels that what stands behind it reads.

    Args:
        wanted: those that count behind all stages.
    """
    behind: list[Names] = []
    for stage in reversed(stages):
        behind.append(wanted)
        if wanted is not None and is_needed(stage, wanted):
            names = names_read(stage)
            wanted = None if names is None else wanted | names
    return behind[::-1]


def is_needed(stage: Stage, behind: Names) -> bool:
    """Say whether a stage has to run if what stands behind it reads these labels."""
    if behind is None or not isinstance(stage, _PARSERS) or ERROR in behind:
        return True
    written = _written(stage)
    return not behind.isdisjoint(written) if written else bool(behind)


def parsed_names(behind: Names) -> frozenset[str] | None:
    """Return the names that a parser has to look for so that it makes these labels; None for all."""
    return (
        None if behind is None else frozenset(part for name in behind for part in (name, name.removesuffix(EXTENSION)))
    )


def filter_reads(test: LabelFilter) -> Iterator[str]:
    """Yield what a label filter depends on: all but those on text depend on whether there is an error."""
    if isinstance(test, (BothFilters, EitherFilter)):
        yield from filter_reads(test.left)
        yield from filter_reads(test.right)
        return
    yield test.name
    if not isinstance(test, LabelTest) or test.name == ERROR_DETAILS:
        yield ERROR


def names_read(stage: Stage) -> Names:
    """Return the names of the labels that a stage reads."""
    match stage:
        case LabelFilterStage(test):
            return frozenset(filter_reads(test))
        case LineFormat(template):
            return _in_templates([template])
        case LabelFormat(sets):
            sources = {one.source for one in sets if isinstance(one, Renaming)}
            fields = _in_templates(one.template for one in sets if not isinstance(one, Renaming))
            return None if fields is None else sources | fields
        case Drop(tests) | Keep(tests):
            return {name for one in tests if isinstance(one, LabelTest) for name in filter_reads(one)}
    return frozenset()


def _in_templates(templates: Iterable[str]) -> Names:
    fields = frozenset[str | None]().union(*(Template(one).labels for one in templates))
    return None if None in fields else {name for name in fields if name is not None}


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
