"""Write the reference of the semantic rules from the table of them: ``python -m loglease.audit.semantic.reference``."""

from __future__ import annotations

import sys
from typing import Final

from loglease.audit.semantic.table import RULES, Rule

_HEAD: Final = """\
# Rules of the audit log

<!-- Made by `python -m loglease.audit.semantic.reference`; do not edit. -->

Hashes and signatures say that nobody changed the log. These rules say what must be true of its entries together:
that each batch that was served had a grant, each grant its approvals, each raised level its end. They are checked in
one pass in the order of the log, from the [entries](audit-entries.md) alone.

A broken rule is a *violation*: no honest server writes that. A *finding* is something that a person should look at,
such as a start without a stop before it. What could not be checked, because it was not given or because older entries
were pruned, is listed; it never counts as passed without a word.

| rule | must hold |
| --- | --- |
"""

_NOTES: Final = """
## How they are applied
"""

_END: Final = """
## What a pass remembers

Only what is open: requests without a verdict, grants that are not over, open sessions, locks in force, people,
proposals, after-reviews that nobody finished, levels that are raised. What is over is dropped, except for its id: that
no id comes twice, and that what is referred to was there, needs all of them. An id takes 16 bytes. A log of ten million
entries takes about 160 MB for their ids, and 16 MB more for each million of requests, reviews, grants and sessions.
"""


def reference_text() -> str:
    """Return the whole page."""
    rows = "".join(f"| {rule.name} | {rule.holds} |\n" for rule in RULES)
    notes = "".join(f"\n- **{rule.name}.** {note}" for rule in RULES if (note := _note(rule)))
    return f"{_HEAD}{rows}{_NOTES}{notes}\n{_END}"


def _note(rule: Rule) -> str:
    needs = f"Needs, to be checked as a whole: {rule.needs}." if rule.needs else ""
    return " ".join(part for part in (rule.meaning, needs) if part)


if __name__ == "__main__":
    sys.stdout.write(reference_text())
