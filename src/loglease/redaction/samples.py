"""Texts that a pattern matches, drawn in the same way every time: what a tripwire's claim is tested with."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from itertools import count
from typing import Final

from loglease.redaction.patterns import Either, Joined, Named, Node, Nothing, OneOf, Repeat, tree_of

_LONG: Final = 64
_PRINTABLE: Final = (1 << 0x7F) - (1 << 0x20)


class _Draw:
    """Numbers that look random and are the same in each run."""

    def __init__(self, seed: bytes) -> None:
        self._seed = seed
        self._blocks = count()
        self._bytes = b""

    def below(self, limit: int) -> int:
        """Return a number from 0 below the limit."""
        if len(self._bytes) < 4:  # noqa: PLR2004 - bytes of one number
            self._bytes = hashlib.sha256(self._seed + next(self._blocks).to_bytes(8)).digest()
        number, self._bytes = int.from_bytes(self._bytes[:4]), self._bytes[4:]
        return number % limit


def samples(pattern: str, number: int) -> Iterator[bytes]:
    """Yield texts built from a pattern: the shortest, the longest, then any.

    What a pattern says of word boundaries is left aside, so not every text matches; whoever needs that, looks.

    Raises:
        PatternInvalid: the pattern is outside the language.
    """
    tree = tree_of(pattern)
    for turn in range(number):
        draw = _Draw(f"{turn} {pattern}".encode())
        extreme = {0: "shortest", 1: "longest"}.get(turn)
        yield b"".join(_text(tree, draw, extreme))


def _text(node: Node, draw: _Draw, extreme: str | None) -> Iterator[bytes]:
    if isinstance(node, OneOf):
        yield _byte(node.members, draw)
    elif isinstance(node, Joined):
        for part in node.parts:
            yield from _text(part, draw, extreme)
    elif isinstance(node, Either):
        yield from _text(node.options[draw.below(len(node.options))], draw, extreme)
    elif isinstance(node, Named):
        yield from _text(node.part, draw, extreme)
    elif isinstance(node, Repeat):
        for _ in range(_times(node, draw, extreme)):
            yield from _text(node.part, draw, extreme)
    elif not isinstance(node, Nothing):
        raise TypeError(node)


def _times(node: Repeat, draw: _Draw, extreme: str | None) -> int:
    if extreme == "shortest":
        return node.low
    if extreme == "longest":
        return node.high
    most = min(node.high, max(node.low, _LONG))
    return node.low + draw.below(most - node.low + 1)


def _byte(members: int, draw: _Draw) -> bytes:
    chosen = members & _PRINTABLE or members
    if not chosen:
        return b""
    place = draw.below(chosen.bit_count())
    for _ in range(place):
        chosen &= chosen - 1
    return bytes([(chosen & -chosen).bit_length() - 1])
