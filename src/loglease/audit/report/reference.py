"""The reference of reports as a page, made from the catalogue and from empty reports, so the two cannot differ.

Run ``python -m loglease.audit.report.reference > docs/reference/audit-reports.md`` after a change; a test compares.
"""

from __future__ import annotations

import sys
from typing import Final

from loglease.audit.report.asking import MAX_SAMPLE, Asked, Beside
from loglease.audit.report.catalogue import FRAMEWORKS, KINDS, NO_CLAIM, Kind
from loglease.audit.report.documents import FORMAT, NAMES_NOTE
from loglease.audit.report.folder import MAX_ENTRIES
from loglease.audit.report.sampling import METHOD
from loglease.audit.report.tables import MAX_ROWS, Form, Found
from loglease.model.instant import Instant

_HEAD: Final = f"""\
# Audit reports

<!-- Made by `python -m loglease.audit.report.reference`; do not edit. -->

Reports are for people who check an organisation from outside. Each is made from the entries of the audit log alone,
and each row names the indices of the entries that it comes from. How to make one and hand it over:
[Give evidence to auditors](../how-to/give-evidence-to-auditors.md). What entries hold:
[Audit entries](audit-entries.md).

{NO_CLAIM}
"""

_RULES: Final = f"""\
## What all reports have in common

- A report is about the time from `--from` (inclusive) to `--to` (exclusive), both dates or times in UTC. Without them
  it is about the whole log until now. It shows everything as it was at the end of that time: what came later changes
  nothing of it, so a report of last quarter says the same next year. Only names and present rights are of today.
- A thing belongs to a report when it began in its time: a request when it was submitted, a grant when it came about,
  a review, a revocation or an elevation when it happened.
- {NAMES_NOTE}
- Before a report is shown, the entry `report.made` is in the log: its name, its time, the seed of its sample, and the
  SHA-256 of its JSON, byte for byte. What else was asked is committed to there.
- `--sample` draws rows from the main table, at most {MAX_SAMPLE:,}. {METHOD}
  The evidence is then that of the sample.
- Memory is bounded: a report keeps a record of a few kilobytes for each request, grant or other object, the number of
  each entry that is evidence, and no line or batch but those of the one grant of a dossier. At most {MAX_ROWS:,} of
  each; what is larger is refused with `report_too_large`, never cut.
- Counts of lines are sums over batches, whose entries stand in the dossier of the grant.
- Reading takes the role auditor or admin, and a token needs `audit.read`. Signing off takes a person who signed in.

## Forms

- `json`: everything. `format` is {FORMAT}; absent values are left out.
- `csv`: facts, then each table under its name. Text that a spreadsheet would compute, since it begins with `=`, `+`,
  `-`, `@`, a tab or a line break, also behind spaces, gets an apostrophe in front.
- `html`: a page that prints; it has no script and asks nothing of the network.
- `folder`: all of these, the entries of the evidence byte for byte, a tlog-proof for each, the signed checkpoint, the
  public key, a guide for strangers, and SHA-256 sums that the log's key signed; at most {MAX_ENTRIES:,} entries. Over
  REST it comes as a ZIP file.

`loglease audit verify-report` checks a folder with nothing but the public key. Its guide says how to do it with
`sha256sum` and `openssl`.

## How columns are to be read

| form | value |
| --- | --- |
| `time` | RFC 3339 in UTC with microseconds |
| `seconds`, `milliseconds` | whole numbers |
| `number`, `truth`, `text`, `texts` | as they are; several texts are separated by `; ` in CSV |
| `subject`, `subjects` | `sub_…`; a column with `_name` behind its name has what people are called now |
"""


def reference_text() -> str:
    """Return the whole page."""
    heads = " | ".join(FRAMEWORKS.values())
    lines = [_HEAD, f"| report | content | {heads} |", f"| --- | --- |{' --- |' * len(FRAMEWORKS)}"]
    for kind in KINDS.values():
        parts = " | ".join(kind.helps_with[name] for name in FRAMEWORKS)
        lines.append(f"| [`{kind.name}`](#{kind.name}) | {kind.text} | {parts} |")
    lines += ["", _RULES]
    for kind in KINDS.values():
        lines += _section(kind)
    return "\n".join(lines) + "\n"


def _section(kind: Kind) -> list[str]:
    found = _empty(kind)
    sample = "It takes no sample." if kind.main is None else f"A sample is drawn from `{kind.main}`."
    lines = [f"## {kind.name}", "", f"{kind.text} {sample}", "", "| fact | form | meaning |", "| --- | --- | --- |"]
    lines += [f"| `{one.name}` | {one.form} | {one.text} |" for one in found.summary]
    lines += ["", "| table | rows | columns |", "| --- | --- | --- |"]
    for table in found.tables:
        columns = ", ".join(
            f"`{one.name}`" if one.form is Form.TEXT else f"`{one.name}` {one.form}" for one in table.layout.columns
        )
        lines.append(f"| `{table.layout.name}` | {table.layout.title} | {columns} |")
    return [*lines, "", "It cannot know:", "", *(f"- {text}" for text in found.unknown), ""]


def _empty(kind: Kind) -> Found:
    """Return the report of an empty log."""
    asked = Asked(report=kind.name, to_at=Instant(1), grant="grt_…" if kind.of_grant else None)
    return kind.build(asked, Beside(size=0)).found()


if __name__ == "__main__":
    sys.stdout.write(reference_text())
