"""From the text of a template to plain texts and the tokens between ``{{`` and ``}}``."""

from __future__ import annotations

import re
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from loglease.logql.errors import Malformed, ParseError
from loglease.logql.lexer import quoted_string


class Kind(StrEnum):
    """What a token is."""

    TEXT = "text"
    OPEN = "{{"
    CLOSE = "}}"
    SPACE = "space"
    WORD = "word"
    FIELD = "field"
    VARIABLE = "variable"
    STRING = "string"
    NUMBER = "number"
    CHARACTER = "character"
    SIGN = "sign"
    END = "end"


@dataclass(frozen=True, slots=True)
class Token:
    """One token; strings by their value, all else as written."""

    kind: Kind
    text: str


_TRIMMED = " \t\r\n"
_PATTERNS: Final = (
    (Kind.SPACE, re.compile(r"[ \t\r\n]+")),
    (Kind.FIELD, re.compile(r"\.[^\W\d]\w*")),
    (Kind.VARIABLE, re.compile(r"\$\w*")),
    (Kind.NUMBER, re.compile(r"[+-]?(?:\d|\.\d)[\w.]*(?:(?<=[eEpP])[+-]\d+)?", re.ASCII)),
    (Kind.WORD, re.compile(r"[^\W\d]\w*")),
    (Kind.CHARACTER, re.compile(r"'(?:[^'\\\n]|\\.[^'\n]*)'")),
    (Kind.SIGN, re.compile(r":=|[().|=,]")),
)


def tokens_of(text: str) -> Iterator[Token]:
    """Yield the tokens of a template, white space around trim marks gone, the end last.

    Raises:
        Malformed: an action or comment has no end, or holds what no action may.
    """
    position = 0
    trim = False
    while True:
        start = text.find("{{", position)
        before = text[position:] if start < 0 else text[position:start]
        if trim:
            before = before.lstrip(_TRIMMED)
        if start < 0:
            yield Token(Kind.TEXT, before)
            yield Token(Kind.END, "")
            return
        position = start + 2
        if text.startswith("-", position) and text[position + 1 : position + 2] in tuple(_TRIMMED):
            before = before.rstrip(_TRIMMED)
            position += 2
        yield Token(Kind.TEXT, before)
        if text.startswith("/*", position):
            position, trim = _after_comment(text, position + 2)
            continue
        yield Token(Kind.OPEN, "{{")
        position = yield from _action(text, position)
        trim = text[position - 3 : position] == "-}}" and text[position - 4] in _TRIMMED
        yield Token(Kind.CLOSE, "}}")


def _after_comment(text: str, position: int) -> tuple[int, bool]:
    end = text.find("*/", position)
    close = re.compile(r"(?:[ \t\r\n](-))?\}\}").match(text, end + 2) if end >= 0 else None
    if close is None:
        raise Malformed("a comment of the template has no end; write {{/* … */}}")
    return close.end(), close[1] is not None


def _action(text: str, position: int) -> Generator[Token, None, int]:
    """Yield the tokens up to the end of an action; returns the position after it."""
    while True:
        close = re.compile(r"(?:[ \t\r\n]+-)?\}\}").match(text, position)
        if close is not None:
            return close.end()
        token, position = _token(text, position)
        yield token


def _token(text: str, position: int) -> tuple[Token, int]:
    mark = text[position : position + 1]
    if not mark:
        raise Malformed("an action of the template has no end; write {{ … }}")
    if mark == '"':
        try:
            value, end = quoted_string(text, position)
        except ParseError as error:
            raise Malformed("a string of the template has no end, or an escape that is none") from error
        return Token(Kind.STRING, value), end
    if mark == "`":
        end = text.find("`", position + 1)
        if end < 0:
            raise Malformed("a string of the template has no end")
        return Token(Kind.STRING, text[position + 1 : end]), end + 1
    for kind, pattern in _PATTERNS:
        if (match := pattern.match(text, position)) is not None:
            return Token(kind, match[0]), match.end()
    raise Malformed(f"{mark!r} has no meaning in an action of a template")
