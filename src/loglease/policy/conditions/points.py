"""Whether conditions can hold, found without a solver: by trying all values that make a difference.

Values are chosen one after the other. What is not chosen yet cannot be told, and a condition that is false all the same
is false whatever is chosen for the rest, so that most combinations need not be tried.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Final, Protocol

from loglease.policy.conditions.compiling import Path
from loglease.policy.conditions.values import Fault, Value

MAX_POINTS: Final = 100_000

Roots = Mapping[str, Value]


class Asked(Protocol):
    """A condition, or a part of one."""

    def answer(self, roots: Roots) -> bool | Fault:
        """Return what it says."""
        ...


def can_hold(
    wanted: Asked, values: Mapping[Path, Sequence[Value]], before: Sequence[Asked] = (), *, most: int = MAX_POINTS
) -> bool | None:
    """Say whether a condition can hold while none of some others does.

    Args:
        wanted: the condition.
        values: for each path that any of them reads, what it may be; a path to a member of a record is a path of its
            own only if the record has none.
        before: conditions that must not hold.
        most: so many combinations are looked at.

    Returns:
        None where there are more.
    """
    search = _Search(wanted, before, list(values.items()), most)
    if search.holds({}, 0):
        return True
    return None if search.left < 0 else False


class _Search:
    def __init__(
        self, wanted: Asked, before: Sequence[Asked], values: Sequence[tuple[Path, Sequence[Value]]], most: int
    ) -> None:
        self._wanted = wanted
        self._before = before
        self._values = values
        self.left = most

    def holds(self, roots: Roots, depth: int) -> bool:
        """Say whether it holds somewhere below what is chosen; whether all of that was looked at, tells `left`."""
        self.left -= 1
        if self.left < 0:
            return False
        answer = self._wanted.answer(roots)
        others = [one.answer(roots) for one in self._before]
        if answer is False or any(one is True for one in others):
            return False
        if depth == len(self._values) or (answer is True and all(one is False for one in others)):
            return answer is True
        path, values = self._values[depth]
        return any(self.holds(chosen, depth + 1) for chosen in choices(roots, path, values))


def choices(roots: Roots, path: Path, values: Sequence[Value]) -> Iterator[dict[str, Value]]:
    """Yield what can be read once a path has one value after the other, beside what can be read already."""
    for value in values:
        yield _with(roots, path, value)


def _with(roots: Roots, path: Path, value: Value) -> dict[str, Value]:
    name, *rest = path
    inner = roots.get(name)
    return {**roots, name: _with(inner if isinstance(inner, dict) else {}, tuple(rest), value) if rest else value}
