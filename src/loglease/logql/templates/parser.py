"""From the tokens of a template to its tree."""

from __future__ import annotations

import re
from typing import Final, NamedTuple

from loglease.logql.errors import Malformed, ParseError
from loglease.logql.lexer import quoted_string
from loglease.logql.quantities import number
from loglease.logql.templates.functions import FUNCTIONS
from loglease.logql.templates.nodes import (
    Action,
    Break,
    Command,
    Constant,
    Continue,
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
from loglease.logql.templates.tokens import Kind, Token, tokens_of
from loglease.logql.templates.values import MAX_WHOLE, MIN_WHOLE, read_whole

MAX_NESTING: Final = 50

_REFUSED: Final = frozenset(("define", "template", "block", "call"))
_CONSTANTS: Final[dict[str, bool | None]] = {"true": True, "false": False, "nil": None}


def parse_template(text: str) -> tuple[Node, ...]:
    """Return the tree of a template.

    Raises:
        Malformed: it is none, or calls a function that there is not.
    """
    parser = _Parser(list(tokens_of(text)))
    nodes, closed = parser.nodes(frozenset())
    if closed.word:
        raise Malformed(f"{{{{{closed.word}}}}} of the template closes nothing")
    return nodes


class _Closed(NamedTuple):
    """What ended a list of nodes: the word, and whether more follows it in its action."""

    word: str


class _Parser:
    def __init__(self, tokens: list[Token]) -> None:
        self._tokens = tokens
        self._at = 0
        self._depth = 0
        self._ranges = 0
        self._scopes: list[set[str]] = [{""}]

    @property
    def _next(self) -> Token:
        return self._tokens[self._at]

    def _advance(self) -> Token:
        token = self._tokens[self._at]
        self._at += 1
        return token

    def _at_sign(self, *signs: str) -> bool:
        return self._next.kind is Kind.SIGN and self._next.text in signs

    def _skip_space(self) -> bool:
        if self._next.kind is Kind.SPACE:
            self._at += 1
            return True
        return False

    def _close(self) -> None:
        self._skip_space()
        if self._next.kind is not Kind.CLOSE:
            raise Malformed(f"expected }}}} in the template, found {self._next.text[:20]!r}")
        self._at += 1

    def nodes(self, closers: frozenset[str]) -> tuple[tuple[Node, ...], _Closed]:
        """Read nodes up to ``end`` or ``else``, or the end of the template if there are no closers."""
        self._depth += 1
        if self._depth > MAX_NESTING:
            raise Malformed(f"a template is nested at most {MAX_NESTING} deep")
        found: list[Node] = []
        self._scopes.append(set())
        try:
            while True:
                token = self._advance()
                if token.kind is Kind.TEXT:
                    if token.text:
                        found.append(Text(token.text))
                    continue
                if token.kind is Kind.END:
                    if closers:
                        raise Malformed("an if, with or range of the template has no {{end}}")
                    return tuple(found), _Closed("")
                self._skip_space()
                word = self._next.text if self._next.kind is Kind.WORD else ""
                if word in ("end", "else"):
                    self._at += 1
                    return tuple(found), self._closed(word, closers)
                found.append(self._action(word))
        finally:
            self._scopes.pop()
            self._depth -= 1

    def _closed(self, word: str, closers: frozenset[str]) -> _Closed:
        if word not in closers:
            raise Malformed(f"{{{{{word}}}}} of the template closes nothing")
        return _Closed(word)

    def _action(self, word: str) -> Node:
        if word in _REFUSED:
            raise Malformed(f"{word} is not allowed in a template")
        if word in ("if", "with", "range"):
            self._at += 1
            self._scopes.append(set())
            try:
                return self._control(word)
            finally:
                self._scopes.pop()
        if word in ("break", "continue"):
            self._at += 1
            self._close()
            if not self._ranges:
                raise Malformed(f"{word} of the template is in no range")
            return Break() if word == "break" else Continue()
        pipeline = self._pipeline()
        self._close()
        return Action(pipeline)

    def _control(self, word: str) -> Node:
        pipeline = self._pipeline(ranging=word == "range")
        self._close()
        self._ranges += word == "range"
        body, closed = self.nodes(frozenset(("end", "else")))
        self._ranges -= word == "range"
        otherwise: tuple[Node, ...] = ()
        if closed.word == "else":
            otherwise = self._otherwise(word)
        else:
            self._close()
        if word == "range":
            return Range(pipeline, body, otherwise)
        return If(pipeline, body, otherwise, moves_dot=word == "with")

    def _otherwise(self, word: str) -> tuple[Node, ...]:
        self._skip_space()
        if self._next.kind is Kind.WORD and self._next.text == word and word != "range":
            follower = self._advance().text
            self._depth += 1
            if self._depth > MAX_NESTING:
                raise Malformed(f"a template is nested at most {MAX_NESTING} deep")
            try:
                return (self._control(follower),)
            finally:
                self._depth -= 1
        self._close()
        otherwise, _ = self.nodes(frozenset(("end",)))
        self._close()
        return otherwise

    def _pipeline(self, *, ranging: bool = False) -> Pipeline:
        self._skip_space()
        variables, declares = self._declared(ranging=ranging)
        commands = [self._command()]
        while self._at_sign("|"):
            self._at += 1
            self._skip_space()
            # A sign with nothing behind it is let pass.
            if self._next.kind is not Kind.CLOSE and not self._at_sign(")"):
                commands.append(self._command())
        for command in commands[1:]:
            if not isinstance(command.operands[0], Function):
                raise Malformed("only a function can stand behind | in a template")
        if declares:
            self._scopes[-1].update(variables)
        for name in variables:
            self._require_declared(name)
        return Pipeline(tuple(commands), variables, declares)

    def _declared(self, *, ranging: bool) -> tuple[tuple[str, ...], bool]:
        start = self._at
        names = []
        while self._next.kind is Kind.VARIABLE:
            names.append(self._advance().text[1:])
            self._skip_space()
            if not (ranging and len(names) == 1 and self._at_sign(",")):
                break
            self._at += 1
            self._skip_space()
            if self._next.kind is not Kind.VARIABLE:
                raise Malformed("a range of the template takes one variable or two")
        if names and self._at_sign(":=", "="):
            return tuple(names), self._advance().text == ":="
        self._at = start
        return (), False

    def _require_declared(self, name: str) -> None:
        if not any(name in scope for scope in self._scopes):
            raise Malformed(f"the variable ${name} of the template is not declared")

    def _command(self) -> Command:
        self._skip_space()
        operands = [self._operand()]
        while self._skip_space():
            if self._next.kind in (Kind.CLOSE, Kind.END) or self._at_sign("|", ")"):
                break
            operands.append(self._operand())
        if operands[0] == Constant(None):
            raise Malformed("nil is nothing that a template could evaluate")
        if len(operands) > 1 and not isinstance(operands[0], Function):
            raise Malformed("only a function takes arguments in a template")
        for operand in operands[1:]:
            if isinstance(operand, Function) and FUNCTIONS[operand.name].fewest > 0:
                raise Malformed(f"{operand.name} has arguments of its own: put it into parentheses")
        return Command(tuple(operands))

    def _operand(self) -> Operand:
        token = self._advance()
        match token.kind:
            case Kind.STRING:
                return Constant(token.text)
            case Kind.NUMBER:
                return Constant(_number(token.text))
            case Kind.CHARACTER:
                return Constant(_character(token.text))
            case Kind.WORD:
                return _word(token.text)
            case Kind.FIELD:
                return Dot((token.text[1:], *self._fields()))
            case Kind.VARIABLE:
                self._require_declared(token.text[1:])
                return Variable(token.text[1:], self._fields())
            case Kind.SIGN if token.text == ".":
                return Dot()
            case Kind.SIGN if token.text == "(":
                return self._parenthesised()
        raise Malformed(f"expected a value in the template, found {token.text[:20] or 'its end'!r}")

    def _parenthesised(self) -> Parenthesised:
        self._depth += 1
        if self._depth > MAX_NESTING:
            raise Malformed(f"a template is nested at most {MAX_NESTING} deep")
        pipeline = self._pipeline()
        self._skip_space()
        if not self._at_sign(")"):
            raise Malformed("a parenthesis of the template has no end")
        self._at += 1
        self._depth -= 1
        return Parenthesised(pipeline, self._fields())

    def _fields(self) -> tuple[str, ...]:
        names = []
        while self._next.kind is Kind.FIELD:
            names.append(self._advance().text[1:])
        return tuple(names)


def _word(text: str) -> Operand:
    if text in _CONSTANTS:
        return Constant(_CONSTANTS[text])
    if text in _REFUSED:
        raise Malformed(f"{text} is not allowed in a template")
    if text not in FUNCTIONS:
        raise Malformed(f"templates have no function {text[:40]!r}")
    return Function(text)


def _number(text: str) -> int | float:
    whole = read_whole(text)
    if whole is not None and MIN_WHOLE <= whole <= MAX_WHOLE:
        return whole
    value = number(text) if whole is None and set(text) & set(".eEpP") else None
    if value is None:
        raise Malformed(f"{text[:20]!r} is no number of a template")
    return value


_BYTE = re.compile(r"\\(?:x([0-9A-Fa-f]{2})|([0-3][0-7]{2}))")


def _character(text: str) -> int:
    inner = text[1:-1]
    if (byte := _BYTE.fullmatch(inner)) is not None:
        return int(byte[1], 16) if byte[1] else int(byte[2], 8)
    if inner in ("\\'", '"'):
        return ord(inner[-1])
    try:
        value, _ = quoted_string(f'"{inner}"', 0)
    except ParseError as error:
        raise Malformed(f"{text[:12]} is no character of a template") from error
    if len(value) != 1 or inner == '\\"':
        raise Malformed(f"{text[:12]} is no character of a template")
    return ord(value)
