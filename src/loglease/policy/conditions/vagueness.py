"""Finds where a condition could become true because somebody asks for more.

`"staging" in req.labels.env` holds for staging, and for staging and prod together. So what gives access may look for a
value among a request's labels only to say no; that all of them are allowed is what it can ask for. A fact that is asked
for each value of a label is alike: one that is true for any of them may only say no, one that is true for all only yes.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Final

from loglease.policy.conditions.syntax import Binary, Call, Chain, Expression, Name, Select, Unary, children, path_of

Path = tuple[str, ...]
LABELS: Final = ("req", "labels")


def widening(
    node: Expression, *, positive: bool = True, turning: Mapping[Path, bool] = MappingProxyType({})
) -> Iterator[Expression]:
    """Yield the parts that more labels could make true.

    Args:
        node: a condition, or a part of one.
        positive: whether the condition can become true by this part becoming true.
        turning: paths of bools that more labels can turn, and what they can turn into.
    """
    match node:
        case Chain(items=items):
            for item in items:
                yield from widening(item, positive=positive, turning=turning)
        case Unary(op="!", of=of):
            yield from widening(of, positive=not positive, turning=turning)
        case Name() | Select() if (turns := turning.get(path_of(node) or ())) is not None:
            yield from [node] if turns is positive else []
        case Binary(op="in", right=right) if _is_label(right):
            yield from [node] if positive else []
        case Call(name="exists" | "all" as name, receiver=receiver, arguments=(_, body)):
            if receiver is not None and _is_label(receiver) and positive is (name == "exists"):
                yield node
            yield from widening(body, positive=positive, turning=turning)
        case _:
            yield from _unclear_in(node, turning)


def _unclear_in(node: Expression, turning: Mapping[Path, bool]) -> Iterator[Expression]:
    """Yield what more labels change below a comparison or function, where nothing tells which way it counts."""
    if _is_label(node) or (path_of(node) or ()) in turning:
        yield node
        return
    for child in children(node):
        yield from _unclear_in(child, turning)


def _is_label(node: Expression) -> bool:
    return isinstance(node, Select) and (path_of(node) or ())[:2] == LABELS
