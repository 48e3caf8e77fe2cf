"""Goals on data that lies outside the project: labelled texts and real logs. Without the data there are no rows."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from bench.eval_redaction import Record, Tally, real_logs, records, redactor
from bench.redacting.goals import Row

# Share of the records in full: must and target.
FULL: Final = {
    "noseyparker": (0.80, 0.90),
    "kingfisher": (0.75, 0.88),
    "gitleaks": (0.80, 0.90),
    "credsweeper": (0.70, 0.85),
    "presidio-research": (0.90, 0.97),
}
PHONES: Final = (0.75, 0.90)
FLAGGED: Final = {"noseyparker": (0.15, 0.05), "gitleaks": (0.20, 0.10)}
OUTSIDE: Final = (0.20, 0.10)
REAL_LOGS: Final = (0.002, 0.0005)


def rows(folder: Path) -> Iterator[Row]:
    """Yield the rows of the data that is there."""
    one = redactor()
    for path in sorted(folder.glob("redaction/*.jsonl.gz")):
        yield from _labelled(path.name.removesuffix(".jsonl.gz"), records(path, one))
    if (folder / "loghub").is_dir():
        with contextlib.redirect_stdout(io.StringIO()):
            share = float(real_logs(folder / "loghub", one)["share"])
        yield Row("G6", "real logs: lines masked for more than addresses", share, *REAL_LOGS, is_most=True, unit="%")


def _labelled(source: str, found: list[Record]) -> Iterator[Row]:
    tally = Tally()
    for record in found:
        tally.add(record)
    figures = tally.figures()
    if source in FULL:
        yield Row("G4", f"{source}: records full", figures["records_full"], *FULL[source])
    if "PHONE_NUMBER" in figures["types_full"]:
        yield Row("G4", f"{source}: phone numbers full", figures["types_full"]["PHONE_NUMBER"], *PHONES)
    if source in FLAGGED:
        yield Row(
            "G5", f"{source}: clean negatives flagged", figures["negatives_flagged"], *FLAGGED[source], is_most=True
        )
    yield Row("G5", f"{source}: masked outside", figures["outside"], *OUTSIDE, is_most=True)


def real_text(folder: Path) -> bytes:
    """Return the real logs as one text; empty where there are none."""
    files = sorted(folder.glob("loghub/*.log"))
    return b"".join(path.read_bytes().replace(b"\r\n", b"\n").rstrip(b"\n") + b"\n" for path in files)
