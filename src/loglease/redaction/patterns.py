"""The pattern language: what a rule's pattern may say, how wide its matches are, and the tripwire derived from it.

The language is RE2 without anchors, Unicode classes, unbounded repeats and unnamed groups. Reading it ourselves is what
lets a pack be refused with a reason before any engine has seen it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

MAX_MATCH: Final = 8192
LF: Final = 1 << 0x0A
LAST_PRINTABLE: Final = 0x7E
ALL_BYTES: Final = (1 << 256) - 1


_SPECIAL: Final = frozenset("\\.+*?()|[]{}^$")


class PatternInvalid(ValueError):
    """A pattern is outside the language."""


def _mask(members: bytes) -> int:
    found = 0
    for byte in members:
        found |= 1 << byte
    return found


DIGITS: Final = _mask(b"0123456789")
WORD: Final = _mask(b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ_abcdefghijklmnopqrstuvwxyz")
SPACE: Final = _mask(b"\t\n\f\r ")
_SETS: Final = {
    "d": DIGITS,
    "D": ALL_BYTES & ~DIGITS,
    "w": WORD,
    "W": ALL_BYTES & ~WORD,
    "s": SPACE,
    "S": ALL_BYTES & ~SPACE,
}
_PLAIN: Final = {"t": 0x09, "n": 0x0A, "r": 0x0D, "f": 0x0C}


@dataclass(frozen=True, slots=True)
class Shape:
    """What a pattern can match: length in bytes, which bytes, and its named groups."""

    shortest: int
    longest: int
    members: int
    groups: frozenset[str] = frozenset()

    def then(self, other: Shape) -> Shape:
        """Return the shape of this followed by the other."""
        return Shape(
            self.shortest + other.shortest,
            self.longest + other.longest,
            self.members | other.members,
            self.groups | other.groups,
        )

    def either(self, other: Shape) -> Shape:
        """Return the shape of this or the other."""
        return Shape(
            min(self.shortest, other.shortest),
            max(self.longest, other.longest),
            self.members | other.members,
            self.groups | other.groups,
        )

    def times(self, low: int, high: int) -> Shape:
        """Return the shape of this repeated."""
        return Shape(self.shortest * low, self.longest * high, self.members if high else 0, self.groups)


_NOTHING: Final = Shape(0, 0, 0)


class _Reader:
    """A recursive descent over one pattern."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0

    def fail(self, detail: str) -> PatternInvalid:
        return PatternInvalid(f"{detail} at {self.at} of the pattern")

    def peek(self, word: str) -> bool:
        return self.text.startswith(word, self.at)

    def take(self, word: str) -> bool:
        if self.peek(word):
            self.at += len(word)
            return True
        return False

    def alternation(self) -> Shape:
        shape = self.sequence()
        while self.take("|"):
            shape = shape.either(self.sequence())
        return shape

    def sequence(self) -> Shape:
        shape = _NOTHING
        while self.at < len(self.text) and self.text[self.at] not in "|)":
            shape = shape.then(self.repeated())
        return shape

    def repeated(self) -> Shape:
        atom = self.atom()
        low, high = 1, 1
        if self.take("?"):
            low = 0
        elif self.peek("*") or self.peek("+"):
            raise self.fail("an unbounded repeat")
        elif self.peek("{"):
            low, high = self.bounds()
        if self.peek("{") or self.peek("*") or self.peek("+"):
            raise self.fail("a repeat of a repeat")
        self.take("?")
        return atom.times(low, high)

    def bounds(self) -> tuple[int, int]:
        found = re.compile(r"\{(\d{1,4})(?:,(\d{1,4}))?\}").match(self.text, self.at)
        if found is None:
            raise self.fail("an unbounded or unreadable repeat")
        self.at = found.end()
        low = int(found[1])
        return low, int(found[2]) if found[2] else low

    def atom(self) -> Shape:
        char = self.text[self.at]
        if char == "(":
            return self.group()
        if char == "[":
            return Shape(1, 1, self.klass())
        if char == "\\":
            return self.escape()
        if char in "^$":
            raise self.fail("an anchor")
        if char in "?*+{":
            raise self.fail("a repeat of nothing")
        self.at += 1
        if char == ".":
            return Shape(1, 1, ALL_BYTES & ~LF)
        if ord(char) > LAST_PRINTABLE:
            raise self.fail("a character beyond ASCII")
        return Shape(1, 1, self.folded(ord(char)))

    def folded(self, byte: int) -> int:
        return _mask(bytes([byte]).lower() + bytes([byte]).upper())

    def group(self) -> Shape:
        self.at += 1
        names: frozenset[str] = frozenset()
        if self.take("?P<"):
            end = self.text.find(">", self.at)
            names = frozenset({self.text[self.at : end]})
            self.at = end + 1
        elif self.take("?i)"):
            return _NOTHING
        elif not (self.take("?:") or self.take("?i:")):
            raise self.fail("a group that is neither (?:…) nor named")
        shape = self.alternation()
        if not self.take(")"):
            raise self.fail("a group without an end")
        return Shape(shape.shortest, shape.longest, shape.members, shape.groups | names)

    def escape(self) -> Shape:
        name = self.text[self.at + 1 : self.at + 2]
        if name in {"b", "B"}:
            self.at += 2
            return _NOTHING
        return Shape(1, 1, self.escaped_bytes())

    def escaped_bytes(self) -> int:
        name = self.text[self.at + 1 : self.at + 2]
        self.at += 2
        if name in _SETS:
            return _SETS[name]
        if name in _PLAIN:
            return 1 << _PLAIN[name]
        if name == "x":
            digits = self.text[self.at : self.at + 2]
            if not re.fullmatch(r"[0-9A-Fa-f]{2}", digits):
                raise self.fail("an unreadable \\x escape")
            self.at += 2
            return 1 << int(digits, 16)
        if not name or name.isalnum():
            raise self.fail(f"the escape \\{name}, which the language does not have,")
        return 1 << ord(name)

    def klass(self) -> int:
        self.at += 1
        negated = self.take("^")
        found = 0
        first = True
        while first or not self.peek("]"):
            if self.at >= len(self.text):
                raise self.fail("a class without an end")
            found |= self.class_item()
            first = False
        self.at += 1
        return ALL_BYTES & ~found if negated else found

    def class_item(self) -> int:
        low = self.class_byte()
        if not (self.peek("-") and self.text[self.at + 1 : self.at + 2] not in {"]", ""}):
            return low
        self.at += 1
        high = self.class_byte()
        start, end = low.bit_length() - 1, high.bit_length() - 1
        if end < start:
            raise self.fail("a class range that runs backwards")
        return ((1 << (end + 1)) - 1) & ~((1 << start) - 1)

    def class_byte(self) -> int:
        if self.peek("[:"):
            raise self.fail("a named class")
        if self.peek("\\"):
            return self.escaped_bytes()
        char = self.text[self.at]
        self.at += 1
        if ord(char) > LAST_PRINTABLE:
            raise self.fail("a character beyond ASCII")
        return 1 << ord(char)


