"""Budgets of a grant: how much may be read in all, how often, and by how many tails at once."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Final, Self

from loglease.model.errors import InvalidField


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """The limits of a policy, request or grant; None is no limit of that sort.

    Raises:
        InvalidField: a limit is not a positive whole number.
    """

    lines: int | None = None
    bytes: int | None = None
    subjects: int | None = None
    queries: int | None = None
    queries_per_min: int | None = None
    tails: int | None = None

    def __post_init__(self) -> None:
        for name, value in self.named().items():
            if value < 1:
                raise InvalidField(f"The limit on {name} is {value}.", next_step="Limits are 1 or more.")

    def named(self) -> dict[str, int]:
        """Return the limits that are set, by name, in declared order."""
        return {name: value for name in _NAMES if (value := getattr(self, name)) is not None}

    @property
    def is_none(self) -> bool:
        """Whether nothing is limited."""
        return (
            self.lines is None
            and self.bytes is None
            and self.subjects is None
            and self.queries is None
            and self.queries_per_min is None
            and self.tails is None
        )

    def tightest(self, other: Self) -> Limits:
        """Return the smaller of each pair of limits."""
        if other.is_none:
            return self
        theirs = other.named()
        merged = self.named()
        for name, value in theirs.items():
            merged[name] = min(value, merged.get(name, value))
        return Limits(**merged)

    def contains(self, other: Self) -> bool:
        """Say whether `other` limits at least what we limit, at least as tightly."""
        theirs = other.named()
        return all(name in theirs and theirs[name] <= value for name, value in self.named().items())


_NAMES: Final = tuple(field.name for field in fields(Limits))
