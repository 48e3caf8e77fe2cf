"""Finds where a condition could become true because somebody asks for more.

`"staging" in req.labels.env` holds for staging, and for staging and prod together. So what gives access may look for a
value among a request's labels only to say no; that all of them are allowed is what it can ask for.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from loglease.policy.conditions.syntax import Binary, Call, Chain, Expression, Select, Unary, children, path_of

_LABELS: Final = ("req", "labels")


def widening(node: Expression, *, positive: bool = True) -> Iterator[Expression]:
    """Yield the parts that more labels could make true.

    Args:
        node: a condition, or a part of one.
        positive: whether the condition can become true by this part becoming true.
    """
    match node:
        case Chain(items=items):
            for item in items:
                yield from widening(item, positive=positive)
        case Unary(op="!", of=of):
            yield from widening(of, positive=not positive)
        case Binary(op="in", right=right) if _is_label(right):
            yield from [node] if positive else []
        case Call(name="exists" | "all" as name, receiver=receiver, arguments=(_, body)):
            if receiver is not None and _is_label(receiver) and positive is (name == "exists"):
                yield node
            yield from widening(body, positive=positive)
        case _:
            yield from _labels_in(node)


def _labels_in(node: Expression) -> Iterator[Expression]:
    """Yield labels below a comparison or function, where nothing tells which way they count."""
    if _is_label(node):
        yield node
        return
    for child in children(node):
        yield from _labels_in(child)


def _is_label(node: Expression) -> bool:
    return isinstance(node, Select) and (path_of(node) or ())[:2] == _LABELS
