"""An elevation: a raised debug level under a grant. Values and moves; drivers are in `loglease.elevation`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from types import MappingProxyType
from typing import Final

from loglease.model.errors import IllegalTransition
from loglease.model.ids import ElevationId, GrantId
from loglease.model.instant import Instant
from loglease.model.scope import Level


class ElevationState(StrEnum):
    """Where an elevation stands. A raised one always ends as reverted or failed."""

    PENDING = "pending"
    RAISED = "raised"
    REVERTED = "reverted"
    FAILED = "failed"


class ElevationMove(StrEnum):
    """What may happen to an elevation."""

    RAISE = "raise"
    REVERT = "revert"
    FAIL = "fail"


NEXT: Final[Mapping[tuple[ElevationState, ElevationMove], ElevationState]] = MappingProxyType(
    {
        (ElevationState.PENDING, ElevationMove.RAISE): ElevationState.RAISED,
        (ElevationState.PENDING, ElevationMove.REVERT): ElevationState.REVERTED,
        (ElevationState.PENDING, ElevationMove.FAIL): ElevationState.FAILED,
        (ElevationState.RAISED, ElevationMove.REVERT): ElevationState.REVERTED,
        (ElevationState.RAISED, ElevationMove.FAIL): ElevationState.FAILED,
    }
)


@dataclass(frozen=True, slots=True)
class Target:
    """A running thing whose level can be raised, known by a registered name."""

    name: str
    driver: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Elevation:
    """A raised level of one logger of one target, until an instant that a grant's end may bring forward."""

    id: ElevationId
    grant: GrantId
    target: str
    logger: str
    level: Level
    until: Instant
    state: ElevationState = ElevationState.PENDING
    changed_at: Instant | None = None


def move(elevation: Elevation, how: ElevationMove, *, now: Instant) -> Elevation:
    """Return the elevation after a legal move.

    Raises:
        IllegalTransition: the move is not possible from its state.
    """
    state = NEXT.get((elevation.state, how))
    if state is None:
        raise IllegalTransition(f"{elevation.id} is {elevation.state} and cannot {how}.")
    return replace(elevation, state=state, changed_at=now)
