"""The syntax tree of a condition; `start` and `end` are offsets into its text."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """What all nodes have."""

    start: int
    end: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Literal(Node):
    """A number, a text, or true or false."""

    value: bool | int | str


@dataclass(frozen=True, slots=True, kw_only=True)
class Literals(Node):
    """A list of literals."""

    items: tuple[Literal, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Name(Node):
    """A root, or a variable that `exists` or `all` binds."""

    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Select(Node):
    """A member of a record, written ``.name``, or ``["name"]`` where it is `indexed`."""

    of: Expression
    name: str
    indexed: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Call(Node):
    """A function, or a method where it has a receiver."""

    receiver: Expression | None
    name: str
    arguments: tuple[Expression, ...]
    name_start: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Unary(Node):
    """``!`` or ``-``."""

    op: str
    of: Expression


@dataclass(frozen=True, slots=True, kw_only=True)
class Binary(Node):
    """A comparison, ``in``, ``+`` or ``-``."""

    op: str
    left: Expression
    right: Expression


@dataclass(frozen=True, slots=True, kw_only=True)
class Chain(Node):
    """Two or more operands of ``&&`` or of ``||``."""

    op: str
    items: tuple[Expression, ...]


Expression = Literal | Literals | Name | Select | Call | Unary | Binary | Chain


def path_of(node: Expression) -> tuple[str, ...] | None:
    """Return the names of a chain of members from its root on, or None where it is none."""
    names: list[str] = []
    while isinstance(node, Select):
        names.append(node.name)
        node = node.of
    if not isinstance(node, Name):
        return None
    return (node.name, *reversed(names))


def paths_in(node: Expression) -> Iterator[tuple[str, ...]]:
    """Yield the chains of members that stand in a part, those of bound variables among them."""
    path = path_of(node)
    if path is not None:
        yield path
        return
    for child in children(node):
        yield from paths_in(child)


def children(node: Expression) -> tuple[Expression, ...]:
    """Return the parts that a node is directly made of."""
    match node:
        case Chain(items=items):
            return items
        case Binary(left=left, right=right):
            return (left, right)
        case Unary(of=of) | Select(of=of):
            return (of,)
        case Call(receiver=receiver, arguments=arguments):
            return arguments if receiver is None else (receiver, *arguments)
        case _:
            return ()
