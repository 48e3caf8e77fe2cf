"""Whether people meet an approval plan, by the names under which they reviewed."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

Stage = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Voter:
    """An approval that counts.

    Attributes:
        person: the name under which the reviewer is counted; equal for all that may be one human being.
        names: those of the plan under which they reviewed.
    """

    person: str
    names: frozenset[str]


def is_met(plan: Sequence[Stage], voters: Sequence[Voter]) -> bool:
    """Say whether these approvals fill all slots of all stages of a plan, each person one of them at most."""
    for chosen in itertools.product(*map(_choices, plan)):
        seats = [_able(block, voters) for blocks in chosen for block in blocks for _ in range(block["need"])]
        if _matched(seats) == len(seats):
            return True
    return False


def has_slots(plan: Sequence[Stage]) -> bool:
    """Say whether a plan asks for anybody, whichever of its choices is taken."""
    return any(all(any(block["need"] > 0 for block in blocks) for blocks in _choices(stage)) for stage in plan)


def _choices(stage: Stage) -> Iterable[Sequence[Stage]]:
    """Return the sets of blocks of which a stage needs one."""
    if "any_of" in stage:
        return [(block,) for block in stage["any_of"]]
    return [tuple(stage["all_of"]) if "all_of" in stage else (stage,)]


def _able(block: Stage, voters: Sequence[Voter]) -> frozenset[str]:
    wanted = frozenset(block["from"])
    return frozenset(one.person for one in voters if not wanted.isdisjoint(one.names))


def _matched(seats: Sequence[frozenset[str]]) -> int:
    """Return how many seats different people can take at once. Source: augmenting paths, H. W. Kuhn 1955."""
    sits: dict[str, int] = {}
    return sum(_is_seated(seats, seat, sits, set()) for seat in range(len(seats)))


def _is_seated(seats: Sequence[frozenset[str]], seat: int, sits: dict[str, int], tried: set[str]) -> bool:
    for person in sorted(seats[seat] - tried):
        tried.add(person)
        if person not in sits or _is_seated(seats, sits[person], sits, tried):
            sits[person] = seat
            return True
    return False
