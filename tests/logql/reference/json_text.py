"""JSON read by recursion, numbers as written, each value reported as soon as it is complete."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field

ESCAPES = {'"': '"', "\\": "\\", "/": "/", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t"}


class Broken(Exception):
    """The text stops being JSON here."""


@dataclass
class Value:
    """A value.

    Attributes:
        kind: `string`, `number`, `true`, `false`, `null`, `object` or `array`.
        text: as written; of a string what it stands for.
        escaped: whether a string was written with an escape.
        complete: whether it ended; False for an object or array that the text breaks off.
        members: of an object, in their order, duplicates too.
        elements: of an array.
    """

    kind: str
    text: str
    escaped: bool = False
    complete: bool = True
    members: list[tuple[str, Value]] = field(default_factory=list)
    elements: list[Value] = field(default_factory=list)


Report = Callable[[tuple[str, ...], Value], None]


def unreported(_keys: tuple[str, ...], _value: Value) -> None:
    """Take a report and do nothing."""


def unchanged(key: str) -> str:
    """Return a key as it is."""
    return key


class Reader:
    """Reads one value and calls `report` with the keys that lead to it, for each scalar outside of arrays.

    Keys that were written with an escape go through `rescan` first.
    """

    def __init__(self, text: str, report: Report = unreported, rescan: Callable[[str], str] = unchanged) -> None:
        self.text = text
        self.at = 0
        self.report = report
        self.rescan = rescan

    def peek(self) -> str:
        """Return the next character, empty at the end."""
        return self.text[self.at : self.at + 1]

    def space(self) -> None:
        """Move over white space."""
        while self.peek() and self.peek() in " \t\r\n":
            self.at += 1

    def require(self, character: str) -> None:
        """Move over a character."""
        if self.peek() != character:
            raise Broken
        self.at += 1

    def value(self, keys: tuple[str, ...] | None, into: Value | None = None, key: str | None = None) -> Value:
        """Read a value, and make it part of another; without keys it is inside of an array."""
        self.space()
        character = self.peek()
        if character and character in "{[":
            found = Value("object" if character == "{" else "array", "", complete=False)
            self.attach(found, into, key)
            start = self.at
            if character == "{":
                self.object(found, keys)
            else:
                self.array(found)
            found.text = self.text[start : self.at]
            found.complete = True
            return found
        if character == '"':
            text, escaped = self.string()
            found = Value("string", text, escaped)
        elif character and character in "-0123456789":
            found = Value("number", self.number())
        else:
            found = self.word()
        self.attach(found, into, key)
        if keys is not None:
            self.report(keys, found)
        return found

    def attach(self, found: Value, into: Value | None, key: str | None) -> None:
        """Make a value a member or an element of another."""
        if into is not None and key is not None:
            into.members.append((key, found))
        elif into is not None:
            into.elements.append(found)

    def object(self, made: Value, keys: tuple[str, ...] | None) -> None:
        """Read an object."""
        self.require("{")
        self.space()
        while self.peek() != "}":
            if made.members:
                self.require(",")
                self.space()
            key, escaped = self.string()
            self.space()
            self.require(":")
            shown = self.rescan(key) if escaped else key
            self.value(None if keys is None else (*keys, shown), made, key)
            self.space()
        self.at += 1

    def array(self, made: Value) -> None:
        """Read an array."""
        self.require("[")
        self.space()
        while self.peek() != "]":
            if made.elements:
                self.require(",")
            self.value(None, made)
            self.space()
        self.at += 1

    def string(self) -> tuple[str, bool]:
        """Read a string: what it stands for, and whether it was written with an escape."""
        self.require('"')
        made = []
        escaped = False
        while self.peek() != '"':
            character = self.peek()
            if character == "" or character < " ":
                raise Broken
            self.at += 1
            if character == "\\":
                escaped = True
                character = self.escape()
            made.append(character)
        self.at += 1
        return "".join(made), escaped

    def escape(self) -> str:
        """Read what follows a backslash."""
        character = self.peek()
        self.at += 1
        if character != "u":
            if character not in ESCAPES:
                raise Broken
            return ESCAPES[character]
        code = self.code()
        if 0xD800 <= code < 0xDC00 and self.text.startswith("\\u", self.at):
            before = self.at
            self.at += 2
            low = self.code()
            if 0xDC00 <= low < 0xE000:
                return chr(0x10000 + ((code - 0xD800) << 10) + low - 0xDC00)
            self.at = before
        # Half of a pair is no character; something has to stand there for it.
        return "\ufffd" if 0xD800 <= code < 0xE000 else chr(code)

    def code(self) -> int:
        """Read four hexadecimal digits."""
        digits = self.text[self.at : self.at + 4]
        if len(digits) != 4 or any(digit not in "0123456789abcdefABCDEF" for digit in digits):
            raise Broken
        self.at += 4
        return int(digits, 16)

    def digits(self) -> None:
        """Move over digits, at least one."""
        if not self.peek() or self.peek() not in "0123456789":
            raise Broken
        while self.peek() and self.peek() in "0123456789":
            self.at += 1

    def number(self) -> str:
        """Read a number, as far as the text is one."""
        start = self.at
        if self.peek() == "-":
            self.at += 1
        if self.peek() == "0":
            self.at += 1
        else:
            self.digits()
        rest = re.compile(r"(\.[0-9]+)?([eE][-+]?[0-9]+)?").match(self.text, self.at)
        self.at = rest.end() if rest else self.at
        return self.text[start : self.at]

    def word(self) -> Value:
        """Read `true`, `false` or `null`."""
        for word in ("true", "false", "null"):
            if self.text.startswith(word, self.at):
                self.at += len(word)
                return Value(word, word)
        raise Broken


def read(reader: Reader, openings: str) -> tuple[Value, bool]:
    """Return the object (or array, as the openings say) at the start of a line, and whether it is whole.

    What follows it is ignored, as known parsers of log lines do; of a broken one there is what came before.
    """
    reader.space()
    if not reader.peek() or reader.peek() not in openings:
        return Value("null", "null"), False
    root = Value("array", "")
    try:
        reader.value(() if openings == "{" else None, root)
    except Broken:
        return root.elements[0], False
    return root.elements[0], True


def steps(path: str) -> list[str | int]:
    """Split a path such as ``a.b[0]["c d"]``, which the parser has found to be one."""
    found: list[str | int] = []
    at = 0
    while at < len(path):
        if path.startswith('["', at):
            reader = Reader(path)
            reader.at = at + 1
            found.append(reader.string()[0])
            at = reader.at + 1
        elif path[at] == "[":
            end = path.index("]", at)
            found.append(int(path[at + 1 : end]))
            at = end + 1
        else:
            at += path[at] == "."
            end = at
            while end < len(path) and path[end] not in ".[":
                end += 1
            found.append(path[at:end])
            at = end
    return found


def follow(value: Value, path: list[str | int]) -> Value | None:
    """Return what a path leads to; of duplicate keys the first."""
    for step in path:
        if isinstance(step, int):
            if step >= len(value.elements):
                return None
            value = value.elements[step]
        else:
            named = [member for key, member in value.members if key == step]
            if not named:
                return None
            value = named[0]
    return value if value.complete else None
