"""The FastAPI application of the API: operations, error answers, and its OpenAPI document."""

from __future__ import annotations

from typing import Any, Final

import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.openapi.utils import get_openapi
from fastapi.responses import JSONResponse
from fastapi.routing import APIRoute
from pydantic import TypeAdapter
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.routing import BaseRoute

from loglease import __version__
from loglease.access.errors import NotFound
from loglease.access.refusals import record_refusals
from loglease.audit.interface import AuditUnavailable
from loglease.model.errors import FieldFault, InvalidField, LogLeaseError, Malformed
from loglease.server.api import (
    afterwards,
    audit,
    audit_export,
    audit_log,
    audit_private,
    audit_proofs,
    audit_reports,
    audit_who_saw,
    explaining,
    grants,
    identity,
    locks,
    notices,
    policies,
    proposals,
    requests,
    sources,
    stand_ins,
)
from loglease.server.api.operations import problem_answers, router_of
from loglease.server.api.problem_shape import Problem
from loglease.server.edge import API, TRACE
from loglease.server.problems import (
    MEDIA_TYPE,
    IdempotencyKeyRequired,
    MethodNotAllowed,
    UnknownField,
    headers_of,
    kind_of,
    problem_of,
)
from loglease.server.services import Services
from loglease.store.interface import StoreUnavailable

MAX_FAULTS: Final = 20
_RECORDED: Final = frozenset({401, 403})
_RECORDED_CODES: Final = frozenset({"no_eligible_approver", "ticket_required", "ticket_invalid"})
_log: Final = structlog.get_logger("loglease.api")
_DESCRIPTION: Final = (
    "Just-in-time access to debug logs. Lines are read at the gateway (`/g/{grant}/logs`), never here. "
    "Every refusal is a problem (RFC 9457): what was wrong, which rule decided, what to do next."
)


def create_api(services: Services) -> FastAPI:
    """Return the API on what was built."""
    app = FastAPI(
        routes=_operations(),
        title="LogLease",
        version=__version__,
        description=_DESCRIPTION,
        openapi_url=None,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
    )
    app.state.services = services
    app.state.running = set()
    app.state.document = None
    app.add_exception_handler(LogLeaseError, _problem)
    app.add_exception_handler(Exception, _problem)  # answered here, logged at the edge
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _http)
    return app


def _operations() -> list[BaseRoute]:
    modules = (
        requests,
        afterwards,
        grants,
        locks,
        sources,
        policies,
        proposals,
        explaining,
        notices,
        audit,
        audit_export,
        audit_proofs,
        audit_who_saw,
        audit_reports,
        audit_log,
        audit_private,
        identity,
        stand_ins,
    )
    routers = [*(module.routes.router for module in modules), identity.open_routes.router, _OPEN]
    return [route for router in routers for route in router.routes]


async def show_openapi(request: Request) -> JSONResponse:
    """Return this document."""
    app: FastAPI = request.app
    if app.state.document is None:
        app.state.document = openapi_document(app)
    return JSONResponse(app.state.document)


async def show_health() -> dict[str, str]:
    """Say that the process answers."""
    return {"status": "ok"}


_OPEN: Final = router_of("open")
for path, endpoint, answer in (
    ("/openapi.json", show_openapi, dict[str, Any]),
    ("/health", show_health, dict[str, str]),
):
    _OPEN.add_api_route(
        path,
        endpoint,
        methods=["GET"],
        operation_id=endpoint.__name__,
        response_model=answer,
        summary=(endpoint.__doc__ or "").partition("\n")[0].rstrip("."),
        responses=problem_answers(("unknown_parameter", "malformed", "too_large", "rate_limited", "internal")),
    )


def openapi_document(app: FastAPI) -> dict[str, Any]:
    """Return the OpenAPI 3.1 document: what is declared, with the shape of problems and without FastAPI's own."""
    document = get_openapi(
        title=app.title,
        version=app.version,
        openapi_version="3.1.0",
        description=app.description,
        routes=app.routes,
    )
    schemas = document["components"]["schemas"]
    for name in ("HTTPValidationError", "ValidationError"):
        schemas.pop(name, None)
    problem = TypeAdapter(Problem).json_schema(ref_template="#/components/schemas/{model}")
    schemas |= problem.pop("$defs", {})
    schemas["Problem"] = problem
    for path in document["paths"].values():
        for operation in path.values():
            answers = operation["responses"]
            if "application/json" in answers.get("422", {}).get("content", {}):
                del answers["422"]
    return document


