"""Operations on the audit log, and live events."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Annotated, Final

import orjson
from fastapi import Query, Request
from fastapi.responses import StreamingResponse

from loglease.access.caller import Caller
from loglease.access.errors import NotPermitted
from loglease.access.permissions import visible_grant, visible_request
from loglease.model.errors import LogLeaseError
from loglease.model.ids import GrantId, RequestId, SessionId
from loglease.model.principal import Role
from loglease.model.rights import Right
from loglease.server.api import resources as r
from loglease.server.api.audit_resources import EntryShown, entry_shown
from loglease.server.api.calls import CallerOf, PageOf, ServicesOf, authenticated, next_cursor, seeing
from loglease.server.api.fields import id_pattern
from loglease.server.api.operations import EVERYWHERE, Routes, problem_answers
from loglease.server.edge import header_of
from loglease.server.events import Batch, events_since
from loglease.server.problems import CursorGone
from loglease.server.services import Services
from loglease.store.interface import Transaction

routes = Routes("audit")

COMMENT_EVERY_S: Final = 15.0
_TYPE: Final = r"^[a-z_]+\.[a-z_]+$"


def require_whole_log(caller: Caller) -> None:
    """Let auditors read everything.

    Raises:
        NotPermitted: the caller is none, or the token lacks the right.
    """
    caller.require(Right.AUDIT_READ)
    if not caller.principal.roles & {Role.AUDITOR, Role.ADMIN}:
        raise NotPermitted(
            "Reading the whole audit log takes the role auditor.", next_step="Name a request or grant of yours."
        )


def require_may_read(tx: Transaction, caller: Caller, request: str | None, grant: str | None) -> None:
    """Let auditors read everything, and everybody what concerns a request or grant that they may see.

    Raises:
        NotFound: there is no such request or grant, or it is not theirs to see.
        NotPermitted: neither is named, or the token lacks the right.
    """
    caller.require(Right.AUDIT_READ)
    if caller.principal.roles & {Role.AUDITOR, Role.ADMIN}:
        return
    if grant is not None:
        visible_grant(tx, caller, GrantId(grant))
    elif request is not None:
        # Reading the log is a right of its own: the token need not read requests besides.
        visible_request(tx, seeing(caller), RequestId(request))
    else:
        require_whole_log(caller)


@routes.get("/audit/entries", answers=r.Page[EntryShown], problems=("not_found", "invalid_cursor"))
async def list_entries(
    caller: CallerOf,
    services: ServicesOf,
    page: PageOf,
    entry_type: Annotated[str | None, Query(alias="type", pattern=_TYPE, max_length=60)] = None,
    actor: Annotated[str | None, Query(max_length=60)] = None,
    request: Annotated[str | None, Query(pattern=id_pattern("req"))] = None,
    grant: Annotated[str | None, Query(pattern=id_pattern("grt"))] = None,
    session: Annotated[str | None, Query(pattern=id_pattern("ses"))] = None,
) -> r.Page[EntryShown]:
    """List audit entries, newest first."""

    def query(tx: Transaction) -> r.Page[EntryShown]:
        require_may_read(tx, caller, request, grant)
        rows = tx.entries.page(
            types=None if entry_type is None else frozenset({entry_type}),
            actor=actor,
            request=None if request is None else RequestId(request),
            grant=None if grant is None else GrantId(grant),
            session=None if session is None else SessionId(session),
            before=None if page.before is None else int(page.before),
            limit=page.limit,
        )
        last = str(rows[-1].index) if rows else None
        return r.Page(
            items=[entry_shown(row) for row in rows], next=next_cursor(services, caller, page, list(rows), last)
        )

    return await services.store.read(query)


async def follow_events(
    request: Request,
    caller: CallerOf,
    services: ServicesOf,
    types: Annotated[str | None, Query(max_length=1_000, description="Entry types, separated by commas.")] = None,
) -> StreamingResponse:
    """Follow thin events of what the caller may see, as server-sent events; `Last-Event-ID` resumes."""
    caller.require(Right.REQUESTS_READ)
    last = header_of(request.scope, b"last-event-id")
    size = await services.store.read(lambda tx: tx.entries.size())
    position = size if last is None else _position(last, size)
    wanted = None if types is None else frozenset(types.split(","))
    return StreamingResponse(
        _events(services, request, position, wanted),
        media_type="text/event-stream",
        headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"},
    )


def _position(last: bytes, size: int) -> int:
    text = last.decode("latin-1")
    if not text.isdecimal() or int(text) >= size:
        raise CursorGone("This position is not in the log.", next_step="Load the lists again, then follow from now.")
    return int(text) + 1


async def _events(
    services: Services, request: Request, position: int, types: frozenset[str] | None
) -> AsyncIterator[bytes]:
    yield b": following\n\n"
    while not services.hub.closed:
        waiting = asyncio.ensure_future(services.hub.wait(COMMENT_EVERY_S))
        try:
            # Who calls is looked at again before each send: a lock, a log-out or an expired token ends this.
            caller = (await authenticated(request, services)).caller
            batch = await _batch(services, caller, position, types)
        except LogLeaseError:
            waiting.cancel()
            return
        for event in batch.events:
            yield f"id: {event['id']}\nevent: {event['type']}\ndata: ".encode() + orjson.dumps(event) + b"\n\n"
        if batch.position > position:
            position = batch.position
            waiting.cancel()
            continue
        if not await waiting:
            yield b": still here\n\n"


async def _batch(services: Services, caller: Caller, position: int, types: frozenset[str] | None) -> Batch:
    return await services.store.read(lambda tx: events_since(tx, caller, position, types))


routes.router.add_api_route(
    "/events",
    follow_events,
    methods=["GET"],
    operation_id="follow_events",
    response_class=StreamingResponse,
    summary="Follow thin events of what the caller may see",
    responses={
        200: {"description": "Events.", "content": {"text/event-stream": {"schema": {"type": "string"}}}},
        **problem_answers((*EVERYWHERE, "cursor_gone")),
    },
)
