"""From a syntax tree to a checked condition: types, names, words, guards and cost are settled here, once.

What comes of it are closures that read values and return one; no text is ever evaluated. Errors are values (`Fault`):
``&&`` and ``||`` absorb them as CEL has it, everything else passes them on.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

from loglease.policy.conditions import operations
from loglease.policy.conditions.errors import ConditionRefused
from loglease.policy.conditions.guards import present_when_false, present_when_true
from loglease.policy.conditions.parsing import parsed
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
    paths_in,
)
from loglease.policy.conditions.types import (
    BOOL,
    DURATION,
    INT,
    Bool,
    Duration,
    Field,
    Int,
    Listed,
    Record,
    Text,
    Type,
    name_of,
)
from loglease.policy.conditions.values import Fault, Scalar, Value
from loglease.policy.problems import At, did_you_mean, shown

MAX_COST: Final = 2_000
_UNIT: Final = 64
_METHODS: Final = frozenset({"startsWith", "endsWith", "contains", "size", "exists", "all"})
_FUNCTIONS: Final = frozenset({"has", "size", "duration"})
Path = tuple[str, ...]
Run = Callable[[Mapping[str, Value], Any], Any]
"""What computes a part: takes the roots and the item that `exists` or `all` looks at, returns a value or a fault."""


@dataclass(frozen=True, slots=True)
class Part:
    """One of the operands of ``&&`` of which a condition is made, for explanations."""

    text: str
    tree: Expression = field(compare=False, repr=False)
    run: Run = field(compare=False, repr=False)
    _paths: frozenset[Path] | None = field(init=False, default=None, compare=False, repr=False)

    def answer(self, roots: Mapping[str, Value]) -> bool | Fault:
        """Return what this part says by itself."""
        found: bool | Fault = self.run(roots, None)
        return found

    @property
    def paths(self) -> frozenset[Path]:
        """The chains of members in it, those of variables that `exists` and `all` bind among them."""
        found = self._paths
        if found is None:
            found = frozenset(paths_in(self.tree))
            object.__setattr__(self, "_paths", found)
        return found


@dataclass(frozen=True, slots=True)
class Leaf:
    """An operand of ``&&``, ``||`` or ``!`` that is made of none of them: what a condition asks in the end.

    Attributes:
        reads: the paths that it reads, from their roots on.
        at: where it stands, if it is from a file.
    """

    text: str
    tree: Expression = field(compare=False, repr=False)
    reads: frozenset[Path]
    run: Run = field(compare=False, repr=False)
    at: At | None = field(default=None, compare=False)

    def answer(self, roots: Mapping[str, Value]) -> bool | Fault:
        """Return what this leaf says by itself, whatever stands around it."""
        found: bool | Fault = self.run(roots, None)
        return found


@dataclass(frozen=True, slots=True, kw_only=True)
class Condition:
    """A condition that is accepted.

    Attributes:
        text: as written.
        cost: the most steps that an evaluation takes, at most 2,000.
        reads: the paths that it reads, from their roots on.
        parts: the operands of its outermost ``&&``.
        leaves: all that it asks, from left to right; an ``exists`` or ``all`` is one leaf, whatever is in it.
        tree: its syntax.
        at: where it stands, if it is from a file.
    """

    text: str
    cost: int
    reads: frozenset[Path]
    parts: tuple[Part, ...]
    leaves: tuple[Leaf, ...] = field(compare=False, repr=False)
    tree: Expression = field(compare=False, repr=False)
    at: At | None = field(default=None, compare=False)
    run: Run = field(compare=False, repr=False)

    def placed(self, at: Callable[[int, int], At]) -> Condition:
        """Return it with the places of itself and its leaves.

        Args:
            at: gives the place of what stands between two offsets into its text.
        """
        leaves = tuple(
            Leaf(text=one.text, tree=one.tree, reads=one.reads, run=one.run, at=at(one.tree.start, one.tree.end))
            for one in self.leaves
        )
        return replace(self, at=at(0, len(self.text.rstrip())), leaves=leaves)

    def answer(self, roots: Mapping[str, Value]) -> bool | Fault:
        """Evaluate it.

        Args:
            roots: a value for each root of the schema that it was compiled for.

        Returns:
            True, False, or a fault where it is not evaluable. Test it with ``is True``.
        """
        found: bool | Fault = self.run(roots, None)
        return found


def compiled(text: str, schema: Record) -> Condition:
    """Read and check a condition.

    Args:
        text: the condition.
        schema: the roots that it may read.

    Raises:
        ConditionRefused: P200 to P202 and P209 as `parsed`; P203, an optional value without `has()`; P204, types that
            do not fit; P205, an unknown name; P206, an unknown word; P207, it is no bool; P208, a variable that hides a
            root, or `exists` inside another; P210, it costs too much.
    """
    tree = parsed(text)
    checker = _Checker(schema)
    tops = tree.items if isinstance(tree, Chain) and tree.op == "&&" else (tree,)
    whole, parts = checker.chained("&&", tops, frozenset())
    if whole.cost > MAX_COST:
        raise ConditionRefused(
            "P210",
            tree.start,
            tree.end,
            f"the condition costs {whole.cost:,}",
            f"at most {MAX_COST:,}: make it smaller",
        )
    return Condition(
        text=text,
        cost=whole.cost,
        reads=frozenset(checker.reads),
        parts=tuple(Part(text[top.start : top.end], top, part.run) for top, part in zip(tops, parts, strict=True)),
        leaves=tuple(
            Leaf(text[node.start : node.end], node, frozenset(paths_in(node)) & checker.reads, run)
            for node, run in checker.leaves
        ),
        tree=tree,
        run=whole.run,
    )


@dataclass(frozen=True, slots=True)
class _Made:
    """A part that is checked: its type, its cost, and what computes it; of a literal also its value."""

    type: Type
    cost: int
    run: Run
    value: Scalar | None = None


@dataclass(frozen=True, slots=True)
class _Bound:
    """The variable of an `exists` or `all`."""

    name: str
    type: Type


class _Checker:
    """Checks and compiles one condition."""

    def __init__(self, schema: Record) -> None:
        self._schema = schema
        self._bound: _Bound | None = None
        self.reads: set[Path] = set()
        self.leaves: list[tuple[Expression, Run]] = []

    def made(self, node: Expression, present: frozenset[Path]) -> _Made:
        """Check a part.

        Args:
            node: the part.
            present: optional values that are there wherever this part is evaluated.
        """
        match node:
            case Literal():
                return _Made(_type_of(node), 1, operations.constant(node.value), node.value)
            case Literals():
                raise _mistyped(node, "a list of literals stands only behind 'in'")
            case Name() | Select():
                return self._path(node, present)
            case Chain(op=op, items=items):
                return self.chained(op, items, present)[0]
            case Unary():
                return self._unary(node, present)
            case Binary(op="in"):
                return self._membership(node, present)
            case Binary(op="+" | "-"):
                return self._sum(node, present)
            case Binary():
                return self._comparison(node, present)
        return self._call(node, present)

    def chained(self, op: str, items: tuple[Expression, ...], present: frozenset[Path]) -> tuple[_Made, list[_Made]]:
        """Check operands from left to right; each may rely on what those before it made sure of."""
        found = []
        for item in items:
            found.append(self._bool(item, present, "P207" if len(items) == 1 else "P204"))
            present |= present_when_true(item) if op == "&&" else present_when_false(item)
        if len(found) == 1:
            return found[0], found
        runs = tuple(one.run for one in found)
        run = operations.chain(runs, stop=op == "||")
        return _Made(BOOL, sum(one.cost for one in found) + len(found) - 1, run), found

    def _bool(self, node: Expression, present: frozenset[Path], code: str = "P204") -> _Made:
        found = self.made(node, present)
        if not isinstance(found.type, Bool):
            raise _refused(node, code, f"a bool is needed, this is {_article(found.type)}", "compare it with something")
        is_joint = isinstance(node, Chain) or (isinstance(node, Unary) and node.op == "!")
        if self._bound is None and not is_joint:
            self.leaves.append((node, found.run))
        return found

    def _unary(self, node: Unary, present: frozenset[Path]) -> _Made:
        if node.op == "!":
            found = self._bool(node.of, present)
            return _Made(BOOL, found.cost + 1, operations.negation(found.run))
        found = self.made(node.of, present)
        if not isinstance(found.type, Int):
            raise _mistyped(node, f"'-' takes a number, not {_article(found.type)}")
        return _Made(INT, found.cost + 1, operations.negative(found.run))

    def _sum(self, node: Binary, present: frozenset[Path]) -> _Made:
        left, right = self.made(node.left, present), self.made(node.right, present)
        cost = left.cost + right.cost + 1
        if isinstance(left.type, Int) and isinstance(right.type, Int):
            return _Made(INT, cost, operations.number_sum(left.run, right.run, plus=node.op == "+"))
        if isinstance(left.type, Duration) and isinstance(right.type, Duration):
            return _Made(DURATION, cost, operations.duration_sum(left.run, right.run, plus=node.op == "+"))
        kinds = f"{_article(left.type)} and {_article(right.type)}"
        raise _mistyped(node, f"'{node.op}' takes two numbers or two durations, not {kinds}")

    def _comparison(self, node: Binary, present: frozenset[Path]) -> _Made:
        left, right = self.made(node.left, present), self.made(node.right, present)
        _require_same(node, left.type, right.type, node.right)
        if node.op not in {"==", "!="} and not isinstance(left.type, Int | Duration):
            raise _mistyped(node, f"'{node.op}' orders numbers and durations, not {_article(left.type)}")
        if isinstance(left.type, Listed | Record):
            raise _mistyped(node, f"{_article(left.type)} cannot be compared", "use in, size, exists or all")
        if right.value is None:
            run = operations.comparison(node.op, left.run, right.run)
        else:
            run = operations.comparison_with(node.op, left.run, right.value)
        return _Made(BOOL, left.cost + right.cost + 1, run)

    def _membership(self, node: Binary, present: frozenset[Path]) -> _Made:
        left = self.made(node.left, present)
        if isinstance(node.right, Literals):
            for item in node.right.items:
                _require_same(node, left.type, _type_of(item), item)
            if isinstance(left.type, Listed | Record):
                raise _mistyped(node, f"{_article(left.type)} is in no list", "ask for one item")
            values = frozenset(item.value for item in node.right.items)
            return _Made(BOOL, left.cost + 2, operations.among(left.run, values))
        right = self.made(node.right, present)
        if not isinstance(right.type, Listed):
            raise _mistyped(node.right, f"'in' takes a list, not {_article(right.type)}")
        _require_same(node, left.type, right.type.of, node.right, literal=node.left)
        return _Made(BOOL, left.cost + right.cost + 1, operations.membership(left.run, right.run))

    def _path(self, node: Name | Select, present: frozenset[Path]) -> _Made:
        path = path_of(node)
        if path is None:
            raise _mistyped(node, "only records have members")
        if self._bound is not None and path[0] == self._bound.name:
            if len(path) > 1:
                raise _mistyped(node, f"{_article(self._bound.type)} has no members")
            return _Made(self._bound.type, 1, operations.bound)
        field = self._field(node, path, present)
        if field.optional and path not in present:
            raise _unguarded(node, path)
        self.reads.add(path)
        return _Made(field.type, 1, operations.reading(path))

    def _field(self, node: Name | Select, path: Path, present: frozenset[Path]) -> Field:
        """Return what a path leads to; what is optional on the way has to be present."""
        nodes: list[Name | Select] = [node]
        while isinstance(inner := nodes[0], Select) and isinstance(inner.of, Name | Select):
            nodes.insert(0, inner.of)
        known: Field = Field(self._schema)
        for number, (name, at) in enumerate(zip(path, nodes, strict=True)):
            if not isinstance(known.type, Record):
                raise _refused(at, "P205", f"{'.'.join(path[:number])} has no member {shown(name)}")
            if known.optional and path[:number] not in present:
                raise _unguarded(nodes[number - 1], path[:number])
            found = known.type.fields.get(name)
            if found is None:
                what = shown(".".join(path[: number + 1]))
                raise _refused(at, "P205", f"{what} is not known", did_you_mean(name, known.type.fields))
            known = found
        return known

    def _call(self, node: Call, present: frozenset[Path]) -> _Made:
        known = _FUNCTIONS if node.receiver is None else _METHODS
        if node.name not in known:
            end = node.name_start + len(node.name)
            what = f"there is no {'function' if node.receiver is None else 'method'} {shown(node.name)}"
            raise ConditionRefused("P205", node.name_start, end, what, did_you_mean(node.name, known))
        if node.receiver is not None:
            return self._method(node, node.receiver, present)
        if node.name == "has":
            return self._has(node, present)
        if node.name == "duration":
            return _duration(node)
        return self._size(node, _arguments(node, 1)[0], present)

    def _method(self, node: Call, receiver: Expression, present: frozenset[Path]) -> _Made:
        if node.name in {"exists", "all"}:
            return self._quantified(node, receiver, present)
        if node.name == "size":
            _arguments(node, 0)
            return self._size(node, receiver, present)
        return self._text_method(node, receiver, present)

    def _has(self, node: Call, present: frozenset[Path]) -> _Made:
        (argument,) = _arguments(node, 1)
        path = path_of(argument)
        if path is None or not isinstance(argument, Select) or argument.indexed:
            raise _mistyped(node, "has() takes one optional value, behind a dot", "like has(ctx.incident)")
        field = self._field(argument, path, present)
        if not field.optional:
            raise _mistyped(argument, f"{'.'.join(path)} is always there", "has() is for what may be absent")
        self.reads.add(path)
        return _Made(BOOL, 2, operations.has(path))

    def _size(self, node: Call, whose: Expression, present: frozenset[Path]) -> _Made:
        of = self.made(whose, present)
        if not isinstance(of.type, Text | Listed):
            raise _mistyped(node, f"size is for texts and lists, not {_article(of.type)}")
        cost = of.cost + (_cost_of(of.type) if isinstance(of.type, Text) else 1)
        return _Made(INT, cost, operations.size(of.run))

    def _text_method(self, node: Call, receiver: Expression, present: frozenset[Path]) -> _Made:
        (argument,) = _arguments(node, 1)
        of = self.made(receiver, present)
        other = self.made(argument, present)
        if not isinstance(of.type, Text) or not isinstance(other.type, Text):
            wrong = of.type if not isinstance(of.type, Text) else other.type
            raise _mistyped(node, f"{node.name} is for texts, not {_article(wrong)}")
        cost = of.cost + other.cost + _cost_of(of.type)
        return _Made(BOOL, cost, operations.text_method(node.name, of.run, other.run))

    def _quantified(self, node: Call, receiver: Expression, present: frozenset[Path]) -> _Made:
        variable, body = _arguments(node, 2)
        if self._bound is not None:
            raise _refused(node, "P208", f"'{node.name}' stands inside another", "write two conditions")
        if not isinstance(variable, Name):
            raise _mistyped(variable, f"the first argument of {node.name} is a new name", "like .exists(x, x == 'a')")
        if variable.name in self._schema.fields:
            raise _refused(
                variable, "P208", f"'{variable.name}' hides what is called so already", "choose another name"
            )
        if variable.name.startswith("__"):
            raise _refused(variable, "P209", "names that begin with __ are for CEL itself", "choose another name")
        of = self.made(receiver, present)
        if not isinstance(of.type, Listed):
            raise _mistyped(node, f"{node.name} is for lists, not {_article(of.type)}")
        self._bound = _Bound(variable.name, of.type.of)
        holds = self._bool(body, present)
        self._bound = None
        run = operations.quantified(of.run, holds.run, stop=node.name == "exists")
        return _Made(BOOL, of.cost + 1 + of.type.most * holds.cost, run)


def _duration(node: Call) -> _Made:
    (argument,) = _arguments(node, 1)
    text = argument.value if isinstance(argument, Literal) else None
    value = operations.duration_of(text) if isinstance(text, str) else None
    if value is None:
        raise _mistyped(
            argument,
            "duration() takes a literal of whole hours, minutes and seconds, ten years at most",
            'like duration("1h30m")',
        )
    return _Made(DURATION, 1, operations.constant(value), value)


def _arguments(node: Call, count: int) -> tuple[Expression, ...]:
    if len(node.arguments) != count:
        many = f"{count} argument{'' if count == 1 else 's'}"
        raise _refused(node, "P204", f"{node.name} takes {many}, not {len(node.arguments)}")
    return node.arguments


def _cost_of(text: Text) -> int:
    """Return what a function costs that looks at a whole text."""
    return 1 + -(-text.longest // _UNIT)


def _type_of(literal: Literal) -> Bool | Int | Text:
    value = literal.value
    if isinstance(value, bool):
        return BOOL
    return INT if isinstance(value, int) else Text(longest=len(value))


def _require_same(node: Binary, left: Type, right: Type, at: Expression, *, literal: Expression | None = None) -> None:
    """Refuse operands of different types, and words that the other side never has."""
    if type(left) is not type(right):
        raise _mistyped(at, f"{_article(left)} and {_article(right)} cannot be compared")
    if not isinstance(left, Text) or not isinstance(right, Text):
        return
    for text, other in ((node.left if literal is None else literal, right), (at, left)):
        if isinstance(text, Literal) and other.words is not None and text.value not in other.words:
            raise _refused(
                text,
                "P206",
                f"{shown(str(text.value))} is none of its words",
                did_you_mean(str(text.value), other.words),
            )
    if left.words is not None and right.words is not None and left.words.isdisjoint(right.words):
        raise _refused(node, "P206", "these two have no word in common, so that they are never equal")


def _article(kind: Type) -> str:
    name = name_of(kind)
    return name if name.startswith("one of") else f"{'an' if name[0] in 'aeiou' else 'a'} {name}"


def _refused(node: Expression, code: str, message: str, remedy: str | None = None) -> ConditionRefused:
    return ConditionRefused(code, node.start, node.end, message, remedy)


def _mistyped(node: Expression, message: str, remedy: str | None = None) -> ConditionRefused:
    return _refused(node, "P204", message, remedy)


def _unguarded(node: Expression, path: Path) -> ConditionRefused:
    name = ".".join(path)
    return _refused(node, "P203", f"'{name}' may be absent", f"guard it: has({name}) && …")
