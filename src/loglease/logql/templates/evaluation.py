"""Templates made ready once and evaluated for each line."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

from loglease.logql.templates.fields import fields_read
from loglease.logql.templates.functions import DECODING, FUNCTIONS, OF_EXPRESSIONS
from loglease.logql.templates.nodes import (
    Action,
    Break,
    Command,
    Constant,
    Dot,
    Function,
    If,
    Node,
    Operand,
    Parenthesised,
    Pipeline,
    Range,
    Text,
    Variable,
)
from loglease.logql.templates.parser import parse_template
from loglease.logql.templates.printing import written
from loglease.logql.templates.values import (
    MAX_OUTPUT,
    MAX_WHOLE,
    Labels,
    Moment,
    TemplateFailed,
    Value,
    is_true,
    text,
    within_limit,
)

MAX_DEPTH: Final = 100
"""How deep decoded JSON may be nested."""
MAX_STEPS: Final = 10_000
"""Nodes and rounds of a range that one line may evaluate; a range in a range could otherwise run for long."""
MAX_WORK: Final = 32 << 20
"""Characters and elements that functions may take and give for one line, so that neither time nor memory runs away."""
_EXPRESSION_WORK: Final = 16 << 10


@dataclass(slots=True, kw_only=True)
class Surroundings:
    """What a template may know beside the labels.

    Attributes:
        line: the line as it is before the stage.
        ns: its time, nanoseconds since the epoch.
        now: the time of the query, nanoseconds since the epoch.
        rescan: redacts a text that a function has just decoded.
    """

    line: str
    ns: int
    now: int
    rescan: Callable[[str], str]


class _Left(Exception):
    """A break or continue on its way to its range."""


class _Broken(_Left):
    pass


class _Continued(_Left):
    pass


@dataclass(slots=True)
class _State:
    surroundings: Surroundings
    out: list[str] = field(default_factory=list)
    size: int = 0
    steps: int = 0
    done: int = 0
    variables: list[tuple[str, list[Value]]] = field(default_factory=list)

    def write(self, piece: str) -> None:
        self.size += len(piece) if piece.isascii() else len(piece.encode())
        within_limit(self.size)
        self.out.append(piece)

    def step(self) -> None:
        self.steps += 1
        if self.steps > MAX_STEPS:
            raise TemplateFailed

    def work(self, *values: Value) -> None:
        self.done += sum(len(one) for one in values if isinstance(one, (str, list, dict)))
        if self.done > MAX_WORK:
            raise TemplateFailed

    def cell(self, name: str) -> list[Value]:
        for known, cell in reversed(self.variables):
            if known == name:
                return cell
        raise TemplateFailed


class Template:
    """A template, read once.

    Raises:
        Malformed: the text is none.
    """

    def __init__(self, source: str) -> None:
        self._nodes = parse_template(source)
        self._plain = _plain_parts(self._nodes)

    @property
    def labels(self) -> frozenset[str | None]:
        """Names of the labels that it can use, with None among them if it may use any."""
        return frozenset(fields_read(self._nodes))

    def fill(self, labels: Mapping[str, str], surroundings: Surroundings) -> str:
        """Return the text for a line.

        Raises:
            TemplateFailed: it cannot be evaluated, or its text would be over 1 MiB.
        """
        if self._plain is not None:
            pieces = [labels.get(part, "") if is_name else part for is_name, part in self._plain]
            if within_limit(sum(map(len, pieces))) * 4 > MAX_OUTPUT:
                within_limit(sum(len(piece.encode()) for piece in pieces))
            return "".join(pieces)
        root = Labels(labels)
        state = _State(surroundings, variables=[("", [root])])
        _run(self._nodes, root, state)
        return "".join(state.out)


def _plain_parts(nodes: tuple[Node, ...]) -> tuple[tuple[bool, str], ...] | None:
    """Return texts and names of labels if the template has nothing else."""
    parts = []
    for node in nodes:
        match node:
            case Text(shown):
                parts.append((False, shown))
            case Action(Pipeline((Command((Dot((name,)),)),), (), _)):
                parts.append((True, name))
            case _:
                return None
    return tuple(parts)


def _run(nodes: tuple[Node, ...], dot: Value, state: _State) -> None:
    known = len(state.variables)
    for node in nodes:
        state.step()
        match node:
            case Text(shown):
                state.write(shown)
            case Action(pipeline):
                result = _pipeline(pipeline, dot, state)
                if not pipeline.variables:
                    state.write(written(result, "<no value>"))
            case If():
                _branch(node, dot, state)
            case Range():
                _repeat(node, dot, state)
            case Break():
                raise _Broken
            case _:
                raise _Continued
    del state.variables[known:]


def _branch(node: If, dot: Value, state: _State) -> None:
    known = len(state.variables)
    value = _pipeline(node.pipeline, dot, state)
    if is_true(value):
        _run(node.body, value if node.moves_dot else dot, state)
    else:
        _run(node.otherwise, dot, state)
    del state.variables[known:]


def _repeat(node: Range, dot: Value, state: _State) -> None:
    known = len(state.variables)
    silent = Pipeline(node.pipeline.commands)
    names = node.pipeline.variables
    ranged = _pipeline(silent, dot, state)
    is_empty = True
    for key, value in _pairs(ranged, state, of_both=len(names) > 1):
        is_empty = False
        state.step()
        for name, one in zip(names, (value,) if len(names) == 1 else (key, value), strict=False):
            if node.pipeline.declares:
                state.variables.append((name, [one]))
            else:
                state.cell(name)[0] = one
        try:
            _run(node.body, value, state)
        except _Broken:
            break
        except _Continued:
            continue
        finally:
            del state.variables[known:]
    if is_empty:
        _run(node.otherwise, dot, state)


def _pairs(value: Value, state: _State, *, of_both: bool) -> Iterable[tuple[Value, Value]]:
    if value is None:
        return ()
    if isinstance(value, list):
        return enumerate(value)
    if isinstance(value, dict):
        state.work(value)
        return sorted(value.items())
    if isinstance(value, int) and not isinstance(value, bool) and not of_both:
        return ((number, number) for number in range(value))
    raise TemplateFailed


def _pipeline(pipeline: Pipeline, dot: Value, state: _State) -> Value:
    value: Value = None
    for number, command in enumerate(pipeline.commands):
        value = _command(command, dot, state, (value,) if number else ())
    for name in pipeline.variables:
        if pipeline.declares:
            state.variables.append((name, [value]))
        else:
            state.cell(name)[0] = value
    return value


def _command(command: Command, dot: Value, state: _State, last: tuple[Value, ...]) -> Value:
    state.step()
    first = command.operands[0]
    if not isinstance(first, Function):
        return _operand(first, dot, state)
    if first.name in ("and", "or"):
        return _short(first.name, command, dot, state, last)
    arguments = [_operand(one, dot, state) for one in command.operands[1:]]
    return _call(first.name, (*arguments, *last), state)


def _short(name: str, command: Command, dot: Value, state: _State, last: tuple[Value, ...]) -> Value:
    """Evaluate `and` and `or` only as far as needed."""
    value: Value = None
    for operand in command.operands[1:]:
        value = _operand(operand, dot, state)
        if is_true(value) is (name == "or"):
            return value
    if last:
        return last[0]
    if len(command.operands) == 1:
        raise TemplateFailed
    return value


def _operand(operand: Operand, dot: Value, state: _State) -> Value:
    match operand:
        case Constant(value):
            return value
        case Dot(fields):
            return _fields(dot, fields)
        case Variable(name, fields):
            return _fields(state.cell(name)[0], fields)
        case Parenthesised(pipeline, fields):
            return _fields(_pipeline(pipeline, dot, state), fields)
        case Function(name):
            return _call(name, (), state)


def _fields(value: Value, names: tuple[str, ...]) -> Value:
    for name in names:
        if not isinstance(value, dict):
            raise TemplateFailed
        value = value[name] if isinstance(value, Labels) else value.get(name)
    return value


def _call(name: str, arguments: tuple[Value, ...], state: _State) -> Value:
    signature = FUNCTIONS[name]
    if not signature.fewest <= len(arguments) <= signature.most:
        raise TemplateFailed
    state.work(*arguments)
    if name in OF_EXPRESSIONS:
        state.done += _EXPRESSION_WORK
    result = _surrounding(name, arguments, state) if signature.call is None else signature.call(*arguments)
    state.work(result)
    if name in DECODING:
        return _rescanned(result, state.surroundings.rescan)
    if isinstance(result, str):
        within_limit(len(result))
    elif isinstance(result, int) and abs(result) > MAX_WHOLE + 1:
        raise TemplateFailed
    return result


def _surrounding(name: str, arguments: tuple[Value, ...], state: _State) -> Value:
    match name:
        case "__line__":
            return state.surroundings.line
        case "__timestamp__":
            return Moment(state.surroundings.ns)
        case "now":
            return Moment(state.surroundings.now)
    try:
        return json.loads(text(arguments[0]), parse_int=_json_number, parse_float=_json_number, parse_constant=_no_json)
    except (ValueError, RecursionError):
        return None


def _json_number(digits: str) -> float | None:
    found = float(digits)
    return found if math.isfinite(found) else None


def _no_json(constant: str) -> Value:
    raise ValueError(constant)


_SURROGATE = re.compile("[\ud800-\udfff]")


def _rescanned(value: Value, rescan: Callable[[str], str], depth: int = 0) -> Value:
    """Redact the texts of what has been decoded; half a character that JSON can escape is none."""
    if depth > MAX_DEPTH:
        raise TemplateFailed
    if isinstance(value, str):
        return rescan(_SURROGATE.sub("\ufffd", value))
    if isinstance(value, dict):
        return {_rescanned(key, rescan): _rescanned(one, rescan, depth + 1) for key, one in value.items()}
    if isinstance(value, list):
        return [_rescanned(one, rescan, depth + 1) for one in value]
    return value
