"""Reports as CSV, for people who will open them in a spreadsheet.

SECURITY: text that a spreadsheet would take for a formula gets an apostrophe in front, and characters that hide or
reorder text become visible escapes. Numbers are written as numbers. Proven in `tests/audit/report/test_sheets.py`.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from typing import Final

from loglease.audit.report.documents import Report
from loglease.audit.report.tables import Cell, Form, Table
from loglease.model.instant import instant_text
from loglease.model.unsafe_text import visible

MOST_ENTRIES: Final = 100
"""Most indices in one field; a spreadsheet cuts long ones. The JSON has all of them."""
# A spreadsheet reads the wide forms as it reads the narrow ones.
_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")
_BETWEEN: Final = "; "


def sheet_of(report: Report, table: Table) -> bytes:
    """Return one table as CSV, with a header; RFC 4180, UTF-8."""
    return _written(_lines(report, table))


def sheets_of(report: Report) -> bytes:
    """Return the whole report as CSV: its facts, then each table under its name, with empty lines between."""
    return _written(_all(report))


def field_of(cell: Cell) -> str:
    """Return a value as a field of CSV that no spreadsheet computes."""
    match cell:
        case None:
            return ""
        case bool():
            return "true" if cell else "false"
        case int():
            return str(cell)
        case str():
            return _text(cell)
        case _:
            return _text(_BETWEEN.join(cell))


def _text(text: str) -> str:
    # Before escapes: what looks like a harmless letter afterwards may have been a formula for whoever undoes them.
    risky = text.lstrip(" ").startswith(_FORMULA)
    return f"'{visible(text)}" if risky else visible(text)


def _written(lines: Iterator[list[str]]) -> bytes:
    out = io.StringIO(newline="")
    csv.writer(out, lineterminator="\r\n").writerows(lines)
    return out.getvalue().encode()


def _all(report: Report) -> Iterator[list[str]]:
    asked, drawn = report.asked, report.result.drawn
    yield ["report", report.kind.name]
    yield ["id", report.id]
    yield ["made_at", instant_text(report.made_at)]
    yield ["from_at", "" if asked.from_at is None else instant_text(asked.from_at)]
    yield ["to_at", instant_text(asked.to_at)]
    yield ["log", field_of(report.beside.origin)]
    if drawn is not None:
        yield ["sample", f"{drawn.size} of {drawn.of} rows of {drawn.table}", "seed", str(drawn.seed)]
    yield []
    yield ["fact", "value", "meaning"]
    for fact in report.result.found.summary:
        value = report.shown(fact.form, fact.value)
        if fact.form in (Form.SUBJECT, Form.SUBJECTS):
            value = report.named(fact.form, fact.value)
        yield [fact.name, field_of(value), field_of(fact.text)]
    for table in report.result.found.tables:
        yield []
        yield ["table", table.layout.name, table.layout.title]
        yield from _lines(report, table)
    yield []
    for text in report.result.found.unknown:
        yield ["unknown", field_of(text)]


def _lines(report: Report, table: Table) -> Iterator[list[str]]:
    yield [*(column.name for column in report.columns(table)), "entries"]
    for row in table.rows:
        yield [*map(field_of, report.cells(table, row)), _entries(row.entries)]


def _entries(indices: tuple[int, ...]) -> str:
    shown = " ".join(map(str, indices[:MOST_ENTRIES]))
    return f"{shown} and {len(indices) - MOST_ENTRIES} more" if len(indices) > MOST_ENTRIES else shown
