"""Which lines another grant covers, so that of several that cover a line one alone gives it.

Coverage is tested, content is never compared: labels and time as they came, line rules on what that grant's own
redactor leaves of the line.
"""

from __future__ import annotations

from collections.abc import Collection

from loglease.gateway.covered_streams import CoveredStreams
from loglease.gateway.lines import Lines
from loglease.gateway.recheck import Recheck, Violations
from loglease.model.instant import Interval
from loglease.model.scope import Scope
from loglease.redaction import Redactor
from loglease.sources.interface import Page


class Coverage:
    """What a grant covers in the pages of another grant's read; one belongs to one read.

    Args:
        interval: event times that are read under the grant whose coverage this is.
        redactor: of that grant.
        backward: pages come newest first.
        streams: what is remembered of streams.
    """

    def __init__(
        self,
        scope: Scope,
        interval: Interval,
        redactor: Redactor,
        *,
        backward: bool,
        streams: CoveredStreams | None = None,
    ) -> None:
        # Lines outside that scope are no violation of the source here: nobody asked it to hold them back.
        self._recheck = Recheck(scope, interval, Violations(), streams)
        self._lines = (
            Lines(
                (),
                redactor=redactor,
                recheck=self._recheck,
                order=None,
                filters=(),
                backward=backward,
                scan=None,
            )
            if has_line_rules(scope)
            else None
        )

    def __call__(self, page: Page, older: Page | None) -> Collection[int]:
        """Return the places of the lines that are covered.

        Raises:
            Withheld: that grant's redactor cannot vouch for a text.
        """
        if self._lines is None:
            admitted = self._recheck.admitted(page)
            return admitted if isinstance(admitted, range) else frozenset(admitted)
        found = self._lines.found(page, older)
        return {found.places[number] for number in found.numbers}


def has_line_rules(scope: Scope) -> bool:
    """Say whether a line's text or level decides if it is covered."""
    return scope.level_from is not None or bool(scope.contains)
