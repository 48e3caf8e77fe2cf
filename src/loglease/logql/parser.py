"""From tokens to the tree, by recursive descent. There is no lenient mode: what is not understood is an error."""

from __future__ import annotations

from typing import Final, Protocol

import re2

from loglease.logql.errors import NotYet, ParseError
from loglease.logql.lexer import Token, TokenKind, tokens_of
from loglease.logql.syntax import FilterOp, LabelTest, LineFilter, LogQuery, MatchOp

MAX_FILTERS: Final = 200
MAX_TESTS: Final = 100
RE2_MEMORY: Final = 8 << 20

_LATER_STAGES: Final = {
    "json": "the parser json",
    "logfmt": "the parser logfmt",
    "regexp": "the parser regexp",
    "pattern": "the parser pattern",
    "unpack": "the parser unpack",
    "line_format": "line_format",
    "label_format": "label_format",
    "decolorize": "decolorize",
    "drop": "drop",
    "keep": "keep",
    "unwrap": "unwrap",
}
_LATER_FILTERS: Final = {
    "|~": "the line filter |~",
    "!~": "the line filter !~",
    "|>": "the pattern filter |>",
    "!>": "the pattern filter !>",
}


def parse(text: str) -> LogQuery:
    """Read a log query; without a selector, as in ``|= "timeout"``, it is about every stream.

    Raises:
        ParseError: the text is no query; the error has line, column and caret.
        NotYet: it uses a part of the language that this version does not evaluate.
    """
    return _Parser(text).query()


class _Parser:
    def __init__(self, text: str) -> None:
        self._text = text
        self._tokens = list(tokens_of(text))
        self._at = 0

    @property
    def _next(self) -> Token:
        return self._tokens[self._at]

    def _taken(self, *signs: str) -> Token | None:
        token = self._next
        if token.kind is TokenKind.SIGN and token.text in signs:
            self._at += 1
            return token
        return None

    def query(self) -> LogQuery:
        tests: tuple[LabelTest, ...] = ()
        if self._taken("{"):
            tests = self._selector()
        elif self._next.kind is TokenKind.NAME:
            raise NotYet(self._text, self._next.position, f"the metric query {self._next.text}")
        elif self._next.kind is TokenKind.SIGN and self._next.text == "(":
            raise NotYet(self._text, self._next.position, "a query in parentheses")
        elif self._next.kind is TokenKind.NUMBER:
            raise NotYet(self._text, self._next.position, "arithmetic")
        filters = []
        while self._next.kind is not TokenKind.END:
            filters.append(self._filter())
            if len(filters) > MAX_FILTERS:
                raise ParseError(self._text, self._next.position, f"a query has at most {MAX_FILTERS} stages")
        return LogQuery(tests, tuple(filters))

    def _selector(self) -> tuple[LabelTest, ...]:
        tests: list[LabelTest] = []
        if self._taken("}"):
            return ()
        while True:
            tests.append(self._test())
            if self._taken("}"):
                return tuple(tests)
            if not self._taken(","):
                raise self._unexpected("',' or '}'")
            if len(tests) >= MAX_TESTS:
                raise ParseError(self._text, self._next.position, f"a selector has at most {MAX_TESTS} matchers")

    def _test(self) -> LabelTest:
        name = self._next
        if name.kind is not TokenKind.NAME:
            raise self._unexpected("a label name")
        self._at += 1
        operator = self._taken("=", "!=", "=~", "!~")
        if operator is None:
            raise self._unexpected("=, !=, =~ or !~")
        value = self._string()
        op = MatchOp(operator.text)
        if op in (MatchOp.MATCHES, MatchOp.NOT_MATCHES):
            self._require_expression(value)
        return LabelTest(name.text, op, value.text)

    def _require_expression(self, token: Token) -> None:
        if expression(token.text) is None:
            raise ParseError(self._text, token.position, "this is no regular expression of RE2")

    def _filter(self) -> LineFilter:
        operator = self._taken("|=", "!=")
        if operator is None:
            raise self._refused_stage()
        literals = [self._operand()]
        while self._next.kind is TokenKind.NAME and self._next.text.lower() == "or":
            self._at += 1
            literals.append(self._operand())
        return LineFilter(FilterOp(operator.text), tuple(literals))

    def _operand(self) -> str:
        if self._next.kind is TokenKind.NAME and self._next.text.lower() == "ip":
            raise NotYet(self._text, self._next.position, "ip()")
        return self._string().text

    def _string(self) -> Token:
        token = self._next
        if token.kind is not TokenKind.STRING:
            raise self._unexpected("a string in double quotes")
        self._at += 1
        return token

    def _refused_stage(self) -> ParseError:
        token = self._next
        if token.kind is TokenKind.SIGN and token.text in _LATER_FILTERS:
            return NotYet(self._text, token.position, _LATER_FILTERS[token.text])
        if token.kind is TokenKind.SIGN and token.text == "|":
            stage = self._tokens[self._at + 1]
            if stage.kind is TokenKind.NAME:
                construct = _LATER_STAGES.get(stage.text.lower(), f"the label filter on {stage.text}")
                return NotYet(self._text, stage.position, construct)
            self._at += 1
            return self._unexpected("a stage")
        if token.kind is TokenKind.SIGN and token.text == "[":
            return NotYet(self._text, token.position, "a range")
        if token.kind is TokenKind.SIGN and token.text == "@":
            return ParseError(self._text, token.position, "@ is not part of LogQL")
        return self._unexpected('|= "…", != "…" or the end')

    def _unexpected(self, expected: str) -> ParseError:
        return ParseError(self._text, self._next.position, f"expected {expected}, found {self._next.shown}")


class Expression(Protocol):
    """A compiled expression; RE2's own class has no public name."""

    def fullmatch(self, text: str, /) -> object | None:
        """Match a whole text."""


def expression(pattern: str) -> Expression | None:
    """Compile the expression of a selector: RE2, dot matches a newline; None if it is none or too large."""
    options = re2.Options()
    options.max_mem = RE2_MEMORY
    options.dot_nl = True
    options.log_errors = False
    try:
        compiled: Expression = re2.compile(pattern, options)
    except re2.error:
        return None
    return compiled
