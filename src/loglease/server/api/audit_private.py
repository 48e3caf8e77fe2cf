"""Operations on what people wrote: disclose a text, erase, hold, and prune the audit log."""

from __future__ import annotations

import base64
from typing import Annotated

from fastapi import Path, Response
from pydantic import Field

from loglease.access.disclosing import disclose
from loglease.access.erasing import propose_erasure
from loglease.access.legal_holds import holds_seen, release_hold, set_hold
from loglease.access.pruning import propose_pruning
from loglease.model.act import Act
from loglease.model.ids import HoldId, PrincipalId
from loglease.model.instant import LATEST, Instant, instant_text, parse_instant
from loglease.model.legal_hold import LegalHold
from loglease.server.acting import retention_of
from loglease.server.api import policy_resources as p
from loglease.server.api import resources as r
from loglease.server.api.audit_proofs import UNPROVEN
from loglease.server.api.calls import CallerOf, OnceOf, ServicesOf, is_replay, seeing
from loglease.server.api.fields import At, Body, Count, PrincipalIdText, Reason, Resource, id_pattern
from loglease.server.api.operations import Routes
from loglease.server.api.proposals import proposal_shown
from loglease.server.api.views import at, maybe_who, who
from loglease.server.proving import entry_proof
from loglease.server.services import Services
from loglease.store.interface import Transaction

routes = Routes("audit")

EntryIdText = Annotated[str, Field(pattern=id_pattern("ent"), examples=["ent_01JDC8Z0M4T9YV2K3R5W7X8Q4M"])]
HoldIdText = Annotated[str, Field(pattern=id_pattern("hld"))]
SubjectText = Annotated[
    str, Field(pattern="^sub_[a-z2-7]{26}$", description="What entries call somebody.", examples=["sub_" + "a" * 26])
]
FieldText = Annotated[
    str,
    Field(
        pattern="^([a-z_]{1,32}|rules_c:[0-9a-f]{64})$",
        description="Which text of an entry: the name of its commitment; of a line rule `rules_c:` and the commitment.",
        examples=["reason_c"],
    ),
]
HoldPath = Annotated[str, Path(pattern=id_pattern("hld"))]


class DisclosureBody(Body):
    """Which text is opened, for whom, and why."""

    entry: EntryIdText
    field: FieldText
    to: PrincipalIdText
    purpose: Reason


class DisclosureShown(Resource):
    """One text: SHA-256 of `salt` and `clear` is the commitment that stands in the entry; `proof` is the entry's."""

    entry: EntryIdText
    index: Count
    entry_bytes: Annotated[str, Field(description="The entry as it is in the log, in Base64.")]
    proof: Annotated[
        str, Field(description="That it is in the log: a proof file, for whoever has the log's public key.")
    ]
    field: str
    salt: Annotated[str, Field(description="In Base64.")]
    clear: Annotated[str, Field(description="In Base64.")]
    text: str
    to: r.Who
    recorded_as: EntryIdText


class ErasureBody(Body):
    """What is to be erased: a subject, or one text of one entry."""

    subject: SubjectText | None = None
    entry: EntryIdText | None = None
    field: FieldText | None = None
    comment: Reason


class PruningBody(Body):
    """Up to when the log is to be pruned."""

    before: At
    comment: Reason


class LegalHoldBody(Body):
    """Of which time nothing may be erased or pruned; without an end it is for ever."""

    from_at: At | None = None
    to_at: At | None = None
    reason: Reason


class LegalHoldShown(Resource):
    """A hold: while it is in force nothing that was recorded in its time is erased or pruned."""

    id: HoldIdText
    from_at: At
    to_at: At
    reason: str
    set_by: r.Who
    set_at: At
    in_force: bool
    released_at: At | None = None
    released_by: r.Who | None = None


@routes.post(
    "/audit/disclosures",
    answers=DisclosureShown,
    problems=("not_found", "reason_required", "step_up_required", "audit_unavailable", *UNPROVEN),
)
async def disclose_text(
    body: DisclosureBody, caller: CallerOf, services: ServicesOf, response: Response
) -> DisclosureShown:
    """Open one text of one entry for an auditor; on the record before it is answered."""
    found = await disclose(
        body.entry,
        body.field,
        to=PrincipalId(body.to),
        purpose=body.purpose,
        caller=caller,
        vault=services.vault,
        log=services.log,
        new_id=services.new_id,
        random=services.random,
    )
    response.headers["Cache-Control"] = "no-store"
    proof = await entry_proof(services.publishing, found.entry.index, extra=False)
    to = await services.store.read(lambda tx: who(tx, found.to.id))
    return DisclosureShown(
        entry=body.entry,
        index=found.entry.index,
        entry_bytes=base64.b64encode(found.entry.content).decode(),
        proof=proof.decode(),
        field=body.field,
        salt=base64.b64encode(found.text.salt).decode(),
        clear=base64.b64encode(found.text.clear).decode(),
        text=found.text.clear.decode(errors="replace"),
        to=to,
        recorded_as=found.record,
    )


