"""Operations on notices: what waits, what was given up, another try, and a test of a channel."""

from __future__ import annotations

from typing import Annotated

from fastapi import Query
from pydantic import Field

from loglease.access.errors import NotFound
from loglease.model.ids import NOTICE, NoticeId
from loglease.model.instant import instant_text
from loglease.model.notice import EMAIL, Notice, NoticeState
from loglease.model.principal import Role
from loglease.server.api import resources as r
from loglease.server.api.calls import CallerOf, ServicesOf
from loglease.server.api.fields import At, Body, Resource, id_pattern
from loglease.server.api.operations import Routes
from loglease.server.audit_heads import head_text
from loglease.server.notifications.channel import Message, Undelivered

MOST = 200

routes = Routes("notices")

NoticeIdText = Annotated[str, Field(pattern=id_pattern(NOTICE))]


class NoticeShown(Resource):
    """One message to one recipient on one channel, and what became of it. Whom a person is, their id says."""

    id: NoticeIdText
    event: str
    about: Annotated[str, Field(description="The request that it is about; empty for none.")]
    recipient: str
    channel: str
    state: NoticeState
    attempts: int
    at: At
    next_at: At
    error: str | None = None


class Retry(Body):
    """Which notice is tried again; without an id all that were given up."""

    id: NoticeIdText | None = None


class Retried(Resource):
    """How many notices are tried again."""

    retried: int


class ChannelTest(Body):
    """Which channel gets a test message; `email` writes to the caller's own address."""

    channel: Annotated[str, Field(min_length=1, max_length=64)]


class Tested(Resource):
    """Whether a channel took the test message, and why not."""

    channel: str
    taken: bool
    error: str | None = None


@routes.get("/notices", answers=r.Page[NoticeShown])
async def list_notices(
    caller: CallerOf, services: ServicesOf, state: Annotated[NoticeState | None, Query()] = None
) -> r.Page[NoticeShown]:
    """List notices, newest first, at most 200."""
    caller.require_role(Role.ADMIN, Role.AUDITOR)
    found = await services.store.read(lambda tx: tx.outbox.page(state=state, limit=MOST))
    return r.Page(items=[_shown(one) for one in found])


@routes.post("/notices/retry", answers=Retried, problems=("not_found",))
async def retry_dead_notices(body: Retry, caller: CallerOf, services: ServicesOf) -> Retried:
    """Try notices again that were given up."""
    caller.require_role(Role.ADMIN)
    return Retried(retried=await services.courier.retry(None if body.id is None else NoticeId(body.id)))


@routes.post("/notices/test", answers=Tested, problems=("not_found",))
async def test_channel(body: ChannelTest, caller: CallerOf, services: ServicesOf) -> Tested:
    """Send a test message at once."""
    caller.require_role(Role.ADMIN)
    channel = services.courier.channels.get(body.channel)
    if channel is None:
        known = ", ".join(sorted(services.courier.channels)) or "none"
        raise NotFound(f"There is no channel {body.channel}.", next_step=f"Channels of this server: {known}.")
    origins = services.standing.origins
    message = Message(
        id=NoticeId(services.new_id(NOTICE)),
        event="notifications.test",
        at=services.clock.now(),
        subject="This is a test of notifications",
        link=origins[0] if origins else "",
        to=caller.principal.email if body.channel == EMAIL else None,
        head=head_text(services.publishing.head),
    )
    try:
        await channel.send(message)
    except Undelivered as error:
        return Tested(channel=body.channel, taken=False, error=error.why)
    return Tested(channel=body.channel, taken=True)


def _shown(notice: Notice) -> NoticeShown:
    return NoticeShown(
        id=notice.id,
        event=notice.event,
        about=notice.about,
        recipient=notice.recipient,
        channel=notice.channel,
        state=notice.state,
        attempts=notice.attempts,
        at=instant_text(notice.at),
        next_at=instant_text(notice.next_at),
        error=notice.error,
    )
