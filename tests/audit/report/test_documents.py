"""The forms of a report: JSON that says the same as the tables, CSV that computes nothing, HTML that runs nothing."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator
from html.parser import HTMLParser
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.audit.drafts import drafts
from tests.audit.report.logs import ALICE, BOB, ORIGIN, Log, rows_of

from loglease.audit.checking import LogDamaged
from loglease.audit.entry import entry_bytes, entry_of
from loglease.audit.interface import Draft
from loglease.audit.report import tables as report_tables
from loglease.audit.report.asking import moment_of
from loglease.audit.report.catalogue import FRAMEWORKS, KINDS
from loglease.audit.report.documents import document_bytes, document_of
from loglease.audit.report.making import Making, entry_in, type_in
from loglease.audit.report.pages import page_of
from loglease.audit.report.sheets import field_of, sheet_of, sheets_of
from loglease.audit.report.tables import ReportTooLarge, layout
from loglease.audit.types import ENTRY_TYPES
from loglease.model.errors import InvalidField
from loglease.model.instant import instant_text, parse_instant

HOSTILE = (
    "=1+1",
    "+1",
    "-1",
    "@SUM(A1)",
    "\t=1",
    "\r=1",
    "\n=1",
    " =1",
    "＝1",
    "＋1",
    "－1",
    "＠x",
    '=HYPERLINK("http://x","y")',
)
FORMULA = re.compile(r"[\s]*[=+\-@＝＋－＠\t\r\n]")


def log() -> Log:
    found = Log()
    found.started()
    found.granted("one")
    found.revoked("one")
    return found


@pytest.mark.parametrize("kind", KINDS.values(), ids=lambda kind: kind.name)
def test_every_report_has_every_form(kind: Any) -> None:
    grant = {"grant": "grt_one"} if kind.of_grant else {}
    report = log().report(kind.name, **grant)
    document = orjson.loads(document_bytes(document_of(report)))
    assert document["report"] == kind.name
    assert set(document["frameworks"]) == set(FRAMEWORKS)
    assert document["unknown"], "every report says what it cannot know"
    assert set(document["evidence"]) == {
        index for one in document["tables"] for row in one["rows"] for index in row["entries"]
    }
    for table in document["tables"]:
        names = {column["name"] for column in table["columns"]}
        assert all(set(row) <= names | {"entries"} for row in table["rows"])
    read = list(csv.reader(io.StringIO(sheets_of(report).decode(), newline="")))
    assert [row[1] for row in read if row[:1] == ["table"]] == [one["name"] for one in document["tables"]]
    assert Tags.of(page_of(report)).texts
    if kind.main is not None:
        assert kind.main in [one["name"] for one in document["tables"]]
    assert kind.types is None or kind.types <= set(ENTRY_TYPES)


def test_equal_reports_are_equal_bytes_without_nulls() -> None:
    one, two = (document_bytes(document_of(log().report("population"))) for _ in range(2))
    assert one == two
    assert b"null" not in one


def test_the_document_names_the_log_and_hides_no_character() -> None:
    report = log().report("population", names={ALICE: "a\u202eb", BOB: "Bob"})
    content = document_bytes(document_of(report)).decode()
    assert "\u202e" not in content
    assert "a\\u202eb" in content
    found = orjson.loads(content)
    head = report.beside.head
    assert head is not None
    assert found["log"] == {
        "origin": ORIGIN,
        "min_index": 0,
        "size": head.size,
        "checkpoint": {"size": head.size, "root_hex": head.root.hex()},
    }
    assert rows_of(found, "requests")[0]["requester_name"] == "a\u202eb"


def test_a_sheet_holds_what_the_json_holds() -> None:
    report = log().report("population")
    table = report.result.found.tables[0]
    (row,) = csv.DictReader(io.StringIO(sheet_of(report, table).decode(), newline=""))
    assert row["requester"] == ALICE
    assert row["requester_name"] == "Alice"
    assert row["duration_s"] == "1800"
    assert row["decided_at"] == "2026-11-23T12:01:00.000000Z"
    assert row["sources"] == "files"
    assert row["via"] == ""
    assert row["entries"] == "1 2 3 4 5 6 7"


@pytest.mark.attack("UI-03")
@pytest.mark.parametrize("name", HOSTILE)
def test_a_name_never_becomes_a_formula(name: str) -> None:
    report = log().report("population", names={ALICE: name, BOB: name})
    for line in csv.reader(io.StringIO(sheets_of(report).decode(), newline="")):
        assert not [text for text in line if FORMULA.match(text)], line


@pytest.mark.attack("UI-03")
@given(st.text(max_size=8) | st.lists(st.text(max_size=4)).map(tuple))
def test_no_text_is_a_formula_and_none_hides(cell: str | tuple[str, ...]) -> None:
    found = field_of(cell)
    assert not FORMULA.match(found)
    assert not re.search(r"[\x00-\x1f\u202a-\u202e\u2066-\u2069\u200b]", found)


def test_numbers_stay_numbers() -> None:
    assert [field_of(one) for one in (-5, 0, True, False, None, "x", ())] == ["-5", "0", "true", "false", "", "x", ""]


class Tags(HTMLParser):
    """Reads a page as a browser would."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.texts: list[str] = []

    @classmethod
    def of(cls, page: bytes) -> Tags:
        found = cls()
        found.feed(page.decode())
        return found

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs

    def handle_data(self, data: str) -> None:
        self.texts.append(data)


