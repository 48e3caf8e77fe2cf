"""Templates made ready once and evaluated for each line."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final

import orjson

from loglease.logql.templates.fields import fields_read
from loglease.logql.templates.functions import DECODING, FUNCTIONS
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
    Moment,
    TemplateFailed,
    Value,
    is_true,
    text,
    within_limit,
)

MAX_STEPS: Final = 10_000
"""Nodes that one line may evaluate; a range in a range could otherwise run for long."""


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
    root: Mapping[str, str]
    surroundings: Surroundings
    out: list[str] = field(default_factory=list)
    size: int = 0
    steps: int = 0
    variables: list[tuple[str, list[Value]]] = field(default_factory=list)

    def write(self, piece: str) -> None:
        self.size += len(piece) if piece.isascii() else len(piece.encode())
        within_limit(self.size)
        self.out.append(piece)

    def step(self) -> None:
        self.steps += 1
        if self.steps > MAX_STEPS:
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
            made = "".join([labels.get(part, "") if is_name else part for is_name, part in self._plain])
            if len(made) * 4 > MAX_OUTPUT:
                within_limit(len(made.encode()))
            return made
        state = _State(labels, surroundings, variables=[("", [labels])])
        _run(self._nodes, labels, state)
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
                    state.write(written(result))
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
    pairs = _pairs(_pipeline(silent, dot, state))
    names = node.pipeline.variables
    for key, value in pairs:
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
    if not pairs:
        _run(node.otherwise, dot, state)


def _pairs(value: Value) -> list[tuple[Value, Value]]:
    if value is None:
        return []
    if isinstance(value, list):
        return list(enumerate(value))
    if isinstance(value, Mapping):
        return sorted(value.items())
    if isinstance(value, int) and not isinstance(value, bool):
        if value > MAX_STEPS:
            raise TemplateFailed
        return [(number, number) for number in range(value)]
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
            return _fields(dot, fields, state)
        case Variable(name, fields):
            return _fields(state.cell(name)[0], fields, state)
        case Parenthesised(pipeline, fields):
            return _fields(_pipeline(pipeline, dot, state), fields, state)
        case Function(name):
            return _call(name, (), state)


def _fields(value: Value, names: tuple[str, ...], state: _State) -> Value:
    for name in names:
        if value is None:
            return None
        if not isinstance(value, Mapping):
            raise TemplateFailed
        # A label that is missing is empty; a member that decoded JSON has not is nothing.
        value = value.get(name, "" if value is state.root else None)
    return value


def _call(name: str, arguments: tuple[Value, ...], state: _State) -> Value:
    signature = FUNCTIONS[name]
    if not signature.fewest <= len(arguments) <= signature.most:
        raise TemplateFailed
    result = _surrounding(name, arguments, state) if signature.call is None else signature.call(*arguments)
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
        return _floats(orjson.loads(text(arguments[0])))
    except orjson.JSONDecodeError:
        return None


def _floats(value: Value) -> Value:
    """Turn the whole numbers of decoded JSON into floats, as Go has them."""
    if isinstance(value, dict):
        return {key: _floats(one) for key, one in value.items()}
    if isinstance(value, list):
        return [_floats(one) for one in value]
    return float(value) if isinstance(value, int) and not isinstance(value, bool) else value


def _rescanned(value: Value, rescan: Callable[[str], str]) -> Value:
    if isinstance(value, str):
        return rescan(value)
    if isinstance(value, dict):
        return {rescan(key): _rescanned(one, rescan) for key, one in value.items()}
    if isinstance(value, list):
        return [_rescanned(one, rescan) for one in value]
    return value
