"""The operation that exports the audit log."""

from __future__ import annotations

from typing import Annotated, Final

from fastapi import Query, Request
from fastapi.responses import StreamingResponse

from loglease.access.caller import Caller
from loglease.audit.export.formats import Format
from loglease.model.digest import MAX_INTEGER
from loglease.model.errors import InvalidField
from loglease.server.api.audit import require_whole_log
from loglease.server.api.calls import CallerOf, ServicesOf, authenticated
from loglease.server.api.operations import EVERYWHERE, Routes, problem_answers
from loglease.server.exporting import Export, Wanted

routes = Routes("audit")

NDJSON: Final = "application/x-ndjson"
Index = Annotated[int | None, Query(ge=0, le=MAX_INTEGER)]


async def export_entries(
    request: Request,
    caller: CallerOf,
    services: ServicesOf,
    *,
    wanted: Annotated[Format, Query(alias="format")],
    since: Annotated[Index, Query(description="Index of the first entry; without it the first that there is.")] = None,
    until: Annotated[Index, Query(description="Index of the last entry; without it the newest.")] = None,
    follow: Annotated[bool, Query(description="Go on with what comes; an empty line now and then.")] = False,
) -> StreamingResponse:
    """Export entries in the order of the log, one line each; on the record before the first byte leaves."""
    require_whole_log(caller)
    if since is not None and until is not None and until < since:
        raise InvalidField("until lies before since.", next_step="Name the last entry, which is not before the first.")

    async def still_may() -> Caller:
        # Looked at again before each page: a lock, a log-out, an expired token or a lost role ends this.
        found = (await authenticated(request, services)).caller
        require_whole_log(found)
        return found

    export = Export(
        services,
        Wanted(wanted, since=since, until=until, follow=follow, target=str(caller.channel)),
        still_may,
    )
    await export.begin()
    return StreamingResponse(
        export.stream(),
        media_type=NDJSON,
        headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"},
    )


routes.router.add_api_route(
    "/audit/export",
    export_entries,
    methods=["GET"],
    operation_id="export_entries",
    response_class=StreamingResponse,
    summary="Export entries in the order of the log, one line each",
    responses={
        200: {"description": "Lines.", "content": {NDJSON: {"schema": {"type": "string"}}}},
        **problem_answers((*EVERYWHERE, "cursor_gone", "audit_unavailable", "audit_busy")),
    },
)
