"""What goes wrong, drawn by the seed of a simulation."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Mapping
from types import MappingProxyType
from typing import Any, Final

from tests.simulation.gateway import revoked
from tests.simulation.world import World

from loglease.audit.interface import Recorded
from loglease.model.errors import LogLeaseError
from loglease.model.instant import Instant

Fault = Callable[[World], Coroutine[Any, Any, None]]


async def cut(world: World) -> None:
    """Cut a server off the database, or one of its connections."""
    links = world.links()
    for link in links:
        link.is_cut = True
    await asyncio.sleep(world.chance.uniform(0.2, 6))
    for link in links:
        link.is_cut = False


async def lose(world: World) -> None:
    """Lose a part of requests and answers."""
    links = world.links()
    for link in links:
        link.lost = world.chance.uniform(0.05, 0.4)
    await asyncio.sleep(world.chance.uniform(0.5, 4))
    for link in links:
        link.lost = 0.0


async def delay(world: World) -> None:
    """Have each way to the database take long."""
    links = world.links()
    for link in links:
        link.slow_s = world.chance.choice((0.1, 0.4, 0.9))
    await asyncio.sleep(world.chance.uniform(0.5, 5))
    for link in links:
        link.slow_s = 0.002


async def fade(world: World) -> None:
    """Have the connection of a server's lease answer late, and then no more."""
    link = world.anywhere().lease_link
    link.slow_s = 0.45
    await asyncio.sleep(world.chance.uniform(0.5, 2))
    link.is_cut, link.slow_s = True, 0.002
    await asyncio.sleep(world.chance.uniform(2.5, 5))
    link.is_cut = False


async def crash(world: World) -> None:
    """End a server without a word, and start it after a while."""
    gateway = world.anywhere()
    gateway.crash()
    await asyncio.sleep(world.chance.choice((0.05, 0.5, 3.0, 35.0)))
    gateway.start()


async def database_stops(world: World) -> None:
    """Stop the database for a while."""
    world.database.is_up = False
    await asyncio.sleep(world.chance.uniform(0.1, 4))
    world.database.is_up = True


async def change_hands(world: World) -> None:
    """Let another instance go on, with all that was committed or without the last of it."""
    await asyncio.sleep(0)
    world.database.change_hands(world.chance.choice((0, 0, 50_000_000, 800_000_000)))
    world.judge.lost(world.database.state.entries[: world.database.state.size])
    world.judge.everything = sum(one.lifted_at is None for one in world.database.state.locks.values())
    for name, grant in world.judge.grants.items():
        grant.holds = len(world.database.state.suspensions.get(name, ()))  # type: ignore[call-overload]


async def stand_still(world: World) -> None:
    """Have everything stand still, while somebody elsewhere takes a grant away."""
    await asyncio.sleep(0)
    seconds = world.chance.choice((0.3, 1.2, 2.5, 6.0))
    world.loop.stop_the_world(seconds / 2)
    if world.grants and world.database.is_up:
        grant = world.chance.choice(world.grants[-4:])

        def work(tx: Any, now: Instant) -> Recorded[None]:
            found = tx.grants.find(grant)
            return Recorded(None, () if found is None else revoked(tx, found, now, world.ids))

        try:
            world.database.change(work)
        except LogLeaseError as error:
            world.judge.refused(type(error).__name__)
    world.loop.stop_the_world(seconds / 2)


async def step_clock(world: World) -> None:
    """Set a server's wall clock ahead or back, and right again."""
    clock = world.anywhere().clock
    clock.ahead_us = world.chance.choice((-3_600, -20, -2, 3, 30, 3_600)) * 1_000_000
    await asyncio.sleep(world.chance.uniform(0.2, 4))
    clock.ahead_us = 0


async def database_ahead(world: World) -> None:
    """Set the database's clock ahead for good."""
    await asyncio.sleep(0)
    world.database.ahead_us += world.chance.randrange(200_000, 2_000_000)
    world.judge.stepped(world.database.ahead_us)


FAULTS: Final[Mapping[Fault, int]] = MappingProxyType(
    {
        cut: 6,
        lose: 6,
        delay: 6,
        fade: 3,
        crash: 4,
        database_stops: 3,
        change_hands: 2,
        stand_still: 4,
        step_clock: 3,
        database_ahead: 1,
    }
)
"""What goes wrong, and how often beside the others."""


async def faults(world: World, until_s: float, kinds: Mapping[Fault, int] = FAULTS) -> None:
    """Let things go wrong until it is time to stop."""
    while world.loop.time() < until_s:
        await asyncio.sleep(world.chance.expovariate(0.7))
        (kind,) = world.chance.choices(tuple(kinds), tuple(kinds.values()))
        world.judge.note("fault", kind.__name__)
        world.run(kind(world))
