"""The few values of a type that make a difference to conditions: the literals, their neighbours, something else."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from loglease.policy.conditions.comparing import Compared
from loglease.policy.conditions.compiling import Path
from loglease.policy.conditions.types import Bool, Duration, Field, Int, Listed, Record, Text, Type
from loglease.policy.conditions.values import ABSENT, LEAST, LONGEST_DURATION, MOST, Scalar, Value

MAX_ITEMS: Final = 8
"""Of a list with more items that make a difference, not all combinations are given."""
MAX_RECORDS: Final = 1_000
"""Of a record with more combinations of its fields, fields vary one at a time."""
_ELSE: Final = "other"

Span = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Distinct:
    """Values of one path.

    Attributes:
        values: at least one.
        is_all: any other value makes no condition say anything that one of these does not make it say.
    """

    values: tuple[Value, ...]
    is_all: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Telling:
    """Finds values for some conditions.

    Attributes:
        found: what they compare.
        reads: the paths that they read.
        spans: the least and the greatest number of a path, where its type allows more.
        never_empty: paths of lists that have an item.
    """

    found: Compared
    reads: frozenset[Path]
    spans: Mapping[Path, Span] = field(default_factory=dict)
    never_empty: frozenset[Path] = frozenset()

    def values(self, path: Path, kind: Type) -> Distinct:
        """Return the values of a path that make a difference, absence and faults aside."""
        if isinstance(kind, Record):
            return self._records(path, kind)
        is_all = path not in self.found.unclear
        literals = self.found.literals.get(path, frozenset())
        if isinstance(kind, Listed):
            found = _lists(_plain(kind.of, literals, self.spans.get(path)), kind.most, path in self.never_empty)
            return Distinct(found.values, is_all and found.is_all)
        return Distinct(_plain(kind, literals, self.spans.get(path)), is_all)

    def field(self, path: Path, field: Field) -> Distinct:
        """Return the same of a member that may be absent."""
        found = self.values(path, field.type)
        return Distinct((*found.values, ABSENT), found.is_all) if field.optional else found

    def _records(self, path: Path, kind: Record) -> Distinct:
        """Combine what the fields may be; one that nobody reads is absent, or has any value."""
        fields = {name: self.field((*path, name), field) for name, field in kind.fields.items()}
        read = [name for name in fields if (*path, name) in self.reads]
        usual: dict[str, Value] = {name: found.values[-1] for name, found in fields.items()}
        is_all = all(fields[name].is_all for name in read)
        if math.prod(len(fields[name].values) for name in read) > MAX_RECORDS:
            singles = ({**usual, name: value} for name in read for value in fields[name].values)
            return Distinct(tuple(singles), is_all=False)
        combined = itertools.product(*(fields[name].values for name in read))
        return Distinct(tuple({**usual, **dict(zip(read, chosen, strict=True))} for chosen in combined), is_all)


def _plain(kind: Bool | Int | Duration | Text, literals: Iterable[Scalar], span: Span | None) -> tuple[Scalar, ...]:
    match kind:
        case Bool():
            return (False, True)
        case Text():
            return _words(kind, sorted(map(str, literals)))
        case _:
            least, most = span or ((0, LONGEST_DURATION) if isinstance(kind, Duration) else (LEAST, MOST))
            near = {int(one) + step for one in literals for step in (-1, 0, 1)} or {0}
            return tuple(sorted({min(most, max(least, number)) for number in near}))


def _words(kind: Text, named: Sequence[str]) -> tuple[str, ...]:
    """Return the words that are named, and one that stands for all others."""
    if kind.words is None:
        short = [word for word in named if len(word) <= kind.longest]
        return (*short, something_else(short, kind.longest))
    others = sorted(kind.words.difference(named))
    return (*(word for word in named if word in kind.words), *others[:1])


def something_else(named: Sequence[str], longest: int = len(_ELSE)) -> str:
    """Return a text that is none of some others."""
    if _ELSE not in named and len(_ELSE) <= longest:
        return _ELSE
    letters = (chr(ord("à") + number) for number in range(len(named) + 1))
    return next(one for one in letters if one not in named)


def _lists(items: Sequence[Scalar], most: int, never_empty: bool) -> Distinct:  # noqa: FBT001 - private
    sizes = range(int(never_empty), min(most, len(items)) + 1)
    is_all = len(items) <= MAX_ITEMS
    if not is_all:
        sizes = range(sizes.start, min(sizes.stop, 2))
    chosen = [one for size in sizes for one in itertools.combinations(items, size)]
    return Distinct(tuple(chosen if is_all else [*chosen, tuple(items[:most])]), is_all)
