"""Whether conditions can hold at all, found without a solver.

A condition compares what it reads with literals, so each thing that it reads has few values that make a difference:
the literals, their neighbours, and something else. These are all tried. Where a condition compares in a way of which
this is not true, nothing is said.
"""

from __future__ import annotations

import itertools
import math
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from loglease.policy.conditions.compiling import Condition, Path
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
    path_of,
)
from loglease.policy.conditions.types import Bool, Duration, Int, Listed, Record, Text, Type
from loglease.policy.conditions.values import Scalar, Value

MAX_POINTS: Final = 20_000
_ELSE: Final = "\x00"
"""A text that no condition names: control characters cannot stand in one."""


class _Unclear(Exception):
    """A comparison of which the values that make a difference are not known."""


def can_hold(wanted: Condition, schema: Record, before: Sequence[Condition] = ()) -> bool | None:
    """Say whether a condition can hold while none of some others does.

    Args:
        wanted: the condition.
        schema: what it was compiled for.
        before: conditions that must not hold.

    Returns:
        None where that cannot be told: they compare in other ways than with literals, or there is too much to try.
    """
    try:
        values = _values([wanted, *before], schema)
    except _Unclear:
        return None
    if math.prod(map(len, values.values())) > MAX_POINTS:
        return None
    return any(
        wanted.answer(roots) is True and not any(one.answer(roots) is True for one in before)
        for roots in _points(values)
    )


def _points(values: Mapping[Path, Sequence[Value]]) -> Iterator[dict[str, Value]]:
    for chosen in itertools.product(*values.values()):
        roots: dict[str, Value] = {}
        for path, value in zip(values, chosen, strict=True):
            inner = roots
            for name in path[:-1]:
                below = inner.setdefault(name, {})
                if not isinstance(below, dict):
                    raise TypeError(f"{'.'.join(path)} is read as a value and as a record")
                inner = below
            inner[path[-1]] = value
        yield roots


def _values(conditions: Sequence[Condition], schema: Record) -> dict[Path, Sequence[Value]]:
    """Return for each path that is read the values that make a difference."""
    literals: dict[Path, set[Scalar]] = defaultdict(set)
    for one in conditions:
        _collect(one.tree, literals, {})
    paths = sorted(frozenset[Path]().union(*(one.reads for one in conditions)))
    return {path: _telling(_type_at(path, schema), literals[path], may_be_empty=path[0] != "req") for path in paths}


def _type_at(path: Path, schema: Record) -> Type:
    found: Type = schema
    for name in path:
        if not isinstance(found, Record):
            raise _Unclear
        field = found.fields[name]
        if field.optional:
            raise _Unclear
        found = field.type
    return found


def _telling(kind: Type, literals: set[Scalar], *, may_be_empty: bool) -> Sequence[Value]:
    match kind:
        case Bool():
            return (False, True)
        case Int() | Duration():
            numbers = {number for one in literals for number in (int(one) - 1, int(one), int(one) + 1)}
            return sorted(numbers) or (0,)
        case Text():
            return _words(kind, literals)
        case Listed(of=Text() as of):
            words = _words(of, literals)
            sizes = range(0 if may_be_empty else 1, len(words) + 1)
            return [chosen for size in sizes for chosen in itertools.combinations(words, size)]
        case _:
            raise _Unclear


def _words(kind: Text, literals: set[Scalar]) -> list[str]:
    """Return the words that are named, and one that stands for all others."""
    named = sorted(str(one) for one in literals)
    if kind.words is None:
        return [*named, _ELSE]
    others = sorted(kind.words.difference(named))
    return [*named, *others[:1]]


def _collect(node: Expression, literals: dict[Path, set[Scalar]], bound: Mapping[str, Path]) -> None:
    """Note with which literals each path is compared."""
    match node:
        case Name() | Select() | Literal():
            return  # a bool by itself
        case Chain(items=items):
            for item in items:
                _collect(item, literals, bound)
        case Unary(op="!", of=of):
            _collect(of, literals, bound)
        case Binary(op=op, left=left, right=right) if op not in {"+", "-"}:
            path, values = _compared(op, left, right, bound)
            literals[path].update(values)
        case Call(name="exists" | "all", receiver=of, arguments=(Name(name=name), body)) if of is not None:
            _collect(body, literals, {**bound, name: _path(of, bound)})
        case _:
            raise _Unclear


def _compared(op: str, left: Expression, right: Expression, bound: Mapping[str, Path]) -> tuple[Path, set[Scalar]]:
    """Return which path a comparison reads, and the literals that it compares it with."""
    if isinstance(right, Literals):
        return _path(left, bound), {item.value for item in right.items}
    if op == "in" or _is_constant(left):
        left, right = right, left
    return _path(left, bound), {_literal(right)}


def _path(node: Expression, bound: Mapping[str, Path]) -> Path:
    path = path_of(node)
    if path is None:
        raise _Unclear
    return bound.get(path[0], path)


def _is_constant(node: Expression) -> bool:
    return isinstance(node, Literal) or (isinstance(node, Call) and node.name == "duration")


def _literal(node: Expression) -> Scalar:
    match node:
        case Literal(value=value):
            return value
        case Call(name="duration", arguments=(Literal(value=str() as text),)):
            found = duration_of(text)
            if found is not None:
                return found
    raise _Unclear