HOSTILE_NAMES = (
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "</td></table><h1>Approved</h1>",
    "&lt;b&gt;",
    "a\u202etxt.exe",
    "{}{0}{name}",
)


@pytest.mark.attack("UI-01")
@pytest.mark.parametrize("name", HOSTILE_NAMES)
def test_a_name_is_only_text_on_the_page(name: str) -> None:
    plain = Tags.of(page_of(log().report("population")))
    found = Tags.of(page_of(log().report("population", names={ALICE: name, BOB: name})))
    assert found.tags == plain.tags
    assert found.attributes == plain.attributes
    shown = name.replace("\u202e", "\\u{202e}")
    assert any(shown in text for text in found.texts)


def test_the_page_needs_nothing_from_anywhere() -> None:
    page = page_of(log().report("integrity"))
    found = Tags.of(page)
    assert not {"script", "img", "link", "iframe", "object", "base", "form"} & set(found.tags)
    assert not [value for name, value in found.attributes if name in ("src", "href", "style") or name.startswith("on")]
    assert b"url(" not in page
    assert b"@import" not in page
    policy = next(value for name, value in found.attributes if value and "default-src" in value)
    assert policy is not None
    assert "default-src 'none'" in policy
    assert b"@media print" in page


def test_the_style_is_the_one_that_the_page_allows() -> None:
    import base64
    import hashlib

    page = page_of(log().report("integrity")).decode()
    style = page.partition("<style>")[2].partition("</style>")[0]
    assert f"sha256-{base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()}" in page


def test_a_broken_entry_ends_every_report_but_integrity() -> None:
    damaged = log()
    damaged.rows[2] = (2, b"{}", None)
    for name in KINDS.keys() - {"integrity", "dossier"}:
        with pytest.raises(LogDamaged, match="entry 2"):
            Making(damaged.asked(name), damaged.beside()).add(damaged.rows)


def test_a_report_that_is_too_large_is_refused_and_not_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(report_tables, "MAX_ROWS", 2)
    large = Log()
    for name in ("one", "two", "three"):
        large.granted(name)
    with pytest.raises(ReportTooLarge):
        large.document("population")


@pytest.mark.parametrize("columns", ["a b", "entries:number", "a:money", ""])
def test_columns_are_written_in_their_language(columns: str) -> None:
    with pytest.raises(ValueError, match=r"column|Form"):
        layout("x", "x", columns)


def test_a_bound_is_a_date_or_a_time() -> None:
    assert instant_text(moment_of("2026-01-31", field_name="from")) == "2026-01-31T00:00:00.000000Z"
    assert instant_text(moment_of("2026-01-31T10:00:00+02:00", field_name="from")) == "2026-01-31T08:00:00.000000Z"


@pytest.mark.parametrize(
    "text", ["", "yesterday", "2026-13-01", "2026-02-30", "2026-01-01T10:00:00", "2026-01-01T25:00:00Z", "1950-01-01"]
)
def test_anything_else_is_no_bound(text: str) -> None:
    with pytest.raises(InvalidField):
        moment_of(text, field_name="from")


def test_no_two_reports_name_columns_as_evidence() -> None:
    def names() -> Iterator[str]:
        for kind in KINDS.values():
            grant = {"grant": "grt_one"} if kind.of_grant else {}
            for table in log().report(kind.name, **grant).result.found.tables:
                yield from (column.name for column in table.layout.columns)

    assert "entries" not in set(names())


@given(drafts())
def test_the_type_of_an_entry_is_found_without_reading_it(draft: Draft) -> None:
    content = entry_bytes(draft, parse_instant("2026-11-23T12:00:00Z"))
    assert type_in(content) == draft.type
    assert entry_in(content) == entry_of(content)
    assert type_in(b"{}") is None
