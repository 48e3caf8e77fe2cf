"""How many sessions one principal may have open: counted in the transaction that opens, whatever comes at once."""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import replace
from typing import Any

import pytest
from tests.access.journey import active_grant
from tests.fakes.world import World, caller, principal

from loglease.access.close_session import close_session
from loglease.access.errors import QueryLimit, TokenRevoked
from loglease.access.open_session import Opened, OpeningUncertain, Places, open_session
from loglease.access.serving import NOTHING
from loglease.audit.interface import AuditUnavailable, Recorded
from loglease.model.grant import Grant
from loglease.model.ids import TOKEN, SessionId, TokenId
from loglease.model.instant import Instant, Interval, after
from loglease.model.rights import Right
from loglease.model.session import CloseWhy, Front, SessionKind, SessionState
from loglease.store.interface import StoredToken, StoreUnavailable, Transaction

PLACES = Places(sessions=5, tails=3)


async def opened(world: World, grant: Grant, kind: SessionKind, **changes: Any) -> Opened:
    now = world.clock.now()
    end = None if kind is SessionKind.TAIL else now * 1_000
    return await open_session(
        grant.id,
        kind=kind,
        front=Front.PLAIN,
        query="{}",
        interval=Interval(now * 1_000 - 10**9, end),
        limit=None,
        caller=changes.pop("caller", caller(principal("alice"), now)),
        replica="one",
        places=changes.pop("places", PLACES),
        **world.ports,
    )


@pytest.mark.parametrize(("kind", "most"), [(SessionKind.TAIL, 3), (SessionKind.QUERY, 5)])
async def test_of_many_that_open_at_once_only_so_many_do(world: World, kind: SessionKind, most: int) -> None:
    grants = [await active_grant(world) for _ in range(4)]
    found = await asyncio.gather(*(opened(world, grant, kind) for grant in grants * 3), return_exceptions=True)
    outcomes = Counter(type(one) for one in found)
    assert outcomes == {Opened: most, QueryLimit: len(found) - most}
    refused = next(one for one in found if isinstance(one, QueryLimit))
    assert str(most) in refused.message
    assert refused.next_step


@pytest.mark.answers_lost("close_session.close_session", "note_call.commit_under", "open_session.open_session")
async def test_tails_leave_places_for_queries_and_an_end_frees_its_place(world: World) -> None:
    grants = [await active_grant(world) for _ in range(2)]
    tails = [await opened(world, grant, SessionKind.TAIL) for grant in (grants[0], grants[0], grants[1])]
    with pytest.raises(QueryLimit, match="3 tails"):
        await opened(world, grants[1], SessionKind.TAIL)
    for _ in range(2):
        await opened(world, grants[1], SessionKind.QUERY)
    with pytest.raises(QueryLimit, match="5 sessions"):
        await opened(world, grants[1], SessionKind.QUERY)
    ports = {key: value for key, value in world.ports.items() if key != "rules"}
    await close_session(tails[0].session.id, why=CloseWhy.CLIENT, settled=NOTHING, cut_ms=None, replica="one", **ports)
    await opened(world, grants[1], SessionKind.TAIL)


async def test_a_token_that_was_revoked_meanwhile_opens_nothing(world: World) -> None:
    grant = await active_grant(world)
    now = world.clock.now()
    token = StoredToken(
        id=TokenId(world.new_id(TOKEN)),
        kind="llp",
        principal=grant.holder,
        lookup="public",
        secret_sha256=b"s" * 32,
        rights=frozenset({Right.LOGS_READ}),
        created_at=now,
        expires_at=after(now, 600),
        epoch=0,
        revoked_at=now,
    )

    def work(tx: Transaction, _now: Instant) -> Recorded[None]:
        tx.tokens.insert(token)
        return Recorded(None)

    await world.log.commit(work)
    who = replace(caller(principal("alice"), now), token=token.id)
    with pytest.raises(TokenRevoked):
        await opened(world, grant, SessionKind.QUERY, caller=who)


async def test_a_refused_opening_activates_nothing_and_costs_nothing(world: World) -> None:
    grant = await active_grant(world)
    none = Places(sessions=1, tails=1)
    await opened(world, grant, SessionKind.QUERY, places=none)
    before = await world.store.read(lambda tx: tx.grants.find(grant.id))
    with pytest.raises(QueryLimit):
        await opened(world, grant, SessionKind.QUERY, places=none)
    assert await world.store.read(lambda tx: tx.grants.find(grant.id)) == before


@pytest.mark.parametrize("failure", [AuditUnavailable, StoreUnavailable])
async def test_an_opening_whose_answer_is_lost_is_refused_and_can_be_closed(
    world: World, failure: type[AuditUnavailable | StoreUnavailable]
) -> None:
    grant = await active_grant(world)
    commit = world.log.commit

    async def lost(work: Any, **options: Any) -> Any:
        await commit(work, **options)
        raise failure("The answer was lost.")

    world.log.commit = lost  # type: ignore[method-assign]
    with pytest.raises(OpeningUncertain) as refused:
        await opened(world, grant, SessionKind.TAIL)
    world.log.commit = commit  # type: ignore[method-assign]
    assert isinstance(refused.value.cause, failure)
    await closed(world, refused.value.session)


async def closed(world: World, session: SessionId) -> None:
    """Close a session, and look that it was open."""
    found = await world.store.read(lambda tx: tx.sessions.find(session))
    assert found is not None
    assert found.state is SessionState.OPEN
    ports = {key: value for key, value in world.ports.items() if key != "rules"}
    await close_session(session, why=CloseWhy.AUDIT, settled=NOTHING, cut_ms=None, replica="one", **ports)
