"""Operations on reports for auditors: which there are, making one, signing one off."""

from __future__ import annotations

import asyncio
from typing import Annotated, Final

from fastapi import Path, Response

from loglease.access.reports import require_may_report, sign_report
from loglease.audit.report.asking import MAX_SEED, Asked, moment_of
from loglease.audit.report.catalogue import KINDS
from loglease.audit.report.pages import page_of
from loglease.audit.report.sheets import sheets_of
from loglease.model.ids import EntryId
from loglease.server import reporting
from loglease.server.api import report_resources as p
from loglease.server.api.calls import CallerOf, OnceOf, ServicesOf
from loglease.server.api.operations import Routes
from loglease.server.report_folders import archived
from loglease.server.services import Services

routes = Routes("audit")

_SEED_BYTES: Final = 8
_ENDINGS: Final = {p.ReportForm.FOLDER: "zip"}
_TEXT: Final = {"type": "string"}
_FORMS: Final = {"text/csv": _TEXT, "text/html": _TEXT, "application/zip": {"type": "string", "format": "binary"}}


@routes.get("/audit/reports", answers=p.ReportKindsShown)
async def list_reports(caller: CallerOf, services: ServicesOf) -> p.ReportKindsShown:
    """List the reports that can be made."""
    require_may_report(caller)
    return p.ReportKindsShown(
        items=[
            p.ReportKindShown(
                name=kind.name,
                text=kind.text,
                main=kind.main,
                of_grant=kind.of_grant,
                helps_with=dict(kind.helps_with),
            )
            for kind in KINDS.values()
        ],
        size=await services.store.read(lambda tx: tx.entries.size()),
    )


@routes.post("/audit/reports/{report}", answers=p.ReportShown, problems=("not_found", "report_too_large"), forms=_FORMS)
async def make_report(
    report: Annotated[str, Path(pattern="^[a-z][a-z-]{1,40}$")],
    body: p.ReportBody,
    caller: CallerOf,
    services: ServicesOf,
) -> Response:
    """Make a report of the log as it is now; that it was made is on the record before it is answered."""
    done = await reporting.made(services, caller, _asked(report, body, services))
    content = await _in_form(services, done, body.format)
    await reporting.recorded(services, caller, done)
    name = f"loglease-{report}-{done.report.id}.{_ENDINGS.get(body.format, body.format)}"
    headers = {
        "content-disposition": f'attachment; filename="{name}"',
        "content-security-policy": "sandbox",
        "loglease-entry": done.report.id,
    }
    return Response(content, media_type=p.MEDIA_TYPES[body.format], headers=headers)


def _asked(report: str, body: p.ReportBody, services: Services) -> Asked:
    """Return the question; without an end it is about all until now, and a sample without a seed gets one."""
    seed = body.seed
    if body.sample is not None and seed is None:
        seed = int.from_bytes(services.random(_SEED_BYTES)) & MAX_SEED
    return Asked(
        report=report,
        from_at=None if body.from_at is None else moment_of(body.from_at, field_name="from_at"),
        to_at=services.clock.now() if body.to_at is None else moment_of(body.to_at, field_name="to_at"),
        sample=body.sample,
        seed=seed,
        grant=body.grant,
    )


async def _in_form(services: Services, done: reporting.Made, form: p.ReportForm) -> bytes:
    match form:
        case p.ReportForm.JSON:
            return done.content
        case p.ReportForm.CSV:
            return await asyncio.to_thread(sheets_of, done.report)
        case p.ReportForm.HTML:
            return await asyncio.to_thread(page_of, done.report)
        case p.ReportForm.FOLDER:
            return await archived(done, store=services.store, publishing=services.publishing)


@routes.post(
    "/audit/reports/{entry_id}/sign",
    answers=p.SignedShown,
    status=201,
    creates=True,
    problems=("not_found", "reason_required", "reviewer_not_human", "step_up_required"),
)
async def sign_made_report(
    entry_id: Annotated[str, Path(pattern=p.id_pattern("ent"))],
    body: p.SignBody,
    caller: CallerOf,
    services: ServicesOf,
    once: OnceOf,
) -> p.SignedShown:
    """Sign off a report that was made, or object to it."""
    signed = await sign_report(
        EntryId(entry_id),
        verdict=body.verdict,
        comment=body.comment,
        caller=caller,
        log=services.log,
        new_id=services.new_id,
        random=services.random,
        once=once,
    )
    return p.SignedShown(id=signed, report=entry_id, verdict=body.verdict)
