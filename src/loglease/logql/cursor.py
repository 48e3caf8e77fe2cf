"""A place in the tokens of a query, and the errors that name it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from loglease.logql.errors import Malformed, ParseError
from loglease.logql.lexer import Token, TokenKind, tokens_of
from loglease.logql.words import NOT_PART, RESERVED

MAX_NESTING: Final = 100
"""How deep parentheses and functions are nested, in a query and in its canonical text."""

MAX_INSTRUCTIONS: Final = 1 << 19
"""What the expressions of a query compile to, all in all: as much as one alone may. It takes half a second."""

_CLOSING: Final = ("}", ")", "|", "[")


class Cursor:
    """Reads tokens one after another; `take_…` moves on only if the token fits, `require_…` raises if it does not."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._tokens = list(tokens_of(text))
        self._at = 0
        self._depth = 0
        self._instructions = 0

    @property
    def next(self) -> Token:
        """The token that comes now."""
        return self._tokens[self._at]

    def after(self, count: int = 1) -> Token:
        """Return a later token, the end where there is none."""
        return self._tokens[min(self._at + count, len(self._tokens) - 1)]

    def advance(self) -> Token:
        """Return the token that comes now and move on."""
        token = self._tokens[self._at]
        self._at = min(self._at + 1, len(self._tokens) - 1)
        return token

    def at_sign(self, *signs: str) -> bool:
        """Say whether one of these signs comes now."""
        return self.next.kind is TokenKind.SIGN and self.next.text in signs

    def at_word(self, *words: str) -> bool:
        """Say whether one of these words comes now, in any case."""
        return self.next.kind is TokenKind.NAME and self.next.text.lower() in words

    def take_sign(self, *signs: str) -> Token | None:
        """Move over one of these signs."""
        return self.advance() if self.at_sign(*signs) else None

    def take_word(self, *words: str) -> Token | None:
        """Move over one of these words."""
        return self.advance() if self.at_word(*words) else None

    def require_sign(self, sign: str) -> Token:
        """Move over a sign."""
        return self.take_sign(sign) or self._fail(f"'{sign}'")

    def require_string(self) -> Token:
        """Move over a string."""
        if self.next.kind is not TokenKind.STRING:
            raise self.unexpected("a string in double quotes")
        return self.advance()

    def require_name(self, what: str = "a label name") -> Token:
        """Move over a name that is no reserved word."""
        if self.next.kind is not TokenKind.NAME:
            raise self.unexpected(what)
        word = self.next.text.lower()
        if word in RESERVED:
            raise self.unexpected(f"{what} (the word '{word}' is reserved)")
        if word in NOT_PART and self.after().text != "=":
            raise self.error(NOT_PART[word])
        return self.advance()

    def error(self, message: str, at: Token | None = None) -> ParseError:
        """Return an error at a token, or at the one that comes now."""
        return ParseError(self._text, (at or self.next).position, message)

    def unexpected(self, expected: str) -> ParseError:
        """Return the error that something else should come now."""
        if self.at_sign("@"):
            return self.error("@ is not part of LogQL")
        if self._behind_comma() and (self.next.kind is TokenKind.END or self.at_sign(*_CLOSING)):
            return self.error("a list does not end with a comma", self._tokens[self._at - 1])
        return self.error(f"expected {expected}, found {self.next.shown}")

    @contextmanager
    def nested(self) -> Iterator[None]:
        """Go one level deeper, at most 100."""
        self._depth += 1
        if self._depth > MAX_NESTING:
            raise self.error(f"a query is nested at most {MAX_NESTING} deep")
        try:
            yield
        finally:
            self._depth -= 1

    def count_expression(self, instructions: int, token: Token) -> None:
        """Count what a regular expression compiled to."""
        self._instructions += instructions
        if self._instructions > MAX_INSTRUCTIONS:
            raise self.error("the regular expressions of this query are too large together", token)

    @contextmanager
    def checking(self, token: Token) -> Iterator[None]:
        """Turn what is wrong with the text of a token into an error at its place."""
        try:
            yield
        except Malformed as error:
            raise self.error(str(error), token) from error

    def _behind_comma(self) -> bool:
        before = self._tokens[self._at - 1] if self._at else None
        return before is not None and before.kind is TokenKind.SIGN and before.text == ","

    def _fail(self, expected: str) -> Token:
        raise self.unexpected(expected)
