"""Which optional values are known to be there, by what stands to the left: ``has(x) && …`` and ``!has(x) || …``."""

from __future__ import annotations

from typing import Final

from loglease.policy.conditions.syntax import Call, Chain, Expression, Unary, path_of

Path = tuple[str, ...]
_NONE: Final[frozenset[Path]] = frozenset()


def present_when_true(node: Expression) -> frozenset[Path]:
    """Return the paths that are there whenever a part is true."""
    match node:
        case Call(receiver=None, name="has", arguments=(argument,)):
            path = path_of(argument)
            return _NONE if path is None else frozenset({path})
        case Unary(op="!", of=of):
            return present_when_false(of)
        case Chain(op="&&", items=items):
            return _NONE.union(*(present_when_true(item) for item in items))
        case _:
            return _NONE


def present_when_false(node: Expression) -> frozenset[Path]:
    """Return the paths that are there whenever a part is false."""
    match node:
        case Unary(op="!", of=of):
            return present_when_true(of)
        case Chain(op="||", items=items):
            return _NONE.union(*(present_when_false(item) for item in items))
        case _:
            return _NONE
