"""Paths of fields in structured lines, and the patterns by which a profile names them.

A path is names between dots. ``*`` stands for one name, ``**`` for any number of them. Names are compared without case,
``-`` and ``_``; a key with dots in it counts as several names, and positions in arrays count as none.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

Path = tuple[str, ...]
MAX_DEPTH: Final = 64
"""Names in a path, and levels of nesting; what is deeper is not looked into."""
MAX_PATTERN: Final = 256
_ONE, _ANY = "*", "**"


class PathInvalid(ValueError):
    """A text is no path; says why."""


@dataclass(frozen=True, slots=True)
class PathPattern:
    """A path with wildcards.

    Attributes:
        names: as they are compared.
        words: the same, with names cut into their words, as in a label that a query made of a path.
    """

    names: Path
    words: Path

    def reach(self, path: Path) -> int:
        """Return how many names of a path the pattern takes, from the first on and as many as it can; -1 for none."""
        return _reach(self.names, path)

    def fits_words(self, words: Path) -> bool:
        """Say whether the pattern takes all of these words."""
        return _reach(self.words, words) == len(words)

    @property
    def together(self) -> str | None:
        """The names without anything between them; None if there are wildcards."""
        return None if {_ONE, _ANY} & set(self.names) else "".join(self.names)

    @property
    def generality(self) -> tuple[int, int, int]:
        """The less, the more specific is the pattern: wildcards for any number, for one, then the fewer names."""
        return self.names.count(_ANY), self.names.count(_ONE), -len(self.names)


def parse_path(text: str) -> PathPattern:
    """Read a pattern such as ``user.email``, ``headers.*`` or ``**.password``.

    Raises:
        PathInvalid: it is none.
    """
    parts = text.split(".")
    if len(text) > MAX_PATTERN or len(parts) > MAX_DEPTH:
        raise PathInvalid(f"it is longer than {MAX_PATTERN} characters or {MAX_DEPTH} names")
    for part in parts:
        if not normal(part):
            raise PathInvalid("it has an empty name")
        if "*" in part and part not in (_ONE, _ANY):
            raise PathInvalid("`*` and `**` stand for whole names")
    words: list[str] = []
    for part in parts:
        words += (_ONE, _ANY) if part == _ONE else words_in(part)
    return PathPattern(tuple(map(normal, parts)), tuple(words))


def normal(name: str) -> str:
    """Return a name in the form in which names are compared."""
    return name.casefold().replace("-", "").replace("_", "")


def names_in(key: str) -> Path:
    """Return the names that a key stands for."""
    return tuple(map(normal, key.split(".")))


def words_in(name: str) -> Path:
    """Return the words of a name, as they are compared."""
    return tuple(filter(None, re.split(r"[._-]+", name.casefold())))


def _reach(names: Path, path: Path) -> int:
    places = _with_skips(names, {0})
    longest = 0 if len(names) in places else -1
    for count, name in enumerate(path, 1):
        taken = {
            place if names[place] == _ANY else place + 1
            for place in places
            if place < len(names) and names[place] in (_ANY, _ONE, name)
        }
        places = _with_skips(names, taken)
        if len(names) in places:
            longest = count
        if not places:
            break
    return longest


def _with_skips(names: Path, places: Iterable[int]) -> set[int]:
    """Return the places with those behind each ``**``, which may stand for nothing."""
    found = set(places)
    for place in sorted(found):
        at = place
        while at < len(names) and names[at] == _ANY:
            at += 1
            found.add(at)
    return found
