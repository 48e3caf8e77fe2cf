"""Work that goes on while the process runs: the gateway's lease, the sweeper, clean-up. Each loop is supervised."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Final

import structlog

from loglease.access.clock_doubts import ClockRecorder
from loglease.access.decisions import forget_decisions
from loglease.access.expire_due import expire_due
from loglease.access.keep_grants import Keeper
from loglease.access.pruning import delete_pruned
from loglease.access.pseudonym_keys import forget_key_salts
from loglease.access.refusals import record_refusals
from loglease.access.remind_afterwards import remind_afterwards
from loglease.access.remind_due import remind_due
from loglease.access.start_extensions import Starter
from loglease.server.lifecycle import keep_head
from loglease.server.managed import FOLLOW_EVERY_S, follow
from loglease.server.membership import Membership
from loglease.server.metrics.gauges import measure_lag
from loglease.server.notifications.building import ways_of
from loglease.server.recovery import Recovery
from loglease.server.services import Services
from loglease.server.telemetry import place_of

CLOCK_EVERY_S: Final = 0.25
SWEEP_EVERY_S: Final = 1.0
KEEP_EVERY_S: Final = 1.0
START_EVERY_S: Final = 1.0
REMIND_EVERY_S: Final = 5.0
LATE_EVERY_S: Final = 0.5
HEAD_EVERY_S: Final = 1.0
REPLICAS_EVERY_S: Final = 1.0
REFUSALS_EVERY_S: Final = 30.0
FACTS_EVERY_S: Final = 1.0
LATE_REVIEWS_EVERY_S: Final = 60.0
CLEAN_EVERY_S: Final = 3_600.0
UNKNOWN_EVERY_S: Final = 5.0
RESTART_AFTER_S: Final = 1.0
_log: Final = structlog.get_logger("loglease.loops")


async def supervised(name: str, body: Callable[[], Awaitable[None]]) -> None:
    """Run a loop until it is cancelled; when it fails, say so and start it again after a second."""
    while True:
        try:
            await body()
        except Exception as error:  # noqa: BLE001 - a supervised loop: it is logged, and it goes on
            _log.error("loop_failed", loop=name, error=type(error).__name__, where=place_of(error))
        await asyncio.sleep(RESTART_AFTER_S)


async def _every(seconds: float, step: Callable[[], Awaitable[object]]) -> None:
    while True:
        await step()
        await asyncio.sleep(seconds)


def _telling(services: Services) -> dict[str, Callable[[], Awaitable[None]]]:
    """Return the loops that tell people: one that looks at the clock, and one a channel that sends."""
    courier = services.courier

    async def remind() -> None:
        written = await remind_due(
            store=services.store,
            log=services.log,
            rules=lambda: services.rules.current,
            ways=ways_of(services.settings.notifications),
            new_id=services.new_id,
            now=services.clock.now(),
        )
        if written:
            courier.wake()

    async def remind_late() -> None:
        written = await remind_afterwards(
            store=services.store,
            log=services.log,
            rules=services.rules.current,
            ways=ways_of(services.settings.notifications),
            new_id=services.new_id,
            now=services.clock.now(),
        )
        if written:
            courier.wake()

    def sending(name: str) -> Callable[[], Awaitable[None]]:
        return lambda: courier.run(name)

    return {
        "late_reviews": lambda: _every(LATE_REVIEWS_EVERY_S, remind_late),
        "remind": lambda: _every(REMIND_EVERY_S, remind),
        "unknown_channels": lambda: _every(UNKNOWN_EVERY_S, courier.bury_unknown),
        **{f"notify {name}": sending(name) for name in courier.channels},
    }


@asynccontextmanager
async def running(services: Services) -> AsyncIterator[None]:
    """Keep all loops running inside the block."""

    async def sweep() -> None:
        await expire_due(log=services.log, new_id=services.new_id)

    keeper = Keeper(
        log=services.log,
        store=services.store,
        journal=services.journal,
        clock=services.clock,
        new_id=services.new_id,
        random=services.random,
    )

    async def keep() -> None:
        await keeper.step(services.rules.current)

    starter = Starter(
        log=services.log, store=services.store, watch=services.watch, clock=services.clock, new_id=services.new_id
    )

    async def start() -> None:
        await starter.step(services.rules.current)

    clocks = ClockRecorder(log=services.log, watch=services.watch, replica=services.replica, new_id=services.new_id)

    async def refusals() -> None:
        await record_refusals(services.refusals.due(services.clock.now()), log=services.log)

    async def head() -> None:
        await keep_head(services.head, services.store, services.publishing.publisher.head)

    async def clean_up() -> None:
        await services.tokens.clean_up()
        await services.courier.forget()
        await forget_decisions(log=services.log)
        await forget_key_salts(log=services.log)
        await services.publishing.forget(await delete_pruned(log=services.log))

    bodies: dict[str, Callable[[], Awaitable[None]]] = {
        "watch": services.watch.run,
        "clock": lambda: _every(CLOCK_EVERY_S, clocks.step),
        "sweep": lambda: _every(SWEEP_EVERY_S, sweep),
        "keep": lambda: _every(KEEP_EVERY_S, keep),
        "start": lambda: _every(START_EVERY_S, start),
        "sign": services.publishing.sign,
        "publish": services.publishing.publish,
        "self_check": lambda: _every(services.settings.audit.self_check_s, services.publishing.check_all),
        "head": lambda: _every(HEAD_EVERY_S, head),
        "late": lambda: _every(LATE_EVERY_S, Recovery(services).step),
        **(
            {"replicas": lambda: _every(REPLICAS_EVERY_S, Membership(services).step)}
            if services.store.is_shared
            else {}
        ),
        "lag": lambda: measure_lag(services.metrics),
        "facts": lambda: _every(FACTS_EVERY_S, services.facts.refresh),
        "refusals": lambda: _every(REFUSALS_EVERY_S, refusals),
        "clean_up": lambda: _every(CLEAN_EVERY_S, clean_up),
        "policy": lambda: _every(FOLLOW_EVERY_S, lambda: follow(services)),
        "required sinks": services.sinks.watch,
        **{f"sink {one.name}": one.run for one in services.sinks.deliveries},
        **(_telling(services) if services.settings.http.serve != "gateway" else {}),
    }
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(supervised(name, body), name=name) for name, body in bodies.items()]
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()
