"""The rules that the entries of a log keep together: checked over what was verified, and how breaches are told."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from loglease.audit.semantic import BreachKind, Inputs, Report, SignedSize, Verifier, extract
from loglease.audit.tiles import WIDTH
from loglease.audit.verify import Checked
from loglease.cli.errors import Usage
from loglease.cli.logs import Head, content_of, fact
from loglease.cli.run import Run

if TYPE_CHECKING:
    from loglease.cli.recomputed_offers import Recomputing

_SALT: Final = 16
_MAX_LIST: Final = 64 << 20
_ENTRY: Final = re.compile("ent_[0-9A-Z]{26}")
MOST_SHOWN: Final = 100
"""Of so many breaches people see each; programs get all that were kept."""


class RuleCheck:
    """Checks the rules in the order of the log, while its hashes are still being checked.

    Args:
        head: the signed head of the log.
        served: directory with served lists.
        recompute: makes offers again; None where no bundles were given.

    Raises:
        Usage: there is no such directory.
    """

    extract = staticmethod(extract)

    def __init__(self, head: Head, served: Path | None, recompute: Recomputing | None = None) -> None:
        self._recompute = recompute
        signed = SignedSize(head.checkpoint.size, frozenset(str(key) for key in head.signers))
        inputs = Inputs(
            origin=head.checkpoint.origin,
            checkpoints=lambda: [signed],
            served=None if served is None else _served_in(served),
            recompute=recompute,
        )
        self._verifier = Verifier(inputs)

    def take(self, checked: Checked) -> None:
        """Look at the entries of a stretch that holds; the verification was given `extract`.

        Raises:
            Usage: a served list cannot be read.
        """
        for first, content in zip(checked.entries[::WIDTH], checked.extracts, strict=True):
            self._verifier.take_extract(first, content)

    def hold(self, run: Run, found: dict[str, Any], *, strict: bool) -> bool:
        """Tell what was found, and say whether the rules are kept.

        Args:
            run: the call.
            found: gets what is told to programs.
            strict: a finding counts as a broken rule.
        """
        report = self._verifier.finish()
        found["rules"] = _body(report)
        if self._recompute is not None:
            found["offers"] = self._recompute.tell(run)
        fact(run, "rules", report.summary())
        for one in report.breaches[:MOST_SHOWN]:
            places = ", ".join(f"#{index}" for index in one.entries)
            fact(run, f"  {one.rule}", f"{'finding: ' if one.kind is BreachKind.FINDING else ''}{one.text} ({places})")
        more = sum(report.count(kind) for kind in BreachKind) - MOST_SHOWN
        if more > 0:
            fact(run, "", f"and {more} more")
        for part in report.unchecked:
            times = f" ({part.times} times)" if part.times > 1 else ""
            fact(run, f"  {part.rule}", f"not checkable: {part.text}{times}")
        return report.holds(strict=strict)


def _served_in(place: Path) -> Callable[[str], tuple[bytes, bytes] | None]:
    """Return how served lists are read: the salt of the commitment, then the list."""
    if not place.is_dir():
        raise Usage(
            f"There is no directory {place}.", next_step="Name the one with the served lists, such as log/served."
        )

    def read(entry: str) -> tuple[bytes, bytes] | None:
        if not _ENTRY.fullmatch(entry) or not (place / entry).exists():
            return None
        content = content_of(place / entry, _MAX_LIST)
        return content[:_SALT], content[_SALT:]

    return read


def _body(report: Report) -> dict[str, Any]:
    breaches = [
        {"rule": one.rule, "kind": one.kind.value, "index": one.index, "entries": list(one.entries), "text": one.text}
        for one in report.breaches
    ]
    return {
        "checked": report.rules,
        "broken": sorted(report.broken),
        "violations": report.count(BreachKind.VIOLATION),
        "findings": report.count(BreachKind.FINDING),
        "breaches": breaches,
        "not_checkable": [{"rule": one.rule, "text": one.text, "times": one.times} for one in report.unchecked],
    }
