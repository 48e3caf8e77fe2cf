"""Operations on the policy in force, its revisions, and proposals to change it."""

from __future__ import annotations

from typing import Annotated

import orjson
from fastapi import Path, Query, Response

from loglease.access.decisions import decisions_page
from loglease.access.errors import NotFound
from loglease.access.policy_changes import (
    in_force,
    require_may_look,
)
from loglease.model.instant import instant_text, parse_instant
from loglease.model.proposal import StoredBundle
from loglease.policy.difference import overall
from loglease.policy.proposals import changes_of, needed_for
from loglease.server import managed
from loglease.server.api import policy_resources as p
from loglease.server.api import resources as r
from loglease.server.api.calls import CallerOf, OnceOf, PageOf, ServicesOf, is_replay, next_cursor, seeing
from loglease.server.api.operations import Routes
from loglease.server.api.proposals import proposal_shown
from loglease.server.api.views import who
from loglease.store.interface import Transaction

routes = Routes("policies")


@routes.get("/policies", answers=p.PolicyShown)
async def show_policy(caller: CallerOf, services: ServicesOf) -> p.PolicyShown:
    """Show which policy is in force, and what it consists of."""
    require_may_look(caller)
    bundle = services.rules.current.bundle
    return p.PolicyShown(
        trust=services.settings.policy.trust,
        revision=bundle.revision,
        bundle_sha256=bundle.hash,
        policies=[p.DocumentShown(id=one.id, title=one.title) for one in bundle.policies],
        guardrails=[p.DocumentShown(id=one.id, title=one.title) for one in bundle.guardrails],
        tests=sum(len(one.cases) for one in bundle.tests),
        fault=services.standing.policy_fault,
    )


@routes.post("/policies/check", answers=p.PolicyChecked, problems=("policy_invalid",))
async def check_policy(body: p.FilesBody, caller: CallerOf, services: ServicesOf) -> p.PolicyChecked:
    """Load documents, run their tests and compare them with the policy in force; nothing is changed."""
    require_may_look(caller)
    candidate = await managed.passing(services, body.files)
    present, after = services.rules.current, candidate.bundle
    found = await managed.compared(services, present, candidate)
    return p.PolicyChecked(
        bundle_sha256=after.hash,
        base_revision=present.revision,
        verdict=p.Meaning(overall(found)),
        needed=needed_for(found),
        changes=[p.change_shown(one) for one in changes_of(found)],
        tests=sum(len(one.cases) for one in after.tests),
        warnings=[p.WarningShown(at=str(one.at), code=one.code, detail=one.message) for one in after.warnings],
    )


@routes.post("/policies/diff", answers=p.PolicyCompared, problems=("policy_invalid",))
async def compare_policies(body: p.DiffBody, caller: CallerOf, services: ServicesOf) -> p.PolicyCompared:
    """Compare two sets of documents, or one with the policy in force, by what they mean; nothing is changed."""
    require_may_look(caller)
    before = services.rules.current if body.base is None else await managed.loaded(services, body.base, named="base")
    after = await managed.loaded(services, body.files, named="files")
    found = await managed.compared(services, before, after)
    return p.PolicyCompared(
        base_sha256=before.bundle_sha256,
        bundle_sha256=after.bundle_sha256,
        verdict=p.Meaning(overall(found)),
        needed=needed_for(found),
        changes=[p.change_shown(one) for one in changes_of(found)],
    )


@routes.get("/policies/bundles", answers=r.Page[p.BundleShown], problems=("invalid_cursor",))
async def list_bundles(caller: CallerOf, services: ServicesOf, page: PageOf) -> r.Page[p.BundleShown]:
    """List the revisions of a managed policy that were in force, newest first."""
    require_may_look(caller)
    before = None if page.before is None else int(page.before)

    def query(tx: Transaction) -> r.Page[p.BundleShown]:
        found = list(tx.proposals.bundles(before=before, limit=page.limit))
        last = str(found[-1].revision) if found else None
        items = [_bundle_shown(tx, one, files=False) for one in found]
        return r.Page(items=items, next=next_cursor(services, caller, page, found, last))

    return await services.store.read(query)