def _answer(request: Request, error: LogLeaseError) -> Response:
    body = problem_of(error, instance=request.url.path[:200], trace_id=request.scope.get(TRACE, ""))
    return JSONResponse(body, status_code=body["status"], headers=headers_of(error), media_type=MEDIA_TYPE)


async def _problem(request: Request, error: Exception) -> Response:
    refusal = error if isinstance(error, LogLeaseError) else LogLeaseError("internal")
    if kind_of(refusal).status in _RECORDED or refusal.code in _RECORDED_CODES:
        await _record(request, refusal)
    return _answer(request, refusal)


async def _record(request: Request, error: LogLeaseError) -> None:
    """Put a refused call on the record; that it cannot be is no reason to answer otherwise."""
    services: Services = request.app.state.services
    route = request.scope.get("route")
    draft = services.refusals.note(
        operation=getattr(route, "operation_id", None) or "unknown",
        code=error.code,
        caller=getattr(request.state, "caller", None),
        now=services.clock.now(),
    )
    if draft is None:
        return
    try:
        await record_refusals((draft,), log=services.log)
    except (AuditUnavailable, StoreUnavailable) as fault:
        _log.warning("refusal_not_recorded", code=fault.code)


async def _http(request: Request, error: Exception) -> Response:
    status = error.status_code if isinstance(error, HTTPException) else 500
    if status == 405:  # noqa: PLR2004 - the status itself
        answer = _answer(request, MethodNotAllowed(f"{request.method} is not for this path.", next_step="See Allow."))
        answer.headers["allow"] = ", ".join(_allowed(request))
        return answer
    if status == 404:  # noqa: PLR2004 - the same
        return _answer(request, NotFound("There is nothing at this path.", next_step=f"See {API}/openapi.json."))
    return _answer(request, Malformed("The call is not well-formed.", next_step="Send JSON in UTF-8."))


def _allowed(request: Request) -> list[str]:
    """Return the methods of a path; several operations share it, and the router names the first one's only."""
    path = request.scope["path"]
    found = (one for one in request.app.routes if isinstance(one, APIRoute) and one.path_regex.fullmatch(path))
    return sorted(method for one in found for method in one.methods or ())


async def _invalid(request: Request, error: Exception) -> Response:
    found = error.errors() if isinstance(error, RequestValidationError) else []
    return _answer(request, validation_error(found))


def validation_error(found: Any) -> LogLeaseError:
    """Return the problem of fields that do not fit, by the place of the first that does not."""
    faults = tuple(_fault(one) for one in list(found)[:MAX_FAULTS])
    places = [one["loc"][0] for one in found]
    if "path" in places:
        return Malformed(
            "The identifier in the path has a wrong form.", next_step="Copy it as it was printed.", faults=faults
        )
    if "header" in places:
        return IdempotencyKeyRequired(
            "A creating call needs an Idempotency-Key of 1 to 255 printable ASCII characters.",
            next_step="Send a new random key with each new call.",
            faults=faults,
        )
    unknown = [fault for fault in faults if fault.code == "unknown_field"]
    if unknown:
        return UnknownField(
            f"The field {unknown[0].pointer} is not known.", next_step="Remove it or correct its name.", faults=faults
        )
    if not faults:
        return Malformed("The call is not well-formed.", next_step="Send JSON in UTF-8.")
    first = faults[0]
    return InvalidField(f"{first.pointer}: {first.detail}.", next_step="Correct the named fields.", faults=faults)


def _fault(one: Any) -> FieldFault:
    pointer = "".join(f"/{str(part).replace('~', '~0').replace('/', '~1')}" for part in one["loc"][1:])
    code = {"extra_forbidden": "unknown_field", "missing": "missing"}.get(one["type"], one["type"])
    return FieldFault(pointer or "/", code, str(one["msg"])[:200])
