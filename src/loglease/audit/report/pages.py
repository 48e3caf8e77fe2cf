"""Reports as one HTML page that prints well and asks nothing of the network.

SECURITY: every text is escaped by `markupsafe`; the page allows no script, no image and no address. Proven in
`tests/audit/report/test_pages.py`.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable
from typing import Final

from markupsafe import Markup, escape

from loglease.audit.report.catalogue import FRAMEWORKS, NO_CLAIM
from loglease.audit.report.documents import NAMES_NOTE, Report
from loglease.audit.report.sampling import METHOD
from loglease.audit.report.sheets import MOST_ENTRIES
from loglease.audit.report.tables import Cell, Column, Fact, Form, Table, texts_of
from loglease.model.instant import Instant, duration_text, instant_text
from loglease.model.unsafe_text import visible

_STYLE: Final = """
body { font: 14px/1.45 system-ui, sans-serif; color: #1a1a1a; background: #fff; margin: 2rem; }
h1 { font-size: 1.6rem; margin: 0 0 .3rem; }
h2 { font-size: 1.1rem; margin: 2rem 0 .5rem; }
p, ul { max-width: 60rem; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .2rem 1rem; max-width: 60rem; }
dt { color: #555; } dd { margin: 0; overflow-wrap: anywhere; }
table { border-collapse: collapse; font-size: 12px; width: 100%; }
caption { text-align: left; color: #555; padding-bottom: .3rem; }
th, td { border: 1px solid #bbb; padding: .2rem .4rem; text-align: left; vertical-align: top; }
td.long { overflow-wrap: anywhere; }
td.time, td.number { white-space: nowrap; }
th { background: #f0f0f0; }
td.number { text-align: right; font-variant-numeric: tabular-nums; }
.dim { color: #666; font-size: 11px; }
.sign { margin-top: 3rem; display: grid; grid-template-columns: 1fr 1fr 1fr; gap: 2rem; max-width: 60rem; }
.sign div { border-top: 1px solid #333; padding-top: .2rem; }
@media print {
  @page { size: A4 landscape; margin: 12mm; }
  body { margin: 0; font-size: 10px; }
  table { font-size: 8.5px; }
  thead { display: table-header-group; }
  tr { break-inside: avoid; }
  h2 { break-after: avoid; }
}
"""
_STYLE_DIGEST: Final = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()
_POLICY: Final = f"default-src 'none'; style-src 'sha256-{_STYLE_DIGEST}'; base-uri 'none'; form-action 'none'"
_LONG: Final = 24
"""Characters of a word that would make its column too wide."""
_NUMBERS: Final = (Form.NUMBER, Form.SECONDS, Form.MILLISECONDS)


def page_of(report: Report) -> bytes:
    """Return a report as a page."""
    title = f"{report.kind.name}: {_span(report)}"
    parts = [
        Markup('<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'),
        Markup('<meta http-equiv="Content-Security-Policy" content="{}">\n').format(_POLICY),
        Markup('<meta name="viewport" content="width=device-width">\n<title>{}</title>\n').format(_visible(title)),
        Markup("<style>") + Markup(_STYLE) + Markup("</style>\n</head>\n<body>\n"),  # noqa: S704 - ours, a constant
        Markup("<h1>Report: {}</h1>\n<p>{}</p>\n").format(report.kind.name, report.kind.text),
        _definitions(_about(report)),
        Markup("<h2>Summary</h2>\n"),
        _definitions((fact.text, _value(report, fact)) for fact in report.result.found.summary),
        *(_table(report, table) for table in report.result.found.tables),
        Markup("<h2>What this report cannot know</h2>\n"),
        _list(report.result.found.unknown),
        Markup("<h2>How to read it</h2>\n"),
        _list((NAMES_NOTE, NO_CLAIM, _framework_words(report))),
        Markup('<div class="sign"><div>Name</div><div>Date</div><div>Signature</div></div>\n</body>\n</html>\n'),
    ]
    return Markup("").join(parts).encode()


def _about(report: Report) -> Iterable[tuple[str, str]]:
    beside, drawn = report.beside, report.result.drawn
    yield "Time", _span(report)
    yield "Made", f"{_time(report.made_at)} by {report.name_of(report.made_by)} ({report.made_by})"
    yield "Entry", report.id
    yield "Log", f"{beside.origin}, {beside.size:,} entries"
    if beside.head is not None:
        yield "Signed checkpoint", f"size {beside.head.size:,}, root {beside.head.root.hex()}"
    if report.asked.grant is not None:
        yield "Grant", report.asked.grant
    if drawn is not None:
        yield "Sample", f"{drawn.size} of {drawn.of} rows of {drawn.table}, seed {drawn.seed}. {METHOD}"


def _span(report: Report) -> str:
    start = report.asked.from_at
    return f"{'beginning' if start is None else _time(start)} to {_time(report.asked.to_at)}"


def _time(instant: int) -> str:
    return f"{instant_text(Instant(instant))[:19].replace('T', ' ')} UTC"


def _framework_words(report: Report) -> str:
    return "; ".join(f"{FRAMEWORKS[name]}: {parts}" for name, parts in report.kind.helps_with.items())


def _definitions(pairs: Iterable[tuple[str, str]]) -> Markup:
    rows = Markup("").join(
        Markup("<dt>{}</dt><dd>{}</dd>\n").format(_visible(name), _visible(value)) for name, value in pairs
    )
    return Markup("<dl>\n{}</dl>\n").format(rows)


def _list(texts: Iterable[str]) -> Markup:
    return Markup("<ul>\n{}</ul>\n").format(
        Markup("").join(Markup("<li>{}</li>\n").format(_visible(text)) for text in texts)
    )


def _value(report: Report, fact: Fact) -> str:
    if fact.value is None:
        return "–"
    named = report.named(fact.form, fact.value) if fact.form in (Form.SUBJECT, Form.SUBJECTS) else fact.value
    return _words(fact.form, named)


def _table(report: Report, table: Table) -> Markup:
    columns = table.layout.columns
    heads = Markup("").join(Markup('<th scope="col">{}</th>').format(_heading(column)) for column in columns)
    body = Markup("").join(
        Markup('<tr>{}<td class="dim">{}</td></tr>\n').format(
            Markup("").join(_cell(report, column.form, cell) for column, cell in zip(columns, row.cells, strict=True)),
            _indices(row.entries),
        )
        for row in table.rows
    )
    heading = Markup("<h2>{}</h2>\n").format(table.layout.title)
    if not table.rows:
        return heading + Markup("<p>None.</p>\n")
    return heading + Markup(
        '<table>\n<caption>{}: {} rows</caption>\n<thead><tr>{}<th scope="col">entries</th></tr></thead>\n<tbody>\n{}'
        "</tbody>\n</table>\n"
    ).format(table.layout.name, len(table.rows), heads, body)


def _heading(column: Column) -> str:
    return column.name.removesuffix("_at").removesuffix("_s").removesuffix("_ms").replace("_", " ")


def _cell(report: Report, form: Form, cell: Cell) -> Markup:
    """Return a cell; people with their names, and their subjects below, as entries have them."""
    if form in (Form.SUBJECT, Form.SUBJECTS):
        people = (
            Markup('<div>{}</div><div class="dim">{}</div>').format(_visible(report.name_of(one)), _visible(one))
            for one in texts_of(cell)
        )
        return Markup("<td>{}</td>").format(Markup("").join(people))
    text = _words(form, cell)
    return Markup('<td class="{}">{}</td>').format(_class(form, text), _visible(text))


def _class(form: Form, text: str) -> str:
    if form is Form.TIME:
        return "time"
    if form in _NUMBERS:
        return "number"
    return "long" if len(text) > _LONG else "short"


def _words(form: Form, cell: Cell) -> str:
    match cell:
        case None:
            return ""
        case bool():
            return "yes" if cell else "no"
        case int() if form is Form.SECONDS:
            return duration_text(cell) if cell >= 0 else f"{cell} s"
        case int() if form is Form.MILLISECONDS:
            return f"{cell:,} ms"
        case int() if form is Form.TIME:
            return _time(cell)
        case int():
            return f"{cell:,}"
        case str():
            return cell
        case _:
            return ", ".join(cell)


def _indices(indices: tuple[int, ...]) -> str:
    shown = " ".join(f"#{index}" for index in indices[:MOST_ENTRIES])
    return f"{shown} and {len(indices) - MOST_ENTRIES} more" if len(indices) > MOST_ENTRIES else shown


def _visible(text: str) -> Markup:
    """Escape a text for the page, and show what would hide or reorder others."""
    return escape(visible(text))
