"""A report in the making: it sees each entry once, in order, and keeps only what its rows need."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol, runtime_checkable

from loglease.audit.report.asking import Logged
from loglease.audit.report.tables import Found
from loglease.model.instant import Instant, parse_instant


class Fold(Protocol):
    """What every report is: fed with entries, and asked at the end what it found."""

    def add(self, logged: Logged) -> None:
        """Take in the next entry."""

    def found(self) -> Found:
        """Return what was found."""


@runtime_checkable
class TakesBroken(Protocol):
    """A report that also tells of entries that cannot be read; every other one ends at the first of them."""

    def add_broken(self, index: int, content: bytes, leaf: bytes | None, why: str) -> None:
        """Take in an entry that cannot be read, and why."""


@runtime_checkable
class Counts(Protocol):
    """A report that proves that no entry is missing, and reads only some."""

    def count(self, index: int, content: bytes, leaf: bytes | None, *, kind: str, at: Instant) -> None:
        """Take in an entry of which only place, bytes, type and time are wanted."""


def instant_of(data: Mapping[str, Any], name: str) -> Instant | None:
    """Return the time in a field, or None where the field is absent."""
    text = data.get(name)
    return None if text is None else parse_instant(text)


def per_mille(part: int, whole: int) -> int:
    """Return a share in thousandths, rounded down; zero of nothing."""
    return part * 1_000 // whole if whole else 0


def ranked(values: Sequence[int], percent: int) -> int | None:
    """Return a percentile by nearest rank, which is one of the values; None of nothing."""
    if not values:
        return None
    ordered = sorted(values)
    return ordered[max(0, -(-len(ordered) * percent // 100) - 1)]
