"""What the tables of served lists answer: which entries may be about a stream, an event time or a pseudonym.

All of them answer in the order of the log, from an index on, and no more than they are asked for.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Final, NamedTuple, Protocol

from loglease.model.ids import GrantId
from loglease.model.instant import Instant, Interval
from loglease.model.key_scope import KeyScope
from loglease.model.labels import Selector

LONGEST_NS: Final = (1 << 63) - 1
"""The last event time there can be."""


class Unlisted(IntEnum):
    """Why a served list alone does not tell what was shown.

    CRASH: a process died, and what was reserved may have left or not. DERIVED: numbers or names, made of lines.
    OVERFLOW: more pseudonyms than a list takes. LOST: the list is not kept any more, or cannot be read.
    """

    CRASH = 1
    DERIVED = 2
    OVERFLOW = 3
    LOST = 4


@dataclass(frozen=True, slots=True)
class UnlistedRow:
    """A record that its list does not tell all of; `interval` has the event times that were asked for."""

    index: int
    kind: Unlisted
    grant: GrantId
    interval: Interval


@dataclass(frozen=True, slots=True)
class ServedRow:
    """An entry about what was served, with its exact bytes, and those of its list; None where it has none."""

    index: int
    content: bytes
    served: bytes | None


class GrantKey(NamedTuple):
    """What the pseudonyms of a grant are made with, and what was read under it. There may be very many of them.

    Attributes:
        number: that of the grant in these tables.
        reach: of its pseudonyms, when it was made; policy may have narrowed it since.
        salt: empty once it was erased.
        profiles: those under which queries were asked.
    """

    number: int
    id: GrantId
    policy: str
    reach: KeyScope
    scheduled_at: Instant
    salt: bytes
    shared_salt: bytes | None
    profiles: frozenset[str]


class ServedIndex(Protocol):
    """What was served, by what it was."""

    def labels_like(self, selector: Selector) -> Mapping[int, bool]:
        """Return the numbers of label sets that match; False for those that may only, since a mask hides a value."""

    def scopes_like(self, selector: Selector) -> frozenset[int]:
        """Return the numbers of what queries were about, where a stream that matches may be among it."""

    def streams(
        self, labels: Collection[int] | None, window: Interval | None, *, first: int, most: int
    ) -> Sequence[int]:
        """Return the entries with a stream of these labels whose event times may touch a window; None is all."""

    def numbers(self, grants: Collection[GrantId]) -> Mapping[GrantId, int]:
        """Return the numbers that grants have in these tables; one under which nothing was asked has none."""

    def pseudonyms(self, wanted: Mapping[int, Collection[str]], *, first: int, most: int) -> Sequence[int]:
        """Return the entries that may list one of these pseudonyms under the grant of that number."""

    def unlisted(
        self,
        kinds: Collection[Unlisted],
        *,
        grants: Collection[int] | None,
        scopes: Collection[int] | None,
        window: Interval | None,
        first: int,
        most: int,
    ) -> Sequence[UnlistedRow]:
        """Return the records whose lists do not tell all, of grants with these numbers; None does not narrow."""

    def rows(self, indices: Iterable[int]) -> Sequence[ServedRow]:
        """Return the entries with their lists, in the order of the log."""

    def grant_keys(self, *, scopes: Collection[int] | None, window: Interval | None) -> Iterator[GrantKey]:
        """Yield the grants under which something was served, or may have been; None does not narrow.

        Args:
            scopes: the numbers of what queries were about, of which there was one at least.
            window: event times, of which the grant can have shown some.
        """

    def rebuild(self) -> int:
        """Make the tables anew from the log; return how many entries were looked at."""
