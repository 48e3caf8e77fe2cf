"""One simulation: people who ask, decide, read and take away on two or three servers, and what goes wrong meanwhile."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any, Final

from tests.fakes.gateway import _request, principal
from tests.simulation.database import SimDatabase
from tests.simulation.gateway import Ids, SimGateway, revoked
from tests.simulation.judge import Judge
from tests.simulation.link import Link
from tests.simulation.loop import VirtualLoop

from loglease.access.ending import ended
from loglease.audit.interface import AuditUnavailable, Draft, Recorded
from loglease.model.access_request import AccessRequest, RequestMove, RequestState
from loglease.model.access_request import move as move_request
from loglease.model.errors import LogLeaseError
from loglease.model.grant import Grant, GrantMove
from loglease.model.hold import Lock, LockKind, LockOn, SuspendCause, Suspension
from loglease.model.ids import ENTRY, GRANT, LOCK, REQUEST, EntryId, GrantId, LockId, RequestId
from loglease.model.instant import EventWindow, Instant, after
from loglease.model.limits import Limits
from loglease.model.offer import Outcome, Shape, Terms
from loglease.model.scope import Scope
from loglease.model.selector_text import parse_selector
from loglease.store.interface import StoreUnavailable

APPROVED_TO_USABLE_S: Final = 2.0
HEALED_S: Final = 8.0
"""After so long without faults every server serves again: it starts within five seconds, and looks twice a second."""
SETTLED_S: Final = 60.0
"""After so long no session is open that nobody serves: a server that never comes back is given up after half a minute."""

SCOPE: Final = Scope(
    source="src", selector=parse_selector('{service="a"}'), window=EventWindow(0, None), profile="raw@1"
)


@dataclass
class World:
    """What a simulation consists of."""

    seed: str
    loop: VirtualLoop
    chance: random.Random
    database: SimDatabase
    judge: Judge
    ids: Ids
    gateways: list[SimGateway]
    grants: list[GrantId] = field(default_factory=list)
    locks: list[LockId] = field(default_factory=list)
    held: list[GrantId] = field(default_factory=list)
    who: Any = None
    tasks: set[asyncio.Task[Any]] = field(default_factory=set)

    def run(self, work: Any) -> None:
        """Do something on the side; what fails in it is looked at."""
        task = self.loop.create_task(work)
        self.tasks.add(task)

    def anywhere(self) -> SimGateway:
        """Return some server, whether it works or not."""
        return self.chance.choice(self.gateways)

    def links(self) -> list[Link]:
        """Return some connections of some server: that of its lease, all others, or both."""
        gateway = self.anywhere()
        return self.chance.choice(([gateway.link], [gateway.lease_link], [gateway.link, gateway.lease_link]))

    async def commit(self, gateway: SimGateway, work: Callable[[Any, Instant], Recorded[Any]], tries: int = 1) -> bool:
        """Have a server commit something; say whether it acknowledged that."""
        for _ in range(tries):
            if gateway.is_ready:
                try:
                    await gateway.log.commit(work)
                except (AuditUnavailable, StoreUnavailable):
                    pass
                except LogLeaseError as error:
                    self.judge.refused(type(error).__name__)
                    return False
                else:
                    return True
            await asyncio.sleep(0.3)
        return False


def world_of(seed: str, loop: VirtualLoop, make: Callable[..., SimGateway] = SimGateway) -> World:
    """Return a world before anything has happened."""
    chance = random.Random(seed)  # noqa: S311 - the same in every run
    ids, judge = Ids(), Judge(loop)
    who = replace(principal("alice"), id=ids("prn"), person=ids("per"), subject=ids("sub"))  # type: ignore[arg-type]
    database = SimDatabase(loop, {who.id: who})
    database.watchers.append(judge.committed)
    names = [f"server-{number}" for number in range(chance.choice((2, 3)))]
    gateways = [make(name, database=database, judge=judge, ids=ids, seed=seed, loop=loop) for name in names]
    return World(seed, loop, chance, database, judge, ids, gateways, who=who)


# What people do.


def draft(world: World, kind: str, **ref: str) -> Draft:
    return Draft(id=EntryId(world.ids(ENTRY)), type=kind, actor=world.who.subject, ref=ref)


async def ask(world: World, *, duration_s: int, lines: int, size: int) -> RequestId | None:
    """Submit a request; it waits for three seconds."""
    limits = Limits(lines=lines, bytes=size, tails=50, queries_per_min=10_000)
    terms = Terms(scopes=(SCOPE,), duration_s=duration_s, limits=limits)
    shape = Shape(activate_within_s=5, review_within_s=3)
    name = RequestId(world.ids(REQUEST))

    def work(tx: Any, now: Instant) -> Recorded[None]:
        made = _request(world.who, terms, shape, now)
        pending = replace(
            made, id=name, state=RequestState.PENDING, decided_at=None, decided_by=None, expires_at=after(now, 3)
        )
        tx.requests.insert(pending)
        return Recorded(None, (draft(world, "request.submitted", request=name),))

    return name if await world.commit(world.anywhere(), work) else None


async def approve(world: World, gateway: SimGateway, name: RequestId, tries: int = 1) -> GrantId | None:
    """Approve a request, from which a grant results."""
    grant_id = GrantId(world.ids(GRANT))

    def work(tx: Any, now: Instant) -> Recorded[None]:
        request: AccessRequest = tx.requests.find(name)
        if request is None or tx.grants.find(grant_id) is not None:
            return Recorded(None)  # it was lost, or came about before
        tx.requests.update(move_request(request, RequestMove.APPROVE, by=world.who.id, now=now))
        grant = Grant(
            id=grant_id,
            request=name,
            holder=world.who.id,
            policy="test",
            basis=Outcome.REVIEW,
            reviews=(),
            terms=request.terms,
            shape=request.offer.shape,
            digest=request.digest,
            scheduled_at=now,
            activate_by=after(now, 5),
            key_salt=b"s" * 32,
            epoch=tx.epoch,
        )
        tx.grants.insert(grant)
        limits = grant.terms.limits
        world.judge.lent(grant_id, lines=limits.lines or 0, size=limits.bytes or 0)
        scheduled = draft(world, "grant.scheduled", grant=grant_id, request=name)
        return Recorded(None, (replace(scheduled, data={"holder": world.who.subject}),))

    done = await world.commit(gateway, work, tries)
    if grant_id in world.judge.grants:
        world.grants.append(grant_id)
    return grant_id if done else None


async def deny(world: World, gateway: SimGateway, name: RequestId, how: RequestMove) -> None:
    """Deny or cancel a request."""

    def work(tx: Any, now: Instant) -> Recorded[None]:
        request = tx.requests.find(name)
        if request is None:
            return Recorded(None)
        tx.requests.update(move_request(request, how, by=world.who.id, now=now))
        return Recorded(None, (draft(world, f"request.{how}", request=name),))

    await world.commit(gateway, work)


async def asked_and_decided(world: World) -> None:
    """Ask, and have several people decide at about the same time on several servers."""
    chance = world.chance
    name = await ask(
        world,
        duration_s=chance.choice((1, 2, 4, 8, 30)),
        lines=chance.choice((50, 700, 5_000, 10**6)),
        size=chance.choice((20_000, 10**7, 10**9)),
    )
    if name is None:
        return
    await asyncio.sleep(chance.uniform(0, 0.1))
    deciding = [approve(world, world.anywhere(), name)]
    if chance.random() < 0.2:
        deciding.append(deny(world, world.anywhere(), name, RequestMove.DENY))  # type: ignore[arg-type]
    if chance.random() < 0.1:
        deciding.append(deny(world, world.anywhere(), name, RequestMove.CANCEL))  # type: ignore[arg-type]
    await asyncio.gather(*deciding)


async def take_away(world: World, grant: GrantId, tries: int = 2) -> None:
    """Revoke a grant; where that is acknowledged it is in the journal of the server that says so."""
    gateway = world.anywhere()

    def work(tx: Any, now: Instant) -> Recorded[None]:
        found = tx.grants.find(grant)
        if found is None:
            return Recorded(None)
        return Recorded(None, revoked(tx, found, now, world.ids))

    if await world.commit(gateway, work, tries):
        gateway.journal.add(grant)
        world.judge.note("acknowledged", grant)


async def end(world: World, grant: GrantId, how: GrantMove) -> None:
    """Give a grant back, or write down that its time is over."""

    def work(tx: Any, now: Instant) -> Recorded[None]:
        found = tx.grants.find(grant)
        if found is None:
            return Recorded(None)
        return Recorded(None, ended(tx, found, how, by=None, now=now, new_id=world.ids)[1])

    await world.commit(world.anywhere(), work)


async def suspend(world: World, grant: GrantId) -> None:
    """Suspend a grant, and let it go on after a while."""

    def hold(tx: Any, now: Instant) -> Recorded[None]:
        found = tx.grants.find(grant)
        if found is None or not found.is_live(now) or tx.holds.suspensions(grant):
            return Recorded(None)
        tx.state.suspensions[grant] = (Suspension(grant=grant, cause=SuspendCause.PERSON, reason="a look", since=now),)
        return Recorded(None, (draft(world, "grant.suspended", grant=grant),))

    def lift(tx: Any, now: Instant) -> Recorded[None]:
        del now
        if not tx.state.suspensions.pop(grant, ()):
            return Recorded(None)
        return Recorded(None, (draft(world, "grant.resumed", grant=grant),))

    await world.commit(world.anywhere(), hold)
    await asyncio.sleep(world.chance.uniform(0.1, 3))
    await world.commit(world.anywhere(), lift, tries=100)


async def lock_everything(world: World) -> None:
    """Lock everything, and lift that after a while."""
    name = LockId(world.ids(LOCK))

    def add(tx: Any, now: Instant) -> Recorded[None]:
        if name in tx.state.locks:
            return Recorded(None)
        on = LockOn(LockKind.EVERYTHING, "")
        tx.state.locks[name] = Lock(id=name, on=on, reason="stop", added_by=world.who.id, added_at=now)
        entry = replace(draft(world, "lock.added"), data={"on": "everything"})
        return Recorded(None, (entry,))

    def lift(tx: Any, now: Instant) -> Recorded[None]:
        found = tx.state.locks.get(name)
        if found is None or found.lifted_at is not None:
            return Recorded(None)
        tx.state.locks[name] = replace(found, lifted_at=now)
        return Recorded(None, (draft(world, "lock.lifted"),))

    await world.commit(world.anywhere(), add)
    await asyncio.sleep(world.chance.uniform(0.1, 2))
    await world.commit(world.anywhere(), lift, tries=100)


async def lift_all(world: World) -> None:
    """Lift every lock: one may have come about although nobody was told so."""

    def lift(tx: Any, now: Instant) -> Recorded[None]:
        found = [one for one in tx.state.locks.values() if one.lifted_at is None]
        for one in found:
            tx.state.locks[one.id] = replace(one, lifted_at=now)
        return Recorded(None, tuple(draft(world, "lock.lifted") for _ in found))

    await world.commit(world.gateways[0], lift, tries=5)


async def people(world: World, until_s: float) -> None:
    """Act at random until it is time to stop."""
    chance = world.chance
    while world.loop.time() < until_s:
        await asyncio.sleep(chance.expovariate(8))
        roll = chance.random()
        recent = world.grants[-6:]
        if roll < 0.25 or not recent:
            world.run(asked_and_decided(world))
        elif roll < 0.72:
            gateway = world.anywhere()
            if gateway.is_ready:
                stalls = chance.choice((0, 0, 0, 0.5, 3, 10))
                gateway.open(world.who, chance.choice(recent), follow=chance.random() < 0.7, stalls=stalls)
        elif roll < 0.80:
            world.run(take_away(world, chance.choice(recent)))
        elif roll < 0.86:
            world.run(end(world, chance.choice(recent), chance.choice((GrantMove.RETURN, GrantMove.EXPIRE))))
        elif roll < 0.91:
            world.run(suspend(world, chance.choice(recent)))
        elif roll < 0.93:
            world.run(lock_everything(world))
        elif clients := world.anywhere().clients:
            chance.choice(clients).vanish()
