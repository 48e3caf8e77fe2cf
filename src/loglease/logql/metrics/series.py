"""Series: label sets with numbers, and the vectors that they form at one point in time."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from loglease.logql.syntax import Grouping

Series = tuple[tuple[str, str], ...]
"""Labels in ascending order of their names, none of them empty."""

Vector = dict[Series, float]
"""The numbers of series at one point in time."""


def series_of(labels: Mapping[str, str]) -> Series:
    """Return a label set as a series; empty labels are none."""
    return tuple(sorted((name, value) for name, value in labels.items() if value))


def grouped(labels: Iterable[tuple[str, str]], grouping: Grouping | None) -> Series:
    """Return the labels that a grouping leaves; without any grouping, none."""
    if grouping is None:
        return ()
    return tuple((name, value) for name, value in labels if (name in grouping.names) is not grouping.without)
