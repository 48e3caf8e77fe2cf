"""The rules that the entries of a log keep together: checked over what was verified, and how breaches are told."""

from __future__ import annotations

from typing import Any, Final

from loglease.audit.log_reading import Read
from loglease.audit.semantic import BreachKind, Inputs, Report, SignedSize, check
from loglease.audit.verify import Verified, entries_again
from loglease.cli.logs import Head, fact, telling
from loglease.cli.run import Run

MOST_SHOWN: Final = 100
"""Of so many breaches people see each; programs get all that were kept."""


def rules_hold(run: Run, read: Read, head: Head, verified: Verified, found: dict[str, Any], *, strict: bool) -> bool:
    """Check the rules in the order of the log, tell what they find, and say whether they are kept.

    Args:
        run: the call.
        read: as for the verification.
        head: the signed head of the log.
        verified: the entries, which the rules are about; the verification was told to remember.
        found: gets what is told to programs.
        strict: a finding counts as a broken rule.

    Raises:
        LogIncomplete: the entries are not there any more as they were verified.
    """
    size = head.checkpoint.size
    signed = SignedSize(size, frozenset(str(key) for key in head.signers))
    inputs = Inputs(origin=head.checkpoint.origin, checkpoints=lambda: [signed])
    report = check(entries_again(read, verified, size, progress=telling(run)), inputs, formed=True)
    found["rules"] = _body(report)
    fact(run, "rules", report.summary())
    for one in report.breaches[:MOST_SHOWN]:
        places = ", ".join(f"#{index}" for index in one.entries)
        fact(run, f"  {one.rule}", f"{'finding: ' if one.kind is BreachKind.FINDING else ''}{one.text} ({places})")
    more = sum(report.count(kind) for kind in BreachKind) - MOST_SHOWN
    if more > 0:
        fact(run, "", f"and {more} more")
    for part in report.unchecked:
        fact(run, f"  {part.rule}", f"not checkable: {part.text}{f' ({part.times} times)' if part.times > 1 else ''}")
    return report.holds(strict=strict)


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
