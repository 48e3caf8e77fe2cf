"""The reference of entry types as a page, made from the list that the code checks with, so the two cannot differ.

Run ``python -m loglease.audit.reference > docs/reference/audit-entries.md`` after a change; a test compares.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from typing import Final

from loglease.audit.field_types import Field
from loglease.audit.types import ENTRY_TYPES, ON_TEXT, SHAPES

_HEAD: Final = """\
# Audit entries

<!-- Made by `python -m loglease.audit.reference`; do not edit. -->

Every fact in the audit log is one entry: a JSON object in a canonical form (sorted keys, no spare white space, no
`null`, no fractions), at most 16,384 bytes, stored and hashed byte for byte.

| key | meaning |
| --- | --- |
| `v` | version of this format, 1 |
| `id` | `ent_` and 26 characters, made by the caller; the same entry is never recorded twice |
| `at` | when it was sequenced: UTC, always 27 characters, never earlier than the entry before |
| `actor` | subject (`sub_…`) of the person, agent or service who did it, or `system` |
| `via` | optional: subject of the agent or service that it was done through |
| `type` | one of the types below; it fixes the keys of `ref` and `data` |
| `ref` | ids of the objects concerned |
| `data` | the facts |

No entry holds a log line, a masked value, a secret or a name. What people typed is in an entry only as a commitment,
`SHA-256(salt ‖ text)`; salt and text are kept beside the log, so that they can be erased without breaking it.

## How fields are written here

`name` is text of at most 512 bytes, `name#` an integer, `name!` true or false, `name{a|b}` one of these words,
`name:Shape` an object below, `name:[]` an array of text, `name:[Shape]` an array of objects; `?` at the end means that
the key may be absent. Names that end in `_at` are times as above, in `_s` and `_ms` integer durations, in `_ns` event
times as decimal text in nanoseconds, in `_sha256` digests, in `_c` commitments (both 64 lower-case hex digits).
"""

_CLOCKS: Final = """\
In `clock.suspect`, `check` is `boot` where the machine's clock is not where the time since its boot says it is, and
`mark` where it is below the latest time on record; `skew_ms` is how far it is ahead, negative if behind. In
`clock.trusted`, `skew_ms` is what was left of that: about 0 where the clock was set right, the whole step where one
ahead was believed. `replica` is the process that became suspect; a later one may record that the clock is trusted."""


def reference_text() -> str:
    """Return the whole page."""
    lines = [_HEAD, "## Types", "", "| type | OCSF `type_uid` | `ref` | `data` |", "| --- | --- | --- | --- |"]
    lines += [
        f"| `{one.name}` | {one.type_uid} | {_written(one.ref)} | {_written(one.data)} |"
        for one in ENTRY_TYPES.values()
    ]
    lines += ["", _CLOCKS, "", "## Shapes", "", "| shape | fields |", "| --- | --- |"]
    lines += [f"| `{name}` | {_written(fields)} |" for name, fields in SHAPES.items()]
    on = ON_TEXT.replace("|", "\\|")
    lines += [
        "| `Plan` | an array of stages, each `Slots`, or `all_of:[Slots]`, or `any_of:[Slots]` |",
        f"| `On` | one of `{on}` |",
    ]
    return "\n".join(lines) + "\n"


def _written(fields: Iterable[Field]) -> str:
    texts = (f"{field.name}{field.form}{'?' if field.optional else ''}" for field in fields)
    return ", ".join(f"`{text}`" for text in texts).replace("|", "\\|") or "–"


if __name__ == "__main__":
    sys.stdout.write(reference_text())
