"""The operation that exports the audit log."""

from __future__ import annotations

import hashlib
from enum import StrEnum
from typing import Annotated, Final

from fastapi import Query, Request, Response
from fastapi.responses import StreamingResponse

from loglease.access.caller import Caller
from loglease.access.export_log import Exported, record_export
from loglease.audit.checkpoint import Checkpoint
from loglease.audit.export.formats import Format
from loglease.audit.note import SignedNote
from loglease.model.digest import MAX_INTEGER
from loglease.model.errors import InvalidField
from loglease.server.api.audit import require_whole_log
from loglease.server.api.audit_log import TEXT
from loglease.server.api.calls import CallerOf, ServicesOf, authenticated
from loglease.server.api.operations import EVERYWHERE, Routes, problem_answers
from loglease.server.exporting import Export, Wanted, require_reached
from loglease.server.log_files import checkpoint_note
from loglease.server.services import Services

routes = Routes("audit")

NDJSON: Final = "application/x-ndjson"
MIN_INDEX: Final = "LogLease-Min-Index"
Index = Annotated[int | None, Query(ge=0, le=MAX_INTEGER)]


class ExportFormat(StrEnum):
    """The formats of exports: those with lines, and the directory of files that the log itself is."""

    NDJSON = "ndjson"
    OCSF = "ocsf"
    TLOG_TILES = "tlog-tiles"


async def export_entries(
    request: Request,
    caller: CallerOf,
    services: ServicesOf,
    *,
    wanted: Annotated[ExportFormat, Query(alias="format")],
    since: Annotated[Index, Query(description="Index of the first entry; without it the first that there is.")] = None,
    until: Annotated[Index, Query(description="Index of the last entry; without it the newest.")] = None,
    follow: Annotated[bool, Query(description="Go on with what comes; an empty line now and then.")] = False,
) -> Response:
    """Export entries in the order of the log, one line each; on the record before the first byte leaves.

    With `tlog-tiles` the answer is the signed head; the files below it are read one by one from `/audit/log/`.
    """
    require_whole_log(caller)
    if wanted is ExportFormat.TLOG_TILES:
        if until is not None or follow:
            raise InvalidField("tlog-tiles has no until and no follow.", next_step="Export again when there is more.")
        return await _directory(services, caller, since)
    if since is not None and until is not None and until < since:
        raise InvalidField("until lies before since.", next_step="Name the last entry, which is not before the first.")

    async def still_may() -> Caller:
        # Looked at again before each page: a lock, a log-out, an expired token or a lost role ends this.
        found = (await authenticated(request, services)).caller
        require_whole_log(found)
        return found

    export = Export(
        services,
        Wanted(Format(wanted), since=since, until=until, follow=follow, target=str(caller.channel)),
        still_may,
    )
    await export.begin()
    return StreamingResponse(
        export.stream(),
        media_type=NDJSON,
        headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"},
    )


async def _directory(services: Services, caller: Caller, since: int | None) -> Response:
    """Record that the log's files leave, and answer with its signed head, whose digest stands for all of them."""
    note = await checkpoint_note(services.publishing.files.root)
    size = Checkpoint.parse(SignedNote.parse(note).text).size
    least = await services.store.read(lambda tx: tx.entries.min_index())
    first = least if since is None else since
    require_reached(first, least, size)
    if first < size:
        exported = Exported(
            str(ExportFormat.TLOG_TILES), first, size - 1, hashlib.sha256(note).hexdigest(), target=str(caller.channel)
        )
        await record_export(exported, caller=caller, log=services.log, new_id=services.new_id)
    return Response(note, media_type=TEXT, headers={"Cache-Control": "no-store", MIN_INDEX: str(least)})


routes.router.add_api_route(
    "/audit/export",
    export_entries,
    methods=["GET"],
    operation_id="export_entries",
    response_class=Response,
    summary="Export entries in the order of the log, one line each",
    responses={
        200: {
            "description": "Lines; of tlog-tiles the signed head.",
            "content": {NDJSON: {"schema": {"type": "string"}}, "text/plain": {"schema": {"type": "string"}}},
        },
        **problem_answers((*EVERYWHERE, "not_found", "cursor_gone", "audit_unavailable", "audit_busy")),
    },
)
