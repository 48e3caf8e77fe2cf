"""`redact --bench`: how fast redaction is on a person's own text, and where the time goes."""

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import BinaryIO, Final

from loglease.cli.errors import Usage
from loglease.cli.run import Run
from loglease.redaction import Counters, Redactor
from loglease.redaction.costs import speed_of

_MOST: Final = 64 << 20
_PART: Final = 1 << 20


def bench(run: Run, redactor: Redactor, sources: Iterable[tuple[str, BinaryIO]]) -> None:
    """Print throughput, hits, and the shares of scan, confirm and join, for at most 64 MiB of whole lines.

    Raises:
        Usage: there is no whole line.
        Withheld: the text is withheld.
    """
    parts = _parts(b"".join(source.read(_MOST) for _, source in sources)[:_MOST])
    if not parts:
        raise Usage("There is no whole line to measure on.", next_step="Name a file with log lines.")
    counts = Counters()
    for part in parts:
        counts.add(redactor.open().feed(part).counters)
    speed = speed_of(redactor, parts, time.perf_counter)
    size, masks = sum(map(len, parts)), sum(counts.masks.values())
    body = {
        "engine": redactor.engine,
        "rules": len(redactor.active),
        "bytes": size,
        "lines": counts.lines,
        "lines_touched": counts.lines_touched,
        "hits": speed.hits,
        "masks": masks,
        "mb_per_s": round(size / speed.whole / 1e6, 1),
        "share_scan": round(speed.scan / speed.whole, 3),
        "share_confirm": round(speed.confirm / speed.whole, 3),
        "share_join": round(speed.join / speed.whole, 3),
        "ratio_to_scan": round(speed.scan / speed.whole, 3),
        "ratio_to_re": round(speed.in_re / speed.whole, 1),
    }
    if run.out.json:
        run.out.resource(body)
        return
    run.out.facts(
        [
            ("Text", f"{size:,} bytes, {counts.lines:,} lines, {counts.lines_touched:,} of them touched"),
            ("Engine", f"{redactor.engine}, {len(redactor.active)} rules"),
            ("Speed", f"{body['mb_per_s']} MB/s"),
            ("Found", f"{speed.hits:,} hits of tripwires, {masks:,} masks"),
            ("Time", ", ".join(f"{one} {body[f'share_{one}']:.0%}" for one in ("scan", "confirm", "join"))),
            ("Ratios", f"{body['ratio_to_scan']} of the bare scan; {body['ratio_to_re']} times the same rules in re"),
        ]
    )  # fmt: skip


def _parts(data: bytes) -> list[bytes]:
    parts, at = [], 0
    while at < len(data):
        end = data.rfind(b"\n", at, at + _PART) + 1 or data.find(b"\n", at) + 1
        if not end:
            break
        parts.append(data[at:end])
        at = end
    return parts
