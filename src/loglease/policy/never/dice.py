"""Numbers that look random and are the same for everybody: a search that cannot try everything tries these."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

from loglease.model.digest import sha256_hex

T = TypeVar("T")


class Dice:
    """A series of numbers that a text alone decides."""

    def __init__(self, seed: str) -> None:
        self._seed = seed
        self._thrown = 0

    def below(self, bound: int) -> int:
        """Return the next number from 0 to below a bound."""
        self._thrown += 1
        return int(sha256_hex(f"{self._seed}:{self._thrown}".encode())[:15], 16) % bound

    def turned(self, items: Sequence[T]) -> list[T]:
        """Return items in the same order, but beginning with any of them."""
        start = self.below(len(items))
        return [*items[start:], *items[:start]]
