"""The pattern language: what a rule's pattern may say, and how wide and how costly its matches are.

The language is RE2 without anchors, Unicode classes, unbounded repeats and unnamed groups. Reading it ourselves is what
lets a pack be refused with a reason and a place before any engine has seen it. Not here: texts that a pattern matches
(`samples`).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

MAX_MATCH: Final = 8192
LF: Final = 1 << 0x0A
LAST_PRINTABLE: Final = 0x7E
TAIL: Final = 12  # repeats at the end of a derived tripwire
ALL_BYTES: Final = (1 << 256) - 1
WIDE: Final = 32
"""From how many choices on a repeat is wide: two such side by side cost their product."""

_SPECIAL: Final = frozenset("\\.+*?()|[]{}^$")


class PatternInvalid(ValueError):
    """A pattern is outside the language.

    Args:
        detail: what is wrong with it.
        at: where, counted in characters.
        remedy: what to write instead.
    """

    def __init__(self, detail: str, at: int = 0, remedy: str | None = None) -> None:
        super().__init__(detail)
        self.detail, self.at, self.remedy = detail, at, remedy


def _mask(members: bytes) -> int:
    found = 0
    for byte in members:
        found |= 1 << byte
    return found


DIGITS: Final = _mask(b"0123456789")
WORD: Final = _mask(b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ_abcdefghijklmnopqrstuvwxyz")
SPACE: Final = _mask(b"\t\n\f\r ")
UPPER: Final = _mask(b"ABCDEFGHIJKLMNOPQRSTUVWXYZ")
LOWER: Final = _mask(b"abcdefghijklmnopqrstuvwxyz")
_SETS: Final = {
    "d": DIGITS,
    "D": ALL_BYTES & ~DIGITS,
    "w": WORD,
    "W": ALL_BYTES & ~WORD,
    "s": SPACE,
    "S": ALL_BYTES & ~SPACE,
}
_PLAIN: Final = {"t": 0x09, "n": 0x0A, "r": 0x0D, "f": 0x0C}
_CASE: Final = 32


@dataclass(frozen=True, slots=True)
class OneOf:
    """One byte of a set, given as a mask of 256 bits."""

    members: int
    at: int


@dataclass(frozen=True, slots=True)
class Nothing:
    """What matches no byte: a word boundary, a flag."""

    at: int


@dataclass(frozen=True, slots=True)
class Joined:
    """Parts one behind the other."""

    parts: tuple[Node, ...]
    at: int


@dataclass(frozen=True, slots=True)
class Either:
    """One of several."""

    options: tuple[Node, ...]
    at: int


@dataclass(frozen=True, slots=True)
class Repeat:
    """A part, so many times; `end` is where what says so ends."""

    part: Node
    low: int
    high: int
    at: int
    end: int
    lazy: bool


@dataclass(frozen=True, slots=True)
class Named:
    """A part with a name."""

    name: str
    part: Node
    at: int


Node = OneOf | Nothing | Joined | Either | Repeat | Named


@dataclass(frozen=True, slots=True)
class Shape:
    """What a pattern can match: length in bytes, which bytes, and its named groups."""

    shortest: int
    longest: int
    members: int
    groups: frozenset[str] = frozenset()


_NO_BYTE: Final = Shape(0, 0, 0)


class _Reader:
    """A recursive descent over one pattern."""

    def __init__(self, text: str, at: int = 0) -> None:
        self.text = text
        self.at = at
        self.folding = False

    def fail(self, detail: str, remedy: str | None = None) -> PatternInvalid:
        return PatternInvalid(f"{detail} at {self.at} of the pattern", self.at, remedy)

    def peek(self, word: str) -> bool:
        return self.text.startswith(word, self.at)

    def take(self, word: str) -> bool:
        if self.peek(word):
            self.at += len(word)
            return True
        return False

    def alternation(self) -> Node:
        at = self.at
        options = [self.sequence()]
        while self.take("|"):
            options.append(self.sequence())
        return options[0] if len(options) == 1 else Either(tuple(options), at)

    def sequence(self) -> Node:
        at = self.at
        parts: list[Node] = []
        while self.at < len(self.text) and self.text[self.at] not in "|)":
            parts.append(self.repeated())
        return Joined(tuple(parts), at)

    def repeated(self) -> Node:
        at = self.at
        atom = self.atom()
        low, high = 1, 1
        if self.take("?"):
            low = 0
        elif self.peek("*") or self.peek("+"):
            least = "0" if self.peek("*") else "1"
            raise self.fail("an unbounded repeat", f"say how often at most, such as {{{least},64}}")
        elif self.peek("{"):
            low, high = self.bounds()
        if self.peek("{") or self.peek("*") or self.peek("+"):
            raise self.fail("a repeat of a repeat", "put the inner one into (?:…)")
        end = self.at
        lazy = self.take("?")
        return atom if (low, high) == (1, 1) else Repeat(atom, low, high, at, end, lazy)

    def bounds(self) -> tuple[int, int]:
        found = re.compile(r"\{(\d{1,4})(?:,(\d{1,4}))?\}").match(self.text, self.at)
        if found is None:
            raise self.fail("an unbounded or unreadable repeat", "write {n} or {least,most}; a brace itself is \\{")
        low = int(found[1])
        high = int(found[2]) if found[2] else low
        if high < low:
            raise self.fail("a repeat whose most is less than its least")
        self.at = found.end()
        return low, high

    def atom(self) -> Node:
        at, char = self.at, self.text[self.at]
        if char == "(":
            return self.group()
        if char == "[":
            return OneOf(self.klass(), at)
        if char == "\\":
            return self.escape()
        if char in "^$":
            raise self.fail("an anchor", "rules are tried anywhere in a line; \\b is a word boundary")
        if char in "?*+{":
            raise self.fail("a repeat of nothing", f"the character itself is \\{char}")
        self.at += 1
        if char == ".":
            return OneOf(ALL_BYTES & ~LF, at)
        return OneOf(self.folded(1 << self.ascii(char)), at)

    def ascii(self, char: str) -> int:
        if ord(char) > LAST_PRINTABLE:
            self.at -= 1
            raise self.fail("a character beyond ASCII", "write its bytes of UTF-8 as \\xhh")
        return ord(char)

    def folded(self, members: int) -> int:
        if not self.folding:
            return members
        return members | (members & UPPER) << _CASE | (members & LOWER) >> _CASE

    def group(self) -> Node:
        at = self.at
        self.at += 1
        folding, name = self.folding, None
        if self.take("?P<"):
            end = self.text.find(">", self.at)
            name = self.text[self.at : end] if end >= 0 else ""
            if not re.fullmatch(r"[A-Za-z_]\w{0,31}", name, re.ASCII):
                raise self.fail("a group without a readable name", "write (?P<value>…)")
            self.at = end + 1
        elif self.take("?i)"):
            self.folding = True
            return Nothing(at)
        elif self.take("?i:"):
            self.folding = True
        elif not self.take("?:"):
            raise self.fail("a group that is neither (?:…) nor named", "write (?:…), or (?P<value>…) for `mask`")
        part = self.alternation()
        if not self.take(")"):
            raise self.fail("a group without an end", "add )")
        self.folding = folding
        return part if name is None else Named(name, part, at)

    def escape(self) -> Node:
        at = self.at
        name = self.text[at + 1 : at + 2]
        if name in {"b", "B"}:
            self.at += 2
            return Nothing(at)
        return OneOf(self.folded(self.escaped_bytes()), at)

    def escaped_bytes(self) -> int:
        name = self.text[self.at + 1 : self.at + 2]
        if name in _SETS or name in _PLAIN:
            self.at += 2
            return _SETS[name] if name in _SETS else 1 << _PLAIN[name]
        if name == "x":
            digits = self.text[self.at + 2 : self.at + 4]
            if not re.fullmatch(r"[0-9A-Fa-f]{2}", digits):
                raise self.fail("an unreadable \\x escape", "write two hexadecimal digits: \\x27")
            self.at += 4
            return 1 << int(digits, 16)
        if not name or name.isalnum() or ord(name) > LAST_PRINTABLE:
            raise self.fail(
                f"the escape \\{name}, which the language does not have,", "there are \\d \\w \\s \\b \\xhh"
            )
        self.at += 2
        return 1 << ord(name)

    def klass(self) -> int:
        self.at += 1
        negated = self.take("^")
        found = 0
        first = True
        while first or not self.peek("]"):
            if self.at >= len(self.text):
                raise self.fail("a class without an end", "add ]")
            found |= self.class_item()
            first = False
        self.at += 1
        found = self.folded(found)
        return ALL_BYTES & ~found if negated else found

    def class_item(self) -> int:
        low = self.class_byte()
        if not (self.peek("-") and self.text[self.at + 1 : self.at + 2] not in {"]", ""}):
            return low
        self.at += 1
        high = self.class_byte()
        start, end = low.bit_length() - 1, high.bit_length() - 1
        if end < start or low.bit_count() != 1 or high.bit_count() != 1:
            raise self.fail("a class range that runs backwards or is not between two bytes")
        return ((1 << (end + 1)) - 1) & ~((1 << start) - 1)

    def class_byte(self) -> int:
        if self.peek("[:"):
            raise self.fail("a named class", "write the bytes out: [A-Za-z0-9]")
        if self.peek("\\"):
            return self.escaped_bytes()
        if self.at >= len(self.text):
            raise self.fail("a class without an end", "add ]")
        char = self.text[self.at]
        self.at += 1
        return 1 << self.ascii(char)


def tree_of(pattern: str) -> Node:
    """Read a pattern.

    Raises:
        PatternInvalid: it is outside the language; says what and where.
    """
    reader = _Reader(pattern)
    tree = reader.alternation()
    if reader.at != len(pattern):
        raise reader.fail("an unexpected )", "a bracket itself is \\)")
    return tree


def shape_of_node(node: Node) -> Shape:
    """Return what a part of a pattern can match."""
    if isinstance(node, OneOf):
        return Shape(1, 1, node.members)
    if isinstance(node, Nothing):
        return _NO_BYTE
    if isinstance(node, Named):
        inner = shape_of_node(node.part)
        return Shape(inner.shortest, inner.longest, inner.members, inner.groups | {node.name})
    if isinstance(node, Repeat):
        inner = shape_of_node(node.part)
        return Shape(
            inner.shortest * node.low, inner.longest * node.high, inner.members if node.high else 0, inner.groups
        )
    shapes = [shape_of_node(one) for one in (node.parts if isinstance(node, Joined) else node.options)] or [_NO_BYTE]
    members, groups = 0, frozenset[str]()
    for one in shapes:
        members, groups = members | one.members, groups | one.groups
    if isinstance(node, Joined):
        return Shape(sum(one.shortest for one in shapes), sum(one.longest for one in shapes), members, groups)
    return Shape(min(one.shortest for one in shapes), max(one.longest for one in shapes), members, groups)


def shape_of(pattern: str) -> Shape:
    """Return what a pattern can match.

    Raises:
        PatternInvalid: it is outside the language; says what and where.
    """
    return shape_of_node(tree_of(pattern))


def checked(pattern: str) -> Shape:
    """Return the shape of a rule's pattern, which must match 1 to 8,192 bytes and never a line end.

    Raises:
        PatternInvalid: it is outside the language or can match what no rule may match.
    """
    tree = tree_of(pattern)
    shape = shape_of_node(tree)
    if shape.shortest < 1:
        raise PatternInvalid("the pattern can match the empty text", remedy="let something in it be needed")
    if shape.longest > MAX_MATCH:
        raise PatternInvalid(
            f"the pattern can match {shape.longest} bytes, more than {MAX_MATCH}",
            remedy="lower its repeats; `extend` takes a tail of any length",
        )
    if shape.members & LF:
        raise PatternInvalid(
            "the pattern can match a line end; a negated class has to list \\n",
            next(one.at for one in _leaves(tree) if one.members & LF),
            remedy="write [^…\\n], and [ \\t] for \\s",
        )
    return shape


def _leaves(node: Node) -> Iterator[OneOf]:
    if isinstance(node, OneOf):
        yield node
    for one in _inside(node):
        yield from _leaves(one)


def _inside(node: Node) -> tuple[Node, ...]:
    if isinstance(node, Joined):
        return node.parts
    if isinstance(node, Either):
        return node.options
    return (node.part,) if isinstance(node, Repeat | Named) else ()


def require_linear(pattern: str) -> None:
    """Refuse a pattern that could take very long in `re`, which tries one way after the other.

    Raises:
        PatternInvalid: a repeat stands in a repeat with nothing that keeps their turns apart, or two wide repeats
            that can take the same bytes stand side by side.
    """
    _require_linear(tree_of(pattern))


def _require_linear(node: Node) -> None:
    if isinstance(node, Repeat) and node.high > 1 and _varies(node.part) and not _is_fenced(node.part):
        raise PatternInvalid(
            "a repeat stands inside a repeat",
            node.at,
            remedy="repeat one class, or begin or end each turn with a byte that its rest cannot match",
        )
    if isinstance(node, Joined):
        _require_narrow(node)
    for one in _inside(node):
        _require_linear(one)


def _varies(node: Node) -> bool:
    if isinstance(node, Repeat) and node.high > max(node.low, 1):
        return True
    return any(_varies(one) for one in _inside(node))


def _is_fenced(node: Node) -> bool:
    """Say whether the first or the last byte of each turn cannot be mistaken for another of it."""
    while isinstance(node, Named):
        node = node.part
    if isinstance(node, Either):
        return all(not _varies(one) or _is_fenced(one) for one in node.options)
    parts = [one for one in node.parts if not isinstance(one, Nothing)] if isinstance(node, Joined) else []
    if len(parts) < 2:  # noqa: PLR2004 - a fence and what it keeps apart
        return False
    for fence, others in ((parts[0], parts[1:]), (parts[-1], parts[:-1])):
        shape = shape_of_node(fence)
        apart = not shape.members & shape_of_node(Joined(tuple(others), node.at)).members
        if shape.shortest and apart and not _varies(fence):
            return True
    return False


def _require_narrow(node: Joined) -> None:
    wide: Shape | None = None
    for one in node.parts:
        shape = shape_of_node(one)
        is_wide = isinstance(one, Repeat) and isinstance(one.part, OneOf) and one.high - one.low >= WIDE
        if is_wide and wide is not None and wide.members & shape.members:
            raise PatternInvalid(
                "two wide repeats that can match the same bytes stand side by side",
                one.at,
                remedy="join them into one, or put a byte between them that neither can match",
            )
        if is_wide:
            wide = shape
        elif shape.shortest:
            wide = None


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
    reader = _Reader(pattern, at)
    if reader.peek("?") or reader.peek("{"):
        return False
    reader.sequence()
    return reader.at == len(pattern)


def tripwire_of(pattern: str) -> str:
    """Return a shorter pattern that fires wherever this one matches.

    Names are dropped; a boundary at the end goes; the last repeat is cut to its least number, and to 12, so that a long
    secret is reported once by a small automaton. What remains matches a beginning of every match, hence a superset.
    """
    plain = re.sub(r"\(\?P<\w+>", "(?:", pattern)
    while True:
        shorter = re.sub(r"(?:(?<!\\)\\b|(?<!\\)[A-Za-z0-9=\"']\{0,\d+\})(\)*)$", r"\1", plain)
        if shorter == plain:
            break
        plain = shorter
    return re.sub(r"\{([1-9]\d*)(?:,\d+)?\}(\)*)$", lambda found: f"{{{min(int(found[1]), TAIL)}}}{found[2]}", plain)
