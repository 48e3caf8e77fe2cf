"""An extension: more time with the scope of a grant, as a grant of its own that begins where the other one ends."""

from __future__ import annotations

from dataclasses import dataclass

from loglease.model.ids import GrantId


@dataclass(frozen=True, slots=True, kw_only=True)
class Extends:
    """What a request goes on from.

    Attributes:
        chain: the grants before it, each an extension of the one before, the first of all first; never empty.
        policy: of these grants; no other can extend them.
    """

    chain: tuple[GrantId, ...]
    policy: str

    @property
    def grant(self) -> GrantId:
        """The grant at whose end the new one begins."""
        return self.chain[-1]

    @property
    def number(self) -> int:
        """Which extension of its chain it is, from 1."""
        return len(self.chain)


@dataclass(frozen=True, slots=True)
class ExtendRule:
    """How often a grant may be extended, one extension after the other, and by how many seconds each time."""

    times: int
    by_s: int

    def tightest(self, other: ExtendRule | None) -> ExtendRule:
        """Return the smaller of each of both numbers."""
        return self if other is None else ExtendRule(min(self.times, other.times), min(self.by_s, other.by_s))
