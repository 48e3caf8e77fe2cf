"""From the text of a query to tokens: white space, comments, strings, names, numbers, flags and operators."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from loglease.logql.errors import ParseError

MAX_BYTES: Final = 128 * 1024


class TokenKind(StrEnum):
    """What a token is."""

    NAME = "name"
    STRING = "string"
    NUMBER = "number"
    FLAG = "flag"
    SIGN = "sign"
    END = "end"


@dataclass(frozen=True, slots=True)
class Token:
    """One token: its text as written (the value for strings) and the position of its first character.

    A number carries its unit, as in ``5m`` or ``10KiB``.
    """

    kind: TokenKind
    text: str
    position: int

    @property
    def shown(self) -> str:
        """The token as an error message names it."""
        if self.kind is TokenKind.END:
            return "the end"
        return f"the string {self.text[:20]!r}" if self.kind is TokenKind.STRING else f"'{self.text[:20]}'"


_SPACE = re.compile(r"(?:[ \t\r\n]+|#[^\n]*|//[^\n]*|/\*.*?\*/)*", re.DOTALL)
_NAME = re.compile(r"[^\W\d]\w*")
_NUMBER = re.compile(r"(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?(?:[A-Za-zµμ]+(?:\d+(?:\.\d+)?[A-Za-zµμ]+)*)?", re.ASCII)
_FLAG = re.compile(r"--[a-z][a-z-]*", re.ASCII)
_SIGN = re.compile(r"\|=|\|~|\|>|!=|!~|!>|=~|==|>=|<=|[{}()\[\],|=<>+\-*/%^@!.:]")
_PLAIN_KINDS: Final = (
    (TokenKind.NAME, _NAME),
    (TokenKind.NUMBER, _NUMBER),
    (TokenKind.FLAG, _FLAG),
    (TokenKind.SIGN, _SIGN),
)
_PLAIN = re.compile(r'[^"\\\n]*')
_SIMPLE: Final = {
    "a": "\a",
    "b": "\b",
    "f": "\f",
    "n": "\n",
    "r": "\r",
    "t": "\t",
    "v": "\v",
    "\\": "\\",
    '"': '"',
}
_CODED: Final = {"x": (re.compile("[0-9A-Fa-f]{2}"), 1), "u": (re.compile("[0-9A-Fa-f]{4}"), 0)}
_OCTAL = re.compile("[0-3][0-7]{2}")
_LONG = re.compile("[0-9A-Fa-f]{8}")


def tokens_of(text: str) -> Iterator[Token]:
    """Yield the tokens of a query, the end last.

    Raises:
        ParseError: a character, string or comment that the language does not have; 128 KiB or more.
    """
    if "\0" in text:
        raise ParseError(text, text.index("\0"), "a query holds no NUL")
    try:
        length = len(text.encode())
    except UnicodeEncodeError as error:
        raise ParseError(text, error.start, "half of a surrogate pair is no character") from error
    if length >= MAX_BYTES:
        raise ParseError(text, 0, f"a query has less than {MAX_BYTES // 1024} KiB")
    position = 0
    while True:
        position = _skipped(text, position)
        if position == len(text):
            yield Token(TokenKind.END, "", position)
            return
        token, position = _token(text, position)
        yield token


def _skipped(text: str, position: int) -> int:
    match = _SPACE.match(text, position)
    position = match.end() if match else position
    if text.startswith("/*", position):
        raise ParseError(text, position, "this comment has no end")
    return position


def _token(text: str, position: int) -> tuple[Token, int]:
    mark = text[position]
    if mark == '"':
        value, end = quoted_string(text, position)
        return Token(TokenKind.STRING, value, position), end
    if mark == "`":
        end = text.find("`", position + 1)
        if end < 0:
            raise ParseError(text, position, "this string has no end")
        return Token(TokenKind.STRING, text[position + 1 : end], position), end + 1
    if mark == "'":
        raise ParseError(text, position, "strings take double quotes or backquotes, not single quotes")
    for kind, pattern in _PLAIN_KINDS:
        if (match := pattern.match(text, position)) is not None:
            return Token(kind, match[0], position), match.end()
    raise ParseError(text, position, f"{mark!r} has no meaning here")


def quoted_string(text: str, start: int) -> tuple[str, int]:
    """Read a string in double quotes; escapes are those of Go and may build UTF-8 byte by byte.

    Returns:
        Its value and the position after the closing quote.

    Raises:
        ParseError: it has no end on its line, or its escapes are none, or are no UTF-8.
    """
    built = bytearray()
    position = start + 1
    while True:
        match = _PLAIN.match(text, position)
        end = match.end() if match else position
        built += text[position:end].encode()
        mark = text[end : end + 1]
        if mark == '"':
            break
        if mark != "\\":
            raise ParseError(text, start, "this string has no end on its line")
        part, position = _escaped(text, end)
        built += part
    try:
        return built.decode(), end + 1
    except UnicodeDecodeError as error:
        raise ParseError(text, start, "the escapes of this string are not UTF-8") from error


def _escaped(text: str, position: int) -> tuple[bytes, int]:
    letter = text[position + 1 : position + 2]
    if letter in _SIMPLE and letter:
        return _SIMPLE[letter].encode(), position + 2
    if (match := _OCTAL.match(text, position + 1)) is not None:
        return bytes([int(match[0], 8)]), match.end()
    if letter in _CODED:
        pattern, single = _CODED[letter]
        if (match := pattern.match(text, position + 2)) is not None:
            code = int(match[0], 16)
            return (bytes([code]) if single else _character(text, position, code)), match.end()
    if letter == "U" and (match := _LONG.match(text, position + 2)) is not None:
        return _character(text, position, int(match[0], 16)), match.end()
    raise ParseError(text, position, f"\\{letter} is no escape of a string")


def _character(text: str, position: int, code: int) -> bytes:
    try:
        return chr(code).encode()
    except (ValueError, OverflowError) as error:
        raise ParseError(text, position, "this escape is no character") from error
