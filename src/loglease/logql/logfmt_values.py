"""Labels of a logfmt line, faster than the parser makes them: those of some names, or all.

Exact or not at all: whatever could make a label differ from what ``| logfmt`` gives is left to the parser itself.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final, NamedTuple

from loglease.logql.sparing import Shapes, Unsure, Values, label_names, named

_RUN: Final = re.compile(r"[A-Za-z0-9]+")
_OUTSIDE_QUOTES: Final = re.compile(rb'(?:(?:[^"]*[\x00- ])?[^\x00- ="]+="[^"]*"(?=[\x00- ]))*+[^"]*')
"""The beginning of a line, each text in quotes a value, followed by white space."""
_PAIR: Final = re.compile(r'([^\x00- ="]++)(?:="([^"]*+)"|(?:=([^\x00- ="]*+))?(?![^\x00- ]))|[^\x00- ]++')
"""A key and its value, in quotes or without, in a line without escapes; what is none has no key."""
_VALUE: Final = re.compile(rb'"([^"]+)"|([^\x00- ="]+)(?![^\x00- ])')


class _Pair(NamedTuple):
    """A label that is wanted.

    Attributes:
        begins: how a pair of it begins.
        run: letters and digits that any key has which may give it.
    """

    name: str
    begins: bytes
    run: bytes


def logfmt_values(names: Iterable[str]) -> Values | None:
    """Return what takes the labels of these names out of logfmt lines, None if there is one that any key may give."""
    pairs = []
    for name in sorted(names):
        runs = _RUN.findall(name)
        if not runs:
            return None
        pairs.append(_Pair(name, f"{name}=".encode(), max(runs, key=len).encode()))

    def values(line: bytes) -> dict[str, str] | None:
        if line.find(b"\\") >= 0 or not line.isascii():
            return None
        found: list[tuple[int, str, str]] = []
        for pair in pairs:
            try:
                at, value = _found(line, pair)
            except Unsure:
                return None
            if at >= 0:
                found.append((at, pair.name, value))
        if len(found) > 1:
            found.sort()
        return {name: value for _, name, value in found}

    return values


def _found(line: bytes, pair: _Pair) -> tuple[int, str]:
    """Return where the first pair of a label is, and its value; -1 if there is none.

    Raises:
        Unsure: this can be told only by reading all pairs.
    """
    name, begins, run = pair
    # Any other character than a letter or a digit stands for the same as an underscore.
    if len(run) != len(name) and line.count(run) != line.count(begins):
        raise Unsure
    at = _place(line, begins)
    if at < 0:
        return -1, ""
    match = _VALUE.match(line, at + len(begins))
    if match is None or (line.find(b'"', 0, at) >= 0 and not _OUTSIDE_QUOTES.fullmatch(line, 0, at)):
        raise Unsure
    return at, (match[1] or match[2]).decode()


def _place(line: bytes, begins: bytes) -> int:
    """Return where a word begins so, -1 if none does; behind a quote counts, since a pair may begin there."""
    at = line.find(begins)
    while at > 0 and line[at - 1] > 0x20 and line[at - 1] != 0x22:  # noqa: PLR2004 - white space, a quote
        at = line.find(begins, at + 1)
    return at


def all_logfmt_values() -> Values:
    """Return what takes all labels out of logfmt lines that are nothing but pairs with different keys, unescaped."""
    names_of = Shapes(label_names)

    def values(line: bytes) -> dict[str, str] | None:
        if line.find(b"\\") >= 0:
            return None
        pairs = _PAIR.findall(line.decode())
        found = {key: quoted or bare for key, quoted, bare in pairs}
        if "" in found or len(found) != len(pairs):
            return None
        if not all(found.values()):
            found = {key: value for key, value in found.items() if value}
        names = names_of[tuple(found)]
        return None if names is None else named(names, found)

    return values
