"""The operation that reads the files of the log: the prefix of C2SP tlog-tiles."""

from __future__ import annotations

from typing import Annotated, Final

from fastapi import Path, Response

from loglease.server.api.audit import require_whole_log
from loglease.server.api.calls import CallerOf, ServicesOf
from loglease.server.api.operations import EVERYWHERE, Routes, problem_answers
from loglease.server.log_files import log_file

routes = Routes("audit")

TEXT: Final = "text/plain; charset=utf-8"
BYTES: Final = "application/octet-stream"
_MAX_PATH: Final = 120
_FINAL: Final = "private, max-age=31536000, immutable"


async def read_log_file(
    caller: CallerOf,
    services: ServicesOf,
    path: Annotated[str, Path(max_length=_MAX_PATH, description="`checkpoint`, `tile/…`, or `served/` and an id.")],
) -> Response:
    """Read a file of the log: its signed head, a tile, a bundle of entries, a served list."""
    require_whole_log(caller)
    found = await log_file(path, folder=services.publishing.files.root, store=services.store)
    return Response(
        found.content,
        media_type=TEXT if found.is_text else BYTES,
        headers={"Cache-Control": _FINAL if found.is_final else "no-store"},
    )


routes.router.add_api_route(
    "/audit/log/{path:path}",
    read_log_file,
    methods=["GET"],
    operation_id="read_log_file",
    response_class=Response,
    summary="Read a file of the log: its signed head, a tile, a bundle of entries, a served list",
    responses={
        200: {
            "description": "The file.",
            "content": {
                BYTES: {"schema": {"type": "string", "format": "binary"}},
                "text/plain": {"schema": {"type": "string"}},
            },
        },
        **problem_answers((*EVERYWHERE, "not_found", "audit_unavailable")),
    },
)
