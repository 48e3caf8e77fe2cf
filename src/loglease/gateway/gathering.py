"""Pages of permitted lines only, each of the same number, from whatever pages a source gives.

What is masked at the border of two backward pages depends on the lines that are behind it, so that border must not.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from loglease.gateway.recheck import Recheck
from loglease.model.labels import Labels
from loglease.sources.interface import Page

GATHERED_LINES: Final = 1_000


class Gathering:
    """The permitted lines of one backward read.

    SECURITY: a source may give lines that the scope does not cover, and cuts its pages by their size. If its pages were
    evaluated as they come, hidden lines could lie between a line and the beginning of the secret that it is a part of;
    tested in tests/gateway/test_gathering.py.

    Args:
        lines: of each page but the last.
    """

    def __init__(self, recheck: Recheck, lines: int = GATHERED_LINES) -> None:
        self._recheck = recheck
        self._lines = lines
        self._page = Page()
        self._numbers: dict[Labels, int] = {}

    def add(self, page: Page) -> list[Page]:
        """Take the next page and return those that are full now."""
        places = self._recheck.admitted(page)
        if len(places) == len(page) == self._lines and not len(self._page):
            return [page]
        full = []
        at = 0
        while at < len(places):
            part = places[at : at + self._lines - len(self._page)]
            self._append(page, part)
            at += len(part)
            if len(self._page) == self._lines:
                full += self.rest()
        return full

    def rest(self) -> list[Page]:
        """Return the lines that are left as one page, if there are any."""
        page, self._page, self._numbers = self._page, Page(), {}
        return [page] if len(page) else []

    def _append(self, page: Page, places: Sequence[int]) -> None:
        made, numbers = self._page, self._numbers
        for labels in {page.stream[place]: page.streams[page.stream[place]] for place in places}.values():
            if labels not in numbers:
                numbers[labels] = len(made.streams)
                made.streams.append(labels)
        made.stream.extend(numbers[page.streams[page.stream[place]]] for place in places)
        made.ts.extend(page.ts[place] for place in places)
        made.lines += [page.lines[place] for place in places]
        made.metadata += [page.metadata[place] for place in places]
