"""The tree of a template."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Constant:
    """A string, number, boolean or ``nil``."""

    value: str | int | float | bool | None


@dataclass(frozen=True, slots=True)
class Dot:
    """``.``, and the fields after it."""

    fields: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Variable:
    """``$name``, and the fields after it; ``$`` alone has the empty name."""

    name: str
    fields: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Function:
    """The name of a function where a value is expected."""

    name: str


@dataclass(frozen=True, slots=True)
class Parenthesised:
    """A pipeline in parentheses, and the fields after it."""

    pipeline: Pipeline
    fields: tuple[str, ...] = ()


Operand = Constant | Dot | Variable | Function | Parenthesised


@dataclass(frozen=True, slots=True)
class Command:
    """A value by itself, or a function with its arguments."""

    operands: tuple[Operand, ...]


@dataclass(frozen=True, slots=True)
class Pipeline:
    """Commands, each with the result of the one before as its last argument.

    Attributes:
        variables: names that take the result; one, or two in a ``range``.
        declares: whether they are new (``:=``) or have been declared before (``=``).
    """

    commands: tuple[Command, ...]
    variables: tuple[str, ...] = ()
    declares: bool = False


@dataclass(frozen=True, slots=True)
class Text:
    """Text as it stands."""

    text: str


@dataclass(frozen=True, slots=True)
class Action:
    """``{{pipeline}}``: writes its result, unless that goes into a variable."""

    pipeline: Pipeline


@dataclass(frozen=True, slots=True)
class If:
    """``if``, or ``with``, which also moves the dot."""

    pipeline: Pipeline
    body: tuple[Node, ...]
    otherwise: tuple[Node, ...]
    moves_dot: bool = False


@dataclass(frozen=True, slots=True)
class Range:
    """``range``: the body once for each element."""

    pipeline: Pipeline
    body: tuple[Node, ...]
    otherwise: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Break:
    """``break``: leave the innermost range."""


@dataclass(frozen=True, slots=True)
class Continue:
    """``continue``: go on with the next element of the innermost range."""


Node = Text | Action | If | Range | Break | Continue
