"""What a report consists of: typed tables whose rows name the entries they come from, facts, and what is unknown."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from loglease.model.errors import LogLeaseError

MAX_ROWS: Final = 200_000
"""Most rows of a report, and most objects that one keeps in memory; beyond that it is refused, never cut."""

Cell = str | int | bool | tuple[str, ...] | None
"""One value; None is written as nothing."""

ENTRIES: Final = "entries"
"""Under this name each row has its evidence, so no column has it."""

_COLUMN: Final = re.compile(r"(?P<name>[a-z][a-z0-9_]*)(?::(?P<form>[a-z_]+))?")


class ReportTooLarge(LogLeaseError):
    """The report would be larger than what may be made at once."""

    code = "report_too_large"


class Form(StrEnum):
    """How the values of a column are to be read.

    Times are instants in microseconds, written as RFC 3339 in UTC; durations are whole seconds or milliseconds.
    """

    TEXT = "text"
    TEXTS = "texts"
    NUMBER = "number"
    TRUTH = "truth"
    TIME = "time"
    SECONDS = "seconds"
    MILLISECONDS = "milliseconds"
    SUBJECT = "subject"
    SUBJECTS = "subjects"


@dataclass(frozen=True, slots=True)
class Column:
    """One column of a table."""

    name: str
    form: Form


@dataclass(frozen=True, slots=True)
class Layout:
    """A table without its rows: name, heading and columns."""

    name: str
    title: str
    columns: tuple[Column, ...]


@dataclass(frozen=True, slots=True)
class Row:
    """One row, with the indices of the entries that it comes from, in ascending order."""

    cells: tuple[Cell, ...]
    entries: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Table:
    """A table with its rows."""

    layout: Layout
    rows: tuple[Row, ...]

    def subjects(self) -> Iterator[str]:
        """Yield the subjects that stand in it."""
        for place, column in enumerate(self.layout.columns):
            if column.form not in (Form.SUBJECT, Form.SUBJECTS):
                continue
            for row in self.rows:
                yield from texts_of(row.cells[place])


@dataclass(frozen=True, slots=True)
class Fact:
    """One line of a summary: a stable name, its value, and what it means in words."""

    name: str
    value: Cell
    text: str
    form: Form = Form.NUMBER


@dataclass(frozen=True, slots=True)
class Found:
    """What one report found.

    Attributes:
        summary: the numbers people look for first.
        unknown: what the report cannot know, a sentence each.
    """

    summary: tuple[Fact, ...]
    tables: tuple[Table, ...]
    unknown: tuple[str, ...] = ()

    def evidence(self) -> tuple[int, ...]:
        """Return the indices of all entries that rows come from, ascending."""
        return tuple(sorted({index for table in self.tables for row in table.rows for index in row.entries}))

    def subjects(self) -> frozenset[str]:
        """Return the subjects that stand in its tables and its summary."""
        named = (fact.value for fact in self.summary if fact.form in (Form.SUBJECT, Form.SUBJECTS))
        return frozenset(
            [
                *(one for table in self.tables for one in table.subjects()),
                *(one for cell in named for one in texts_of(cell)),
            ]
        )


@dataclass(slots=True)
class Rows:
    """Grows the rows of one table; one counter for all tables of a report keeps it within its bound."""

    layout: Layout
    kept: list[Row] = field(default_factory=list)

    def add(self, *cells: Cell, entries: Iterable[int] = ()) -> None:
        """Append a row with a cell for each column.

        Raises:
            ReportTooLarge: there are too many.
        """
        if len(cells) != len(self.layout.columns):
            raise ValueError(f"{self.layout.name} has {len(self.layout.columns)} columns, not {len(cells)}")
        require_room(len(self.kept))
        self.kept.append(Row(cells, tuple(sorted(entries))))

    def table(self) -> Table:
        """Return the table as far as it got."""
        return Table(self.layout, tuple(self.kept))


def require_room(count: int) -> None:
    """Refuse one more than may be kept.

    Raises:
        ReportTooLarge: there are as many as may be.
    """
    if count >= MAX_ROWS:
        raise ReportTooLarge(
            f"The report would keep more than {MAX_ROWS:,} rows or objects.",
            next_step="Ask for less time with --from and --to.",
        )


def layout(name: str, title: str, columns: str) -> Layout:
    """Return a table's layout; columns are written ``name`` or ``name:form``, with commas between.

    Raises:
        ValueError: the text is not of that language.
    """
    found = []
    for part in columns.split(","):
        match = _COLUMN.fullmatch(part.strip())
        if match is None or match["name"] == ENTRIES:
            raise ValueError(f"{part.strip()!r} is no column")
        found.append(Column(match["name"], Form(match["form"] or "text")))
    return Layout(name, title, tuple(found))


def texts_of(cell: Cell) -> Sequence[str]:
    """Return the texts in a cell: none, one or several."""
    if isinstance(cell, tuple):
        return cell
    return (cell,) if isinstance(cell, str) else ()
