"""The goals of redaction, what was measured, and the table of both."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Row:
    """One goal: `must` is what fails the run, `target` what is aimed at; both are upper bounds where `is_most`."""

    goal: str
    what: str
    measured: float
    must: float
    target: float
    is_most: bool = False
    unit: str = ""

    @property
    def verdict(self) -> str:
        """Return how the measured figure stands to the goal."""
        return "target" if self._holds(self.target) else "must" if self._holds(self.must) else "MISSED"

    def _holds(self, bound: float) -> bool:
        return self.measured <= bound if self.is_most else self.measured >= bound

    def shown(self) -> str:
        """Return its line in the table."""
        measured, must, target = (_number(one, self.unit) for one in (self.measured, self.must, self.target))
        side = "≤" if self.is_most else "≥"
        return f"{self.goal:4} {self.what:60} {measured:>10} {side} {must:>8} {target:>8}  {self.verdict}"

    def figures(self) -> dict[str, Any]:
        """Return it for the line of JSON."""
        return {"measured": self.measured, "must": self.must, "target": self.target, "verdict": self.verdict}


def _number(value: float, unit: str) -> str:
    if unit == "%":
        return f"{value * 100:.3g} %"
    return f"{value:.4g}{unit and ' ' + unit}"


def missed(rows: Sequence[Row]) -> list[Row]:
    """Return the rows of which not even the must holds."""
    return [row for row in rows if row.verdict == "MISSED"]


def table(rows: Sequence[Row]) -> str:
    """Return the table."""
    head = f"{'':4} {'goal':60} {'measured':>10}   {'must':>8} {'target':>8}"
    return "\n".join([head, *(row.shown() for row in rows)])
