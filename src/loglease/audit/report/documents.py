"""A finished report, and its exact bytes as JSON: what `report.made` names by its digest."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import orjson

from loglease.audit.interface import SYSTEM
from loglease.audit.report.asking import Asked, Beside
from loglease.audit.report.catalogue import FRAMEWORKS, NO_CLAIM, Kind
from loglease.audit.report.making import Result
from loglease.audit.report.sampling import METHOD
from loglease.audit.report.tables import Cell, Column, Fact, Form, Row, Table, texts_of
from loglease.model.instant import Instant, instant_text
from loglease.model.unsafe_text import escaped_json

FORMAT: Final = 1
"""The version of the JSON; it rises when a key changes its meaning or goes away."""
NAME_SUFFIX: Final = "_name"
ERASED: Final = "erased"
UNKNOWN: Final = "unknown"
NAMES_NOTE: Final = (
    "Entries name people by subjects (sub_…). Names beside them are those of the moment when the report was made; "
    f"who was erased is called {ERASED}."
)
_NAMED: Final = (Form.SUBJECT, Form.SUBJECTS)


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """A report as it leaves.

    Attributes:
        id: that of the entry `report.made` about it; sign-offs name it.
        made_by: subject of whoever asked for it.
        names: what people are called now, by subject.
    """

    id: str
    kind: Kind
    asked: Asked
    beside: Beside
    made_at: Instant
    made_by: str
    result: Result
    names: Mapping[str, str]

    def name_of(self, subject: str) -> str:
        """Return what somebody is called now."""
        return SYSTEM if subject == SYSTEM else self.names.get(subject, UNKNOWN)

    def shown(self, form: Form, cell: Cell) -> Cell:
        """Return a value as people and programs read it: times as text."""
        if form is Form.TIME and isinstance(cell, int):
            return instant_text(Instant(cell))
        return cell

    def named(self, form: Form, cell: Cell) -> Cell:
        """Return the names for a cell with subjects, in the same shape."""
        names = tuple(self.name_of(one) for one in texts_of(cell))
        return names if form is Form.SUBJECTS else (names[0] if names else None)

    def columns(self, table: Table) -> tuple[Column, ...]:
        """Return the columns of a table with one of names behind each of subjects."""
        found: list[Column] = []
        for column in table.layout.columns:
            found.append(column)
            if column.form in _NAMED:
                form = Form.TEXTS if column.form is Form.SUBJECTS else Form.TEXT
                found.append(Column(column.name + NAME_SUFFIX, form))
        return tuple(found)

    def cells(self, table: Table, row: Row) -> tuple[Cell, ...]:
        """Return the values of a row for `columns`."""
        found: list[Cell] = []
        for column, cell in zip(table.layout.columns, row.cells, strict=True):
            found.append(self.shown(column.form, cell))
            if column.form in _NAMED:
                found.append(self.named(column.form, cell))
        return tuple(found)


def document_of(report: Report) -> dict[str, Any]:
    """Return a report as a JSON object; what is not known is left out, never null."""
    asked, beside, drawn = report.asked, report.beside, report.result.drawn
    head = beside.head
    found = {
        "format": FORMAT,
        "id": report.id,
        "report": report.kind.name,
        "text": report.kind.text,
        "made_at": instant_text(report.made_at),
        "made_by": report.made_by,
        "made_by_name": report.name_of(report.made_by),
        "from_at": None if asked.from_at is None else instant_text(asked.from_at),
        "to_at": instant_text(asked.to_at),
        "grant": asked.grant,
        "log": {
            "origin": beside.origin,
            "min_index": beside.first,
            "size": beside.size,
            **({} if head is None else {"checkpoint": {"size": head.size, "root_hex": head.root.hex()}}),
        },
        "frameworks": dict(report.kind.helps_with),
        "frameworks_named": dict(FRAMEWORKS),
        "sample": None
        if drawn is None
        else {"table": drawn.table, "size": drawn.size, "of": drawn.of, "seed": drawn.seed, "method": METHOD},
        "notes": [NO_CLAIM, NAMES_NOTE],
        "summary": [_fact(report, one) for one in report.result.found.summary],
        "tables": [_table(report, one) for one in report.result.found.tables],
        "unknown": list(report.result.found.unknown),
        "evidence": list(report.result.evidence),
    }
    return {name: value for name, value in found.items() if value is not None}


def document_bytes(document: Mapping[str, Any]) -> bytes:
    """Return the exact bytes of a report: indented, keys in a fixed order, so that equal reports are equal files."""
    text = orjson.dumps(
        document, option=orjson.OPT_INDENT_2 | orjson.OPT_SORT_KEYS | orjson.OPT_APPEND_NEWLINE
    ).decode()
    return escaped_json(text).encode()


def _fact(report: Report, fact: Fact) -> dict[str, Any]:
    found: dict[str, Any] = {"name": fact.name, "text": fact.text, "form": str(fact.form)}
    if fact.value is not None:
        found["value"] = report.shown(fact.form, fact.value)
        if fact.form in _NAMED:
            found["value_name"] = report.named(fact.form, fact.value)
    return found


def _table(report: Report, table: Table) -> dict[str, Any]:
    columns = report.columns(table)
    names = [column.name for column in columns]
    rows = []
    for row in table.rows:
        values = zip(names, report.cells(table, row), strict=True)
        rows.append({name: value for name, value in values if value is not None} | {"entries": row.entries})
    return {
        "name": table.layout.name,
        "title": table.layout.title,
        "columns": [{"name": column.name, "form": str(column.form)} for column in columns],
        "rows": rows,
    }
