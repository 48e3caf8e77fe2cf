"""Operations on stand-ins: who reviews in whose place, and until when."""

from __future__ import annotations

from typing import Annotated

from fastapi import Path, Response

from loglease.access.name_stand_in import Standing, end_stand_in, name_stand_in, stand_ins
from loglease.model.ids import PersonId
from loglease.model.instant import instant_text
from loglease.model.rights import Right
from loglease.server.api import resources as r
from loglease.server.api.calls import CallerOf, ServicesOf
from loglease.server.api.fields import Account, At, Body, PersonIdText, Resource, Seconds, id_pattern
from loglease.server.api.operations import Routes
from loglease.server.api.views import who_is

routes = Routes("stand-ins")


class StandInBody(Body):
    """Who reviews in the caller's place, and for how long."""

    stand_in: Account
    for_s: Seconds


class StandInShown(Resource):
    """Somebody who reviews in the place of another person."""

    person: PersonIdText
    member: r.Who
    stand_in: r.Who
    since: At
    until: At


def _shown(one: Standing) -> StandInShown:
    return StandInShown(
        person=one.member.person,
        member=who_is(one.member),
        stand_in=who_is(one.by),
        since=instant_text(one.stand_in.since),
        until=instant_text(one.stand_in.until),
    )


@routes.get("/stand-ins", answers=r.Page[StandInShown])
async def list_stand_ins(caller: CallerOf, services: ServicesOf) -> r.Page[StandInShown]:
    """List the stand-ins that concern the caller; those who oversee see all."""
    caller.require(Right.REQUESTS_READ)
    now = services.clock.now()
    found = await services.store.read(lambda tx: stand_ins(tx, caller, now))
    return r.Page(items=[_shown(one) for one in found])


@routes.post("/stand-ins", answers=StandInShown, problems=("not_found", "step_up_required", "reviewer_not_human"))
async def name_own_stand_in(body: StandInBody, caller: CallerOf, services: ServicesOf) -> StandInShown:
    """Name who reviews in the caller's place from now on, instead of who did before."""
    named = await name_stand_in(
        body.stand_in,
        for_s=body.for_s,
        caller=caller,
        log=services.log,
        rules=services.rules.current,
        new_id=services.new_id,
    )
    return _shown(named)


@routes.delete("/stand-ins/{person_id}", problems=("not_found",))
async def end_present_stand_in(
    person_id: Annotated[str, Path(pattern=id_pattern("per"))], caller: CallerOf, services: ServicesOf
) -> Response:
    """End that somebody stands in for a person; either of the two may, and administrators."""
    caller.require(Right.REQUESTS_WRITE)
    await end_stand_in(PersonId(person_id), caller=caller, log=services.log, new_id=services.new_id)
    return Response(status_code=204)
