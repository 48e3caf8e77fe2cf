"""What clients send and get about reports for auditors."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Any, Final, Literal

from pydantic import Field

from loglease.audit.report.asking import MAX_SAMPLE, MAX_SEED
from loglease.server.api.fields import At, Body, Count, GrantIdText, Reason, Resource, id_pattern

EntryIdText = Annotated[str, Field(pattern=id_pattern("ent"), examples=["ent_01JDC8Z0M4T9YV2K3R5W7X8Q4M"])]
Bound = Annotated[
    str,
    Field(
        min_length=10,
        max_length=40,
        description="A date, which is its first instant in UTC, or RFC 3339.",
        examples=["2026-01-01", "2026-11-23T09:40:00Z"],
    ),
]


class ReportForm(StrEnum):
    """In which form a report comes."""

    JSON = "json"
    CSV = "csv"
    HTML = "html"
    FOLDER = "folder"


FormName = Annotated[
    ReportForm, Field(strict=False, description="`folder` is a ZIP file with all forms, entries, proofs, a signature.")
]
MEDIA_TYPES: Final = {
    ReportForm.JSON: "application/json",
    ReportForm.CSV: "text/csv",
    ReportForm.HTML: "text/html",
    ReportForm.FOLDER: "application/zip",
}


class ReportBody(Body):
    """Which time a report is about, which sample, in which form; nothing in it takes all of the log."""

    from_at: Bound | None = None
    to_at: Bound | None = None
    sample: Annotated[int, Field(ge=1, le=MAX_SAMPLE)] | None = None
    seed: Annotated[int, Field(ge=0, le=MAX_SEED)] | None = None
    grant: GrantIdText | None = None
    format: FormName = ReportForm.JSON


class SignBody(Body):
    """What somebody says of a report that they looked through."""

    verdict: Literal["accepted", "objected"]
    comment: Reason = ""


class SignedShown(Resource):
    """A sign-off: the entry that records it, and the report that it is about."""

    id: EntryIdText
    report: EntryIdText
    verdict: str


class ReportKindShown(Resource):
    """One report that can be asked for.

    `main` is the table that samples are drawn from; `of_grant` says that a grant has to be named.
    """

    name: str
    text: str
    main: str | None = None
    of_grant: bool
    helps_with: Annotated[dict[str, str], Field(description="Parts of frameworks, as help; never a claim.")]


class ReportKindsShown(Resource):
    """All reports, and how many entries the log has by now."""

    items: list[ReportKindShown]
    size: Count


class FactShown(Resource):
    """One line of a summary."""

    name: str
    text: str
    form: str
    value: Any = None
    value_name: Any = None


class ColumnShown(Resource):
    """One column of a table, and how its values are to be read."""

    name: str
    form: str


class TableShown(Resource):
    """A table; each row is an object by column, with the indices of its `entries`."""

    name: str
    title: str
    columns: list[ColumnShown]
    rows: list[dict[str, Any]]


class ReportShown(Resource):
    """A report as JSON. The log has the digest of exactly these bytes, in the entry `id`."""

    format: int
    id: EntryIdText
    report: str
    text: str
    made_at: At
    made_by: str
    made_by_name: str
    from_at: At | None = None
    to_at: At
    grant: GrantIdText | None = None
    log: dict[str, Any]
    frameworks: dict[str, str]
    frameworks_named: dict[str, str]
    sample: dict[str, Any] | None = None
    notes: list[str]
    summary: list[FactShown]
    tables: list[TableShown]
    unknown: list[str]
    evidence: list[int]
