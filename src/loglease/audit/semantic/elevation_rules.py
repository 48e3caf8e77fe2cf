"""Rules about raised levels: S21."""

from __future__ import annotations

from loglease.audit.semantic.facts import Data, instant_of
from loglease.audit.semantic.objects import Elevation, Grant
from loglease.audit.semantic.scopes import is_more_verbose
from loglease.audit.semantic.state import State
from loglease.model.instant import MICROSECONDS, Instant


def is_inside_the_grant(state: State, grant: Grant, data: Data, what: str, since: Instant) -> None:
    """S21: target, logger, level and time, from when it was to be raised on, are those that the grant allows."""
    allowed = grant.data.get("elevation")
    fault = None
    if allowed is None:
        fault = "and that raises no level"
    elif data["target"] not in allowed["targets"]:
        fault = f"which does not name {data['target']}"
    elif data["logger"] not in allowed["loggers"]:
        fault = f"which does not name the logger {data['logger']}"
    elif "after" in data and is_more_verbose(data["after"], allowed["level"]):
        fault = f"which allows {allowed['level']} and not {data['after']}"
    elif instant_of(data["until_at"]) > grant.until:
        fault = "which ends before it"
    elif instant_of(data["until_at"]) - since > allowed["duration_s"] * MICROSECONDS:
        fault = f"which allows {allowed['duration_s']} s"
    if fault is not None:
        state.breach("S21", f"{what} is under {grant.id}, {fault}", grant.index)


def is_back_at_baseline(state: State, elevation: Elevation, data: Data) -> None:
    """S21: what is reverted is at its baseline, unless another raised level is still on it."""
    others = (one for one in state.elevations.values() if one is not elevation)
    if any((one.data["target"], one.data["logger"]) == (data["target"], data["logger"]) for one in others):
        return
    if data.get("after", data["baseline"]) != elevation.baseline:
        text = f"{elevation.id} is reverted to {data.get('after', data['baseline'])} and not to {elevation.baseline}"
        state.breach("S21", text, elevation.index)


def is_still_open(state: State, elevation: Elevation) -> None:
    """S21, at the end of the log: a level that is still raised is a finding."""
    late = state.at >= instant_of(elevation.data["until_at"])
    state.finding("S21", f"{elevation.id} is {'overdue' if late else 'still open'}", elevation.index)
