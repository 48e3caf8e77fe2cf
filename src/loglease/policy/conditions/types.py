"""The types of what conditions may read. A schema is a record of its roots."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

LONGEST_TEXT: Final = 256
MOST_ITEMS: Final = 64


@dataclass(frozen=True, slots=True)
class Bool:
    """True or false."""


@dataclass(frozen=True, slots=True)
class Int:
    """A whole number of 64 bits, with its sign."""


@dataclass(frozen=True, slots=True)
class Duration:
    """A span of time; a value is a number of microseconds."""


@dataclass(frozen=True, slots=True)
class Text:
    """A text of so many characters at most; one of some words where these are given."""

    words: frozenset[str] | None = None
    longest: int = LONGEST_TEXT


@dataclass(frozen=True, slots=True)
class Listed:
    """A list of so many items of one type at most; a value is a tuple."""

    of: Bool | Int | Duration | Text
    most: int = MOST_ITEMS


@dataclass(frozen=True, slots=True)
class Field:
    """A member of a record; an optional one may be absent."""

    type: Type
    optional: bool = False


@dataclass(frozen=True, slots=True)
class Record:
    """Members by name; a value is a mapping that has all of them, absent ones as `ABSENT`."""

    fields: Mapping[str, Field]


Type = Bool | Int | Duration | Text | Listed | Record

BOOL: Final = Bool()
INT: Final = Int()
DURATION: Final = Duration()


def name_of(kind: Type) -> str:
    """Return how a type is called in messages."""
    match kind:
        case Text(words=None):
            return "string"
        case Text(words=words) if words is not None:
            return "one of " + ", ".join(sorted(words))
        case Listed(of=of):
            return f"list of {name_of(of)}"
        case _:
            return type(kind).__name__.lower()
