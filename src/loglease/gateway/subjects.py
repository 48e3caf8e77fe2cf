"""Which lines of an answer are the first of a data subject, so that each is on the account before its line goes.

A pseudonym counts for the person that it stands for, also where a key of a field had it and a label's name has what is
left of it. Known ones are free: what was queued or taken once in a session is not looked at again.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Collection, Sequence
from typing import Final, NamedTuple

from loglease.access.errors import NotPermitted
from loglease.gateway.served import Item
from loglease.logql import Query, label_name, rewrites

_MARK: Final = "⟦".encode()
_PSEUDONYM: Final = re.compile("⟦([a-z][a-z0-9-]{0,39}:[a-z2-7]{10})⟧".encode())
Group = tuple[str, ...]
"""The data subjects that come first in one line."""


class _First(NamedTuple):
    """A line that is the first of some data subjects; `at` counts the lines of the session."""

    at: int
    subjects: Group


def require_countable(query: Query, counted: Sequence[frozenset[str]]) -> None:
    """Refuse a query whose numbers or names could show people in a form in which they are not recognised.

    Args:
        counted: what is counted under each grant.

    Raises:
        NotPermitted: data subjects are counted, and the query rewrites text.
    """
    if any(counted) and rewrites(query):
        raise NotPermitted(
            "A grant that limits data subjects gives no numbers or fields of texts that a query has taken apart.",
            rule="limit of data subjects",
            next_step="Leave out regexp, pattern, line_format, templates of label_format, and label_replace.",
        )


def _in_names(named: Collection[str]) -> re.Pattern[bytes]:
    """Return what finds pseudonyms with these labels in names of labels, which hold `_` for what no name may hold.

    The last `_` may begin the next one.
    """
    either = "|".join(sorted(named, key=len, reverse=True))
    return re.compile(f"_({either})_([a-z2-7]{{10}})(?=_)".encode())


class Subjects:
    """The account of one session's data subjects.

    Args:
        labels: those of the pseudonyms that stand for people; none where nothing limits how many there may be.
    """

    def __init__(self, labels: frozenset[str] = frozenset()) -> None:
        self.is_over = False
        """Whether the budget has no room for those of the first line that waits."""
        self._labels = labels
        self._named = {label_name(label): label for label in labels}
        self._in_names = _in_names(self._named)
        self._seen: set[str] = set()
        self._waiting: deque[_First] = deque()
        self._asked: Sequence[_First] = ()
        self._queued = 0
        self._gone = 0

    def queue(self, items: Sequence[Item]) -> None:
        """Take note of lines that wait to be handed over."""
        if not self._labels:
            return
        for item in items:
            fresh = [one for one in dict.fromkeys(self._of(item)) if one not in self._seen]
            if fresh:
                self._seen.update(fresh)
                self._waiting.append(_First(self._queued, tuple(fresh)))
            self._queued += 1

    def hand_over(self, lines: int) -> None:
        """Take note that so many lines were handed over, those that waited longest."""
        self._gone += lines

    def clear(self) -> None:
        """Take note that the lines that wait are not handed over; whoever was in them alone is not known any more."""
        for first in self._waiting:
            self._seen.difference_update(first.subjects)
        self._waiting.clear()
        self._gone = self._queued
        self.is_over = False

    @property
    def free_lines(self) -> int | None:
        """How many of the lines that wait may go as far as this account goes; None is all."""
        return self._waiting[0].at - self._gone if self._waiting else None

    def ask(self, lines: int) -> Sequence[Group]:
        """Return what has to be taken before so many of the lines that wait may go."""
        self._asked = [first for first in self._waiting if first.at < self._gone + lines]
        return [first.subjects for first in self._asked]

    def taken(self, groups: int) -> None:
        """Take note of how many of those that were asked for are on the account now."""
        asked, self._asked = self._asked, ()
        while self._waiting and groups and self._waiting[0].at <= asked[groups - 1].at:
            self._waiting.popleft()
        self.is_over = groups < len(asked) and bool(self._waiting) and self._waiting[0].at == asked[groups].at

    def _of(self, item: Item) -> list[str]:
        """Return the data subjects behind a line, and those that only a stage of the query has brought to light."""
        found = [one[1:-1] for one in item.pseudonyms]
        if _MARK in item.record:
            found += [one.decode() for one in _PSEUDONYM.findall(item.record)]
        found += [
            f"{self._named[label.decode()]}:{rest.decode()}" for label, rest in self._in_names.findall(item.record)
        ]
        return [one for one in found if one.partition(":")[0] in self._labels]
