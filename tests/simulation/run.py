"""Run one simulation: let it go wrong, let it heal, and hold it against what was promised."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from tests.simulation.faults import FAULTS, Fault, faults
from tests.simulation.gateway import SimGateway
from tests.simulation.judge import Broken
from tests.simulation.loop import VirtualLoop
from tests.simulation.world import (
    APPROVED_TO_USABLE_S,
    HEALED_S,
    SETTLED_S,
    World,
    approve,
    ask,
    lift_all,
    people,
    take_away,
    world_of,
)

from loglease.model.access_request import RequestState
from loglease.model.session import SessionState

STARTED_S: Final = 0.2


@dataclass(frozen=True)
class Ran:
    """What a simulation was."""

    trace: str
    events: int
    steps: int
    counts: dict[str, int]


def simulate(
    seed: str,
    *,
    seconds: float = 12.0,
    make: Callable[..., SimGateway] = SimGateway,
    kinds: Mapping[Fault, int] = FAULTS,
) -> Ran:
    """Run a simulation of so many seconds with faults, and as long as it takes without them.

    Args:
        kinds: of faults, with how often they come.

    Raises:
        Broken: something that was promised does not hold.
    """
    loop = VirtualLoop()
    world = world_of(seed, loop, make)
    broken: list[BaseException] = []

    def unhandled(_loop: object, context: dict[str, object]) -> None:
        if isinstance(error := context.get("exception"), BaseException):
            broken.append(error)

    loop.set_exception_handler(unhandled)
    try:
        loop.run_until_complete(_story(world, seconds, kinds, broken))
    finally:
        for task in asyncio.all_tasks(loop):
            task.cancel()
        loop.run_until_complete(asyncio.sleep(0))
        loop.close()
    judge = world.judge
    return Ran(judge.trace, judge.events, loop.steps, dict(judge.counts))


async def _story(world: World, seconds: float, kinds: Mapping[Fault, int], broken: list[BaseException]) -> None:
    for gateway in world.gateways:
        gateway.start()
    await asyncio.sleep(STARTED_S)
    await asyncio.gather(people(world, seconds), faults(world, seconds, kinds))
    if world.tasks:
        await asyncio.wait(world.tasks)
    _healed(world)
    await asyncio.sleep(HEALED_S)
    await lift_all(world)
    look_at(world, broken)
    for gateway in world.gateways:
        await _is_usable(world, gateway)
    for grant in list(world.grants):
        await take_away(world, grant, tries=5)
    await asyncio.sleep(SETTLED_S)
    look_at(world, broken)
    _nothing_sticks(world)


def look_at(world: World, broken: list[BaseException]) -> None:
    """Raise what failed on the side."""
    for error in broken:
        raise error
    for task in world.tasks:
        if task.done() and not task.cancelled() and (error := task.exception()) is not None:
            raise error


def _healed(world: World) -> None:
    world.database.is_up = True
    for gateway in world.gateways:
        for link in (gateway.link, gateway.lease_link):
            link.is_cut, link.lost, link.slow_s = False, 0.0, 0.002
        gateway.clock.ahead_us = 0


async def _is_usable(world: World, gateway: SimGateway) -> None:
    """Hold against it how soon what is approved can be used."""
    if not gateway.is_ready:
        raise Broken(f"{gateway.name} does not serve {HEALED_S} s after the last fault")
    name = await ask(world, duration_s=100, lines=100_000, size=10**8)
    grant = None if name is None else await approve(world, gateway, name)
    if grant is None:
        raise Broken(f"{gateway.name} decides nothing after the last fault")
    began = world.loop.time()
    channel = gateway.open(world.who, grant, follow=True)
    while channel.first_ns is None:
        if world.loop.time() > began + APPROVED_TO_USABLE_S:
            raise Broken(f"{grant} cannot be used on {gateway.name}: {gateway.watch.clock_suspect}")
        await asyncio.sleep(0.01)


def _nothing_sticks(world: World) -> None:
    state, now = world.database.state, world.database.now()
    if stuck := [one for one in state.sessions.values() if one.state is not SessionState.CLOSED]:
        raise Broken(f"sessions are open that nobody serves: {stuck}")
    if any(gateway.sessions.open for gateway in world.gateways):
        raise Broken("sessions are served that are closed")
    if any(one.is_live(now) for one in state.grants.values()):
        raise Broken("grants are live that were revoked")
    if any(one.state_at(now) is RequestState.PENDING for one in state.requests.values()):
        raise Broken("requests wait for ever")
