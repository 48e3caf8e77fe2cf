"""What conditions of a bundle may find when they are asked: for each thing that they read, what makes a difference."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final, Protocol

from loglease.policy.bundle import Bundle
from loglease.policy.conditions import Fault, Field, Listed, Record, Text
from loglease.policy.conditions.comparing import compared
from loglease.policy.conditions.compiling import Path
from loglease.policy.conditions.distinct import Span, Telling
from loglease.policy.conditions.syntax import Expression
from loglease.policy.conditions.values import Value
from loglease.policy.roots import MAX_RISK, RISK

OUT: Final = Fault("it cannot be had")
_LABELS: Final = ("req", "labels")
_FAULTY_ROOTS: Final = frozenset({"ctx", "approver", "ask"})
_FAULTY: Final = frozenset({("req", "duration"), ("req", "lookback"), ("req", "redaction"), ("who", "id")})
_SURE: Final = frozenset({("ctx", RISK)})


class Reads(Protocol):
    """A condition, or a leaf of one."""

    @property
    def tree(self) -> Expression:
        """Its syntax."""
        ...

    @property
    def reads(self) -> frozenset[Path]:
        """The paths that it reads."""
        ...


@dataclass(frozen=True, slots=True)
class Space:
    """For each member of a root what it may be, an outage included, if these make all the difference."""

    values: Mapping[Path, tuple[Value, ...]]
    unclear: frozenset[Path]

    @property
    def is_all(self) -> bool:
        """Whether nothing else makes a difference."""
        return not self.unclear


def spans_of(bundle: Bundle) -> dict[Path, Span]:
    """Return the numbers that facts of a bundle can have, where it says so."""
    spans: dict[Path, Span] = {
        tuple(name.split(".")): rule.span for name, rule in bundle.facts.items() if rule.span is not None
    }
    if bundle.risk:
        spans["ctx", RISK] = (0, min(MAX_RISK, sum(term.add for term in bundle.risk)))
    return spans


def space_of(
    conditions: Iterable[Reads], schema: Record, spans: Mapping[Path, Span], *, with_faults: bool = True
) -> Space:
    """Return what conditions may find.

    Args:
        conditions: with all that they read.
        schema: what they were compiled for.
        spans: see `spans_of`.
        with_faults: also that something cannot be had.
    """
    asked = list(conditions)
    reads = frozenset[Path]().union(*(one.reads for one in asked))
    lists = frozenset(path for path in reads if path[0] == "req")
    telling = Telling(found=compared(one.tree for one in asked), reads=reads, spans=spans, never_empty=lists)
    values: dict[Path, tuple[Value, ...]] = {}
    unclear = set()
    for path in sorted({member_of(path) for path in reads}):
        member = _member(path, schema)
        found = telling.field(path, member)
        faults = (OUT,) if with_faults and _may_fail(path, member) else ()
        values[path] = (*found.values, *faults)
        unclear |= set() if found.is_all else {path}
    return Space(values, frozenset(unclear))


def member_of(path: Path) -> Path:
    """Return the part of a path that has a value of its own: a fact, an input, a label, a calendar."""
    return path[: 3 if path[:2] == _LABELS else 2]


def _member(path: Path, schema: Record) -> Field:
    found = Field(schema)
    for name in path:
        if not isinstance(found.type, Record):
            raise TypeError(f"{'.'.join(path)} leads into what is no record")
        found = found.type.fields[name]
    return found


def _may_fail(path: Path, member: Field) -> bool:
    if path in _SURE:
        return False
    is_open = isinstance(member.type, Listed) and isinstance(member.type.of, Text) and member.type.of.words is None
    return path[0] in _FAULTY_ROOTS or path in _FAULTY or (path[:2] == _LABELS and is_open)