@routes.post(
    "/audit/erasures",
    answers=p.ProposalShown,
    status=202,
    creates=True,
    problems=("not_found", "no_eligible_approver", "reason_required", "step_up_required", "under_hold", "still_needed"),
)
async def propose_erasing(
    body: ErasureBody, caller: CallerOf, services: ServicesOf, once: OnceOf, response: Response
) -> p.ProposalShown:
    """Propose to erase what somebody wrote; another administrator has to approve before anything is erased."""
    if await is_replay(services, once):
        response.headers["Idempotent-Replayed"] = "true"
    act = await propose_erasure(
        subject=body.subject,
        entry=body.entry,
        path=body.field,
        comment=body.comment,
        caller=caller,
        vault=services.vault,
        log=services.log,
        new_id=services.new_id,
        random=services.random,
        once=once,
    )
    return await _proposed(services, caller, act, response)


@routes.post(
    "/audit/prunings",
    answers=p.ProposalShown,
    status=202,
    creates=True,
    problems=("no_eligible_approver", "reason_required", "step_up_required"),
)
async def propose_log_pruning(
    body: PruningBody, caller: CallerOf, services: ServicesOf, once: OnceOf, response: Response
) -> p.ProposalShown:
    """Propose to prune the oldest entries; another administrator has to approve before anything goes."""
    if await is_replay(services, once):
        response.headers["Idempotent-Replayed"] = "true"
    act = await propose_pruning(
        parse_instant(body.before),
        comment=body.comment,
        retention=retention_of(services.settings),
        caller=caller,
        log=services.log,
        new_id=services.new_id,
        random=services.random,
        once=once,
    )
    return await _proposed(services, caller, act, response)


async def _proposed(services: Services, caller: CallerOf, act: Act, response: Response) -> p.ProposalShown:
    response.headers["Location"] = f"/api/v1/proposals/{act.id}"
    response.headers["ETag"] = f'"{act.digest}"'
    return await proposal_shown(services, seeing(caller), act.id)


@routes.get("/audit/holds", answers=r.Page[LegalHoldShown])
async def list_holds(caller: CallerOf, services: ServicesOf) -> r.Page[LegalHoldShown]:
    """List holds on the audit log, released ones too."""
    return await services.store.read(lambda tx: r.Page(items=[_hold_shown(tx, one) for one in holds_seen(tx, caller)]))


@routes.post("/audit/holds", answers=LegalHoldShown, status=201, creates=True, problems=("reason_required",))
async def create_hold(
    body: LegalHoldBody, caller: CallerOf, services: ServicesOf, once: OnceOf, response: Response
) -> LegalHoldShown:
    """Set a hold: nothing that was recorded in its time is erased or pruned."""
    if await is_replay(services, once):
        response.headers["Idempotent-Replayed"] = "true"
    hold = await set_hold(
        from_at=Instant(0) if body.from_at is None else parse_instant(body.from_at),
        to_at=LATEST if body.to_at is None else parse_instant(body.to_at),
        reason=body.reason,
        caller=caller,
        log=services.log,
        new_id=services.new_id,
        once=once,
    )
    return await services.store.read(lambda tx: _hold_shown(tx, hold))


@routes.post("/audit/holds/{hold_id}/release", answers=LegalHoldShown, problems=("not_found", "step_up_required"))
async def release_present_hold(hold_id: HoldPath, caller: CallerOf, services: ServicesOf) -> LegalHoldShown:
    """Release a hold that somebody else set."""
    hold = await release_hold(HoldId(hold_id), caller=caller, log=services.log, new_id=services.new_id)
    return await services.store.read(lambda tx: _hold_shown(tx, hold))


def _hold_shown(tx: Transaction, hold: LegalHold) -> LegalHoldShown:
    return LegalHoldShown(
        id=hold.id,
        from_at=instant_text(hold.from_at),
        to_at=instant_text(hold.to_at),
        reason=hold.reason,
        set_by=who(tx, hold.set_by),
        set_at=instant_text(hold.set_at),
        in_force=hold.in_force,
        released_at=at(hold.released_at),
        released_by=maybe_who(tx, hold.released_by),
    )