@routes.get("/policies/bundles/{revision}", answers=p.BundleShown, problems=("not_found",))
async def find_bundle(
    revision: Annotated[int, Path(ge=1, le=2**53 - 1)], caller: CallerOf, services: ServicesOf
) -> p.BundleShown:
    """Show one revision of a managed policy with its documents."""
    require_may_look(caller)

    def query(tx: Transaction) -> p.BundleShown:
        found = tx.proposals.bundle(revision)
        if found is None:
            raise NotFound(f"The database holds no revision {revision}.", next_step="See GET /policies/bundles.")
        return _bundle_shown(tx, found, files=True)

    return await services.store.read(query)


@routes.get("/policies/documents", answers=r.Page[p.KeptShown])
async def list_documents(caller: CallerOf, services: ServicesOf) -> r.Page[p.KeptShown]:
    """List the bundles of which the documents are kept: all that were in force, the first ones first."""
    require_may_look(caller)

    def query(tx: Transaction) -> r.Page[p.KeptShown]:
        kept = tx.bundle_documents.kept()
        return r.Page(
            items=[p.KeptShown(bundle_sha256=one.bundle_sha256, kept_at=instant_text(one.kept_at)) for one in kept]
        )

    return await services.store.read(query)


@routes.get("/policies/documents/{sha256}", answers=p.DocumentsShown, problems=("not_found",))
async def find_documents(
    sha256: Annotated[str, Path(pattern="^[0-9a-f]{64}$")], caller: CallerOf, services: ServicesOf
) -> p.DocumentsShown:
    """Show the documents of a bundle that was in force, by the hash that decisions name."""
    require_may_look(caller)
    files = await services.store.read(lambda tx: tx.bundle_documents.find(sha256))
    if files is None:
        raise NotFound(f"No documents of a bundle {sha256} are kept.", next_step="See GET /policies/documents.")
    return p.DocumentsShown(bundle_sha256=sha256, files=dict(files))


def _bundle_shown(tx: Transaction, bundle: StoredBundle, *, files: bool) -> p.BundleShown:
    proposal = None if bundle.proposal is None else tx.proposals.find(bundle.proposal)
    return p.BundleShown(
        revision=bundle.revision,
        bundle_sha256=bundle.bundle_sha256,
        loaded_at=instant_text(bundle.loaded_at),
        in_force=bundle.revision == in_force(tx).revision,
        proposal=bundle.proposal,
        author=None if proposal is None else who(tx, proposal.author),
        comment=None if proposal is None else proposal.comment,
        files=dict(bundle.files) if files else None,
    )


@routes.post(
    "/policies/bundles",
    answers=p.ProposalShown,
    status=202,
    creates=True,
    problems=(
        "policy_not_managed",
        "policy_invalid",
        "bundle_stale",
        "no_eligible_approver",
        "reason_required",
        "too_many_pending",
    ),
)
async def propose_bundle(
    body: p.ProposalBody, caller: CallerOf, services: ServicesOf, once: OnceOf, response: Response
) -> p.ProposalShown:
    """Propose documents for the policy in force; other people have to approve before anything changes."""
    if await is_replay(services, once):
        response.headers["Idempotent-Replayed"] = "true"
    made = await managed.propose(services, body.files, comment=body.comment, caller=caller, once=once)
    response.headers["Location"] = f"/api/v1/proposals/{made.id}"
    response.headers["ETag"] = f'"{made.digest}"'
    return await proposal_shown(services, seeing(caller), made.id)


@routes.get("/policies/decisions", answers=r.Page[p.DecisionShown], problems=("invalid_cursor",))
async def list_decisions(
    caller: CallerOf,
    services: ServicesOf,
    page: PageOf,
    since: Annotated[str, Query(max_length=40, description="Only decisions from this instant on.")],
) -> r.Page[p.DecisionShown]:
    """List the decisions on requests that are kept, oldest first, with all that each rests on."""
    start = parse_instant(since)
    behind = int(page.before or 0)

    def query(tx: Transaction) -> r.Page[p.DecisionShown]:
        found = [*decisions_page(tx, caller, since=start, behind=behind, limit=page.limit)]
        items = [p.DecisionShown(decision=orjson.loads(document)) for _, document in found]
        last = str(found[-1][0]) if found else None
        return r.Page(items=items, next=next_cursor(services, caller, page, found, last))

    return await services.store.read(query)
