"""Operations that show one audit entry, and prove it."""

from __future__ import annotations

import base64
from typing import Annotated, Final

from fastapi import Path, Query
from fastapi.responses import Response

from loglease.access.caller import Caller
from loglease.access.errors import NotFound, NotPermitted
from loglease.model.digest import MAX_INTEGER
from loglease.model.errors import InvalidField
from loglease.model.rights import Right
from loglease.server.api.audit import require_may_read, require_whole_log
from loglease.server.api.audit_resources import ConsistencyShown, EntryShown, entry_shown
from loglease.server.api.calls import CallerOf, ServicesOf
from loglease.server.api.fields import id_pattern
from loglease.server.api.operations import EVERYWHERE, Routes, problem_answers
from loglease.server.proving import consistency, entry_proof
from loglease.store.entries_interface import StoredEntry
from loglease.store.interface import Transaction

routes = Routes("audit")

PROOF: Final = "text/plain"
_ENTRY: Final = rf"(?:{id_pattern('ent')[1:-1]}|0|[1-9][0-9]{{0,15}})"
UNPROVEN: Final = ("log_incomplete", "log_tampered", "log_unreadable")
Entry = Annotated[str, Path(pattern=f"^{_ENTRY}$", description="Its id, or its index.")]
Size = Annotated[int, Query(ge=0, le=MAX_INTEGER)]


def _readable(tx: Transaction, caller: Caller, entry: str) -> StoredEntry:
    """Return an entry that the caller may read.

    Raises:
        NotFound: there is none, or it is not theirs to see; the two are one answer.
        NotPermitted: the token lacks the right.
    """
    caller.require(Right.AUDIT_READ)
    row = _found(tx, entry)
    if row is not None:
        ref = entry_shown(row).ref
        try:
            require_may_read(tx, caller, ref.get("request"), ref.get("grant"))
        except (NotFound, NotPermitted):
            row = None
    if row is None:
        raise NotFound(f"There is no audit entry {entry} for you.", next_step="loglease audit list")
    return row


def _found(tx: Transaction, entry: str) -> StoredEntry | None:
    if not entry.isdecimal():
        return tx.entries.find(entry)
    rows = tx.entries.since(int(entry), limit=1)
    return rows[0] if rows and rows[0].index == int(entry) else None


@routes.get("/audit/entries/{entry}", answers=EntryShown, problems=("not_found",))
async def find_entry(entry: Entry, caller: CallerOf, services: ServicesOf) -> EntryShown:
    """Show one audit entry."""
    return entry_shown(await services.store.read(lambda tx: _readable(tx, caller, entry)))


async def prove_entry(
    entry: Entry,
    caller: CallerOf,
    services: ServicesOf,
    *,
    extra: Annotated[bool, Query(description="Put the entry's bytes into the proof.")] = False,
) -> Response:
    """Prove that an entry is in the log: a proof file for anybody who has the log's public key."""
    row = await services.store.read(lambda tx: _readable(tx, caller, entry))
    content = await entry_proof(services.publishing, row.index, extra=extra)
    return Response(content, media_type=PROOF, headers={"Cache-Control": "no-store"})


@routes.get("/audit/consistency", answers=ConsistencyShown, problems=("log_invalid", "audit_unavailable", *UNPROVEN))
async def prove_consistency(
    caller: CallerOf,
    services: ServicesOf,
    since: Annotated[Size, Query(alias="from", description="The size that was seen before.")],
    to: Annotated[Size, Query(description="The size now.")],
) -> ConsistencyShown:
    """Prove that the log only grew between two sizes."""
    require_whole_log(caller)
    size = await services.store.read(lambda tx: tx.entries.size())
    if to > size:
        raise InvalidField(f"The log has {size} entries, not {to}.", next_step="Name a size of this log.")
    hashes = await consistency(services.publishing, since, to)
    return ConsistencyShown(since=since, to=to, hashes=[base64.b64encode(one).decode() for one in hashes])


routes.router.add_api_route(
    "/audit/entries/{entry}/proof",
    prove_entry,
    methods=["GET"],
    operation_id="prove_entry",
    response_class=Response,
    summary="Prove that an entry is in the log",
    responses={
        200: {"description": "A proof file.", "content": {PROOF: {"schema": {"type": "string"}}}},
        **problem_answers((*EVERYWHERE, "not_found", "audit_unavailable", *UNPROVEN)),
    },
)
