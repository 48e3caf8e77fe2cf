"""With which literals conditions compare what they read, and where they compare in other ways."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from loglease.policy.conditions.compiling import Path
from loglease.policy.conditions.operations import duration_of
from loglease.policy.conditions.syntax import (
    Binary,
    Call,
    Chain,
    Expression,
    Literal,
    Literals,
    Name,
    Select,
    Unary,
    children,
    path_of,
)
from loglease.policy.conditions.values import Scalar

_SUMS: Final = frozenset({"+", "-"})
_Bound = Mapping[str, Path]
"""For each variable of an `exists` or `all`, the list whose items it stands for."""


@dataclass(frozen=True, slots=True)
class Compared:
    """What some conditions compare.

    Attributes:
        literals: by path, the literals that it is compared with; of a list, those that its items are.
        unclear: paths that are compared in other ways, too: with one another, or by what a function makes of them.
    """

    literals: Mapping[Path, frozenset[Scalar]]
    unclear: frozenset[Path]


def compared(trees: Iterable[Expression]) -> Compared:
    """Return what the conditions with these trees compare."""
    literals: dict[Path, set[Scalar]] = defaultdict(set)
    unclear: set[Path] = set()
    for tree in trees:
        _note(tree, literals, unclear, {})
    return Compared({path: frozenset(found) for path, found in literals.items()}, frozenset(unclear))


def _note(node: Expression, literals: dict[Path, set[Scalar]], unclear: set[Path], bound: _Bound) -> None:
    match node:
        case Literal() | Name() | Select() | Call(name="has"):
            return  # a bool by itself
        case Chain(items=items):
            for item in items:
                _note(item, literals, unclear, bound)
        case Unary(op="!", of=of):
            _note(of, literals, unclear, bound)
        case Call(name="exists" | "all", receiver=Name() | Select() as of, arguments=(Name(name=name), body)):
            _note(body, literals, unclear, {**bound, name: path_of(of) or ()})
        case Binary(op=op, left=left, right=right) if op not in _SUMS and _is_plain(left) and _is_plain(right):
            _note_pair(left, right, literals, unclear, bound)
        case _:
            paths = set(_paths(node, bound))
            unclear |= paths
            for path in paths:  # the best guess at what makes a difference
                literals[path] |= set(_literals(node))


def _is_plain(node: Expression) -> bool:
    return path_of(node) is not None or _constants(node) is not None


def _note_pair(
    left: Expression, right: Expression, literals: dict[Path, set[Scalar]], unclear: set[Path], bound: _Bound
) -> None:
    paths = [path for side in (left, right) if (path := _path(side, bound)) is not None]
    if len(paths) > 1:
        unclear |= set(paths)
        return
    for path in paths:
        literals[path] |= {*_literals(left), *_literals(right)}


def _path(node: Expression, bound: _Bound) -> Path | None:
    path = path_of(node)
    return None if path is None else bound.get(path[0], path)


def _constants(node: Expression) -> list[Scalar] | None:
    match node:
        case Literal(value=value):
            return [value]
        case Literals(items=items):
            return [item.value for item in items]
        case Unary(op="-", of=Literal(value=int() as value)):
            return [-value]
        case Call(name="duration", arguments=(Literal(value=str() as text),)):
            found = duration_of(text)
            return None if found is None else [found]
        case _:
            return None


def _paths(node: Expression, bound: _Bound) -> Iterator[Path]:
    path = _path(node, bound)
    if path is not None:
        yield path
        return
    for child in children(node):
        yield from _paths(child, bound)


def _literals(node: Expression) -> Iterator[Scalar]:
    found = _constants(node)
    yield from found or ()
    for child in () if found is not None else children(node):
        yield from _literals(child)
