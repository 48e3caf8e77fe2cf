"""What other documents would make of recorded decisions: bounded in time and number, one at a time, off the event loop.

Nothing is half an answer: a simulation that does not get to its end in time is refused, with what would help.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from loglease.access.caller import Caller
from loglease.access.decisions import KEPT_S, decisions_page
from loglease.access.policy_changes import require_may_look
from loglease.access.rules import Rules
from loglease.model.errors import LogLeaseError, Malformed
from loglease.model.instant import Instant, after, duration_text
from loglease.policy.decision_records import read_decision
from loglease.policy.simulation import Simulation, Summary
from loglease.server.managed import loaded
from loglease.server.services import Services

SINCE_S: Final = 30 * 86_400
MOST_S: Final = KEPT_S
MOST: Final = 50_000
WITHIN_S: Final = 20
_A_TIME: Final = 500
_NS: Final = 1_000_000_000


class SimulationTooLarge(LogLeaseError):
    """There are more decisions than can be replayed in time."""

    code = "simulation_too_large"


class SimulationRunning(LogLeaseError):
    """Another simulation is under way; there is one at a time."""

    code = "simulation_running"


@dataclass(frozen=True, slots=True, kw_only=True)
class Simulated:
    """What came of a simulation.

    Attributes:
        since: from when on decisions were replayed.
        present: the rules that the new documents were compared with.
        new: the rules of the new documents.
    """

    since: Instant
    present: Rules
    new: Rules
    summary: Summary


async def simulated(
    services: Services, caller: Caller, files: Mapping[str, str], *, since_s: int = SINCE_S, within_s: int = WITHIN_S
) -> Simulated:
    """Replay the decisions of the last so many seconds by other documents, beside those in force.

    Raises:
        NotPermitted: the caller may not look at policy.
        PolicyInvalid: the documents have errors.
        SimulationRunning: another one is under way here.
        SimulationTooLarge: it would take longer than `within_s`, or there are more than 50,000 decisions.
    """
    require_may_look(caller)
    standing = services.standing
    if standing.simulating.locked():
        raise SimulationRunning(
            "Another simulation is running on this server.", next_step="Try again in a few seconds."
        )
    async with standing.simulating:
        ends_ns = services.clock.boot_ns() + within_s * _NS
        new, present = await loaded(services, files), services.rules.current
        since = after(services.clock.now(), -since_s)
        simulation = Simulation(new.bundle, new.profiles, present=present.bundle)
        summary, behind = Summary(), 0
        while rows := await _rows(services, caller, since, behind):
            behind = rows[-1][0]
            late = await asyncio.to_thread(
                _replay, simulation, summary, rows, lambda: services.clock.boot_ns() > ends_ns
            )
            if late or summary.total > MOST:
                raise _too_large(summary.total, since_s, within_s)
        return Simulated(since=since, present=present, new=new, summary=summary)


async def _rows(services: Services, caller: Caller, since: Instant, behind: int) -> Sequence[tuple[int, str]]:
    return await services.store.read(lambda tx: decisions_page(tx, caller, since=since, behind=behind, limit=_A_TIME))


def _replay(
    simulation: Simulation, summary: Summary, rows: Sequence[tuple[int, str]], is_late: Callable[[], bool]
) -> bool:
    """Replay some decisions; say whether time was over before the last of them."""
    for position, document in rows:
        if is_late():
            return True
        try:
            record = read_decision(document.encode(), position)
        except Malformed:
            summary.leave_out("it was kept in a form that this version does not read")
            continue
        for one in simulation.replay([record]):
            summary.add(one)
    return False


def _too_large(done: int, since_s: int, within_s: int) -> SimulationTooLarge:
    return SimulationTooLarge(
        f"{done:,} of the decisions of {duration_text(since_s)} were replayed in {within_s} s, and there are more.",
        next_step="Ask for less time, or replay them yourself: loglease policy simulate NEW --decisions FILE",
    )
