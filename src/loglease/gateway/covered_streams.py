"""Which streams a selector covers, remembered: a stream is tested once, not once for each page and session.

Label values come from whoever writes logs, so what is remembered has a bound. The labels themselves are the key, never
a digest of them: two streams cannot be taken for each other.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from loglease.model.labels import Labels, Selector

MAX_STREAMS: Final = 4_096
"""Answers that are kept together; the next one begins anew."""


class CoveredStreams:
    """What is remembered for one principal; several threads may ask at once."""

    def __init__(self) -> None:
        self._by_selector: dict[Selector, _Answers] = {}
        self._kept = 0

    def of(self, selector: Selector) -> Callable[[Labels], bool]:
        """Return the test of one selector; the answers of others are never its own."""
        answers = self._by_selector.get(selector)
        if answers is None:
            answers = self._by_selector.setdefault(selector, _Answers(selector, self))
        return answers.__getitem__

    @property
    def size(self) -> int:
        """The number of answers that are kept."""
        return sum(map(len, self._by_selector.values()))

    def make_room(self) -> None:
        """Count an answer that is about to be kept, and forget all others if there are too many."""
        if self._kept >= MAX_STREAMS:
            # A list, since another thread may add a selector meanwhile.
            for answers in list(self._by_selector.values()):
                answers.clear()
            self._kept = 0
        self._kept += 1


class _Answers(dict[Labels, bool]):
    """The answers of one selector; what is not there yet is found out."""

    __slots__ = ("_selector", "_together")

    def __init__(self, selector: Selector, together: CoveredStreams) -> None:
        super().__init__()
        self._selector = selector
        self._together = together

    def __missing__(self, labels: Labels) -> bool:
        found = self._selector.matches(labels)
        self._together.make_room()
        self[labels] = found
        return found