def shape_of(pattern: str) -> Shape:
    """Return what a pattern can match.

    Raises:
        PatternInvalid: it is outside the language; says what and where.
    """
    reader = _Reader(pattern)
    shape = reader.alternation()
    if reader.at != len(pattern):
        raise reader.fail("an unexpected )")
    return shape


def checked(pattern: str) -> Shape:
    """Return the shape of a rule's pattern, which must match 1 to 8,192 bytes and never a line end.

    Raises:
        PatternInvalid: it is outside the language or can match what no rule may match.
    """
    shape = shape_of(pattern)
    if shape.shortest < 1:
        raise PatternInvalid("the pattern can match the empty text")
    if shape.longest > MAX_MATCH:
        raise PatternInvalid(f"the pattern can match {shape.longest} bytes, more than {MAX_MATCH}")
    if shape.members & LF:
        raise PatternInvalid("the pattern can match a line end; a negated class has to list \\n")
    return shape


def begins_with(pattern: str, text: str) -> bool:
    """Say whether every match of a pattern begins with a text, because the pattern itself does.

    Raises:
        PatternInvalid: the pattern is outside the language.
    """
    at = 0
    for letter in text:
        is_escaped = pattern.startswith("\\", at) and not letter.isalnum()
        if not pattern.startswith(letter, at + is_escaped) or (letter in _SPECIAL and not is_escaped):
            return False
        at += 1 + is_escaped
    reader = _Reader(pattern)
    reader.at = at
    if reader.peek("?") or reader.peek("{"):
        return False
    reader.sequence()
    return reader.at == len(pattern)


def tripwire_of(pattern: str) -> str:
    """Return a shorter pattern that fires wherever this one matches.

    Names are dropped; a boundary at the end goes; the last repeat is cut to its least number, so that a long secret is
    reported once. What remains matches a beginning of every match, hence a superset.
    """
    plain = re.sub(r"\(\?P<\w+>", "(?:", pattern)
    while True:
        shorter = re.sub(r"(?:(?<!\\)\\b|(?<!\\)[A-Za-z0-9=\"']\{0,\d+\})(\)*)$", r"\1", plain)
        if shorter == plain:
            break
        plain = shorter
    return re.sub(r"\{([1-9]\d*),\d+\}(\)*)$", r"{\1}\2", plain)
