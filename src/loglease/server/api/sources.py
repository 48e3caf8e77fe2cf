"""Operations on sources: what there is to ask for. Values of labels come from policy, never from logs."""

from __future__ import annotations

import asyncio
from typing import Annotated

from fastapi import Path, Query

from loglease.access.errors import NotFound
from loglease.model.rights import Right
from loglease.policy import People, askable
from loglease.server.api import resources as r
from loglease.server.api.calls import CallerOf, ServicesOf
from loglease.server.api.operations import Routes
from loglease.server.services import Services
from loglease.sources.registry import Source

routes = Routes("sources")

SourcePath = Annotated[str, Path(min_length=1, max_length=100)]


async def _shown(source: Source) -> r.SourceShown:
    health = await source.reader.check()
    return r.SourceShown(
        id=source.name,
        kind=source.kind,
        description=source.description,
        follow=source.reader.capabilities.follow,
        ok=health.ok,
        labels=sorted(source.trusted_labels),
    )


def _source(services: Services, name: str) -> Source:
    source = services.sources.get(name)
    if source is None:
        raise NotFound(f"There is no source {name[:60]!r}.", next_step="loglease sources list")
    return source


@routes.get("/sources", answers=r.Page[r.SourceShown])
async def list_sources(caller: CallerOf, services: ServicesOf) -> r.Page[r.SourceShown]:
    """List the configured sources with the labels that scopes may name."""
    caller.require(Right.REQUESTS_READ)
    return r.Page(items=await asyncio.gather(*map(_shown, services.sources.values())))


@routes.get("/sources/{source_id}", answers=r.SourceShown, problems=("not_found",))
async def find_source(source_id: SourcePath, caller: CallerOf, services: ServicesOf) -> r.SourceShown:
    """Show one source."""
    caller.require(Right.REQUESTS_READ)
    return await _shown(_source(services, source_id))


@routes.get("/sources/{source_id}/labels", answers=r.Page[r.LabelShown], problems=("not_found",))
async def list_labels(
    source_id: SourcePath,
    caller: CallerOf,
    services: ServicesOf,
    name: Annotated[str | None, Query(max_length=128)] = None,
) -> r.Page[r.LabelShown]:
    """List the labels of a source that the caller may ask for, with the values that policy names."""
    caller.require(Right.REQUESTS_READ)
    source = _source(services, source_id)
    bundle = services.rules.current.bundle
    directory = await services.store.read(lambda tx: tx.principals.directory())
    found = askable(
        bundle,
        caller.principal,
        people=People(directory, bundle.approver_sets),
        source=source.name,
        labels=source.trusted_labels if name is None else source.trusted_labels & {name},
    )
    return r.Page(
        items=[
            r.LabelShown(name=label, values=sorted(one.values), open=one.open) for label, one in sorted(found.items())
        ]
    )
