"""Is redaction right, and how fast is it beside its own bare scan? Goals, what was measured, and a verdict.

Everything is measured in one process, back to back, in processor time, on a labelled corpus that a seed writes
(`bench.redacting.corpus`); rows on data outside the project appear where it is there. Figures in MB/s depend on the
machine and are no goals. The exit code is 1 where a *must* is missed.

Run: ``python -m bench.redaction [--quick] [--lines 20000] [--runs 7] [--data FOLDER]``. The last line is one object of
JSON.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import platform
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from statistics import median
from typing import Any, Final

from bench.redacting import goals, shared, speed
from bench.redacting.corpus import DENSITIES, Corpus, generated
from bench.redacting.goals import Row
from bench.redacting.quality import Judged, differing, from_tests, judged, masks_of, oracle_difference, redacted

from loglease.redaction import Keys, Redactor, redactor_for

STARTS: Final = 5
RE_SAMPLE: Final = 256 << 10
# Throughput as a share of the bare scan's: must and target.
TO_BARE: Final = {"sparse": (0.50, 0.65), "dense": (0.25, 0.35), "full": (0.15, 0.22), "real logs": (0.20, 0.30)}


@dataclass(frozen=True, slots=True)
class Bench:
    """What all measurements share."""

    corpora: dict[str, Corpus]
    real: bytes
    runs: int
    lines: int
    seed: int

    def redactor(self, engine: str = "hyperscan", profile: str = "pii-default@1") -> Redactor:
        """Return a redactor with fixed key and marker."""
        return redactor_for([profile], keys=Keys(bytes(32)), marker=bytes(16), engine=engine)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="a fast look: few lines, few runs")
    parser.add_argument("--lines", type=int, default=20_000)
    parser.add_argument("--runs", type=int, default=7)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--data", type=Path, default=Path(os.environ.get("LOGLEASE_SHARED_DATA", "../shared/data")))
    chosen = parser.parse_args()
    lines, runs = (4_000, 3) if chosen.quick else (chosen.lines, chosen.runs)
    corpora = {name: generated(name, lines, seed=chosen.seed) for name in DENSITIES}
    bench = Bench(corpora, shared.real_text(chosen.data), runs, lines, chosen.seed)
    facts: dict[str, Any] = {"bench": "redaction", **machine(), **about(bench)}
    rows = [*quality(bench, facts), *shared.rows(chosen.data), *disguises(bench), *speeds(bench, facts), *starts(facts)]
    rows += differences(bench, 100 if chosen.quick else 400)
    rows.sort(key=lambda row: int(row.goal[1:]))
    for name, fact in facts.items():
        print(f"{name:24} {fact}")
    print(goals.table(rows))
    print(json.dumps({**facts, "goals": {f"{row.goal} {row.what}": row.figures() for row in rows}}))
    if lost := goals.missed(rows):
        raise SystemExit("missed: " + "; ".join(f"{row.goal} {row.what}" for row in lost))


def machine() -> dict[str, str]:
    """Return what the figures were taken on."""
    found = {"processor": _processor(), "python": platform.python_version()}
    for name in ("hyperscan", "google-re2"):
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "absent"
    return found


def _processor() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        for line in cpuinfo.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def about(bench: Bench) -> dict[str, Any]:
    """Return what was redacted, and by how many rules."""
    return {
        "rules": len(bench.redactor().active),
        "corpus": {
            name: {"MB": round(len(one.text) / 1e6, 1), "lines": one.lines, "planted": len(one.planted)}
            for name, one in bench.corpora.items()
        },
    }


def quality(bench: Bench, facts: dict[str, Any]) -> Iterator[Row]:
    """Judge the corpora of all densities."""
    found = {
        name: judged(one, [(edit.start, edit.end, edit.rule) for edit in masks_of(bench.redactor(), one.text)])
        for name, one in bench.corpora.items()
    }
    total = Judged()
    for one in found.values():
        total.add(one)
    facts["missed"], facts["touched"], facts["in vain"] = (
        dict(counter.most_common(12)) for counter in (total.missed, total.touched, total.vain)
    )
    yield Row("G1", f"planted values fully masked, of {total.values}", total.recall, 1.0, 1.0)
    yield Row("G2", "sparse: spans that overlap a planted value", found["sparse"].precision, 0.98, 0.995)
    share = total.touched_share
    yield Row("G3", f"look-alikes touched, of {total.look_alikes}", share, 0.001, 0.0, is_most=True, unit="%")


def disguises(bench: Bench) -> Iterator[Row]:
    """Try every carrier of the tests' matrix with every kind of value."""
    carriers = from_tests("carriers")
    counted = carriers.summary(carriers.matrix(bench.redactor()))
    for demand, must in (("must", 1.0), ("should", 0.5)):
        share = counted[f"{demand} masked"] / counted[demand]
        yield Row("G7", f"carriers: cells that {demand} be masked and are, of {counted[demand]}", share, must, 1.0)


def speeds(bench: Bench, facts: dict[str, Any]) -> Iterator[Row]:
    """Measure throughput against the bare scan, other engines, profiles and texts, and the time of one line."""
    texts = {name: one.text for name, one in bench.corpora.items()}
    if bench.real:
        texts["real logs"] = bench.real
    native = bench.redactor()
    gc.freeze()  # as a server does with what its start made; the labels of the corpora are no part of one either
    facts["MB/s"] = {}
    for name, text in texts.items():
        share, rate = speed.to_bare_scan(native, text, bench.runs)
        facts["MB/s"][name] = round(rate, 1)
        yield Row("G8", f"throughput ÷ bare scan, {name}", share, *TO_BARE[name])
    sparse, dense = texts["sparse"], texts["dense"]
    sample = sparse[: sparse.rfind(b"\n", 0, RE_SAMPLE) + 1]
    found = speed.to_one_by_one(native, sparse, sample, bench.runs)
    yield Row("G9", f"÷ the same rules one by one in `re`, sparse, {len(sample) >> 10} KiB of it", found, 150, 250)
    other = bench.redactor("re2")
    for name in ("sparse", "dense"):
        unread = [generated(name, bench.lines, seed=bench.seed + turn).text for turn in range(1, bench.runs + 1)]
        found = speed.faster_at_first(other, native, unread)
        yield Row("G10", f"engine re2 ÷ hyperscan, {name}", found, 0.35, 0.50)
    found = speed.faster((bench.redactor(profile="secrets@1"), sparse), (native, sparse), bench.runs)
    yield Row("G11", "profile secrets ÷ pii-default, sparse", found, 2.5, 3)
    escaped = generated("sparse", bench.lines, escapes_every=10).text
    found = speed.faster((native, escaped), (native, sparse), bench.runs)
    yield Row("G12", "sparse with escapes on every tenth line ÷ sparse", found, 0.50, 0.75)
    times = speed.line_by_line(native, dense, bench.runs)
    facts["one line, µs"] = {name: round(value, 1) for name, value in times.items()}
    yield Row("G13", "one line at a time, dense: p99", times["p99"], 50, 30, is_most=True, unit="µs")


def starts(facts: dict[str, Any]) -> Iterator[Row]:
    """Measure starts of fresh processes, and what a waiting stream holds."""
    found = []
    for _ in range(STARTS):
        command = [sys.executable, "-m", "bench.redacting.start", "hyperscan"]
        found.append(json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout))
    middle = {name: median(one[name] for one in found) for name in found[0]}
    facts["start, s"] = {"import": round(middle["import_s"], 3), "build": round(middle["build_s"], 3)}
    yield Row("G14", "start with compile and self-test", middle["start_s"], 2, 1, is_most=True, unit="s")
    size = middle["bytes_per_stream"] / 1024
    yield Row("G14", "memory of an idle stream", size, 64, 16, is_most=True, unit="KiB")


def differences(bench: Bench, oracle_lines: int) -> Iterator[Row]:
    """Count bytes in which engines and oracle differ."""
    native = bench.redactor()
    for engine in ("re2", "python"):
        other = bench.redactor(engine)
        count = sum(differing(redacted(native, one.text), redacted(other, one.text)) for one in bench.corpora.values())
        yield Row("G15", f"bytes that engine {engine} answers differently", count, 0, 0, is_most=True)
    sample = b"".join(b"".join(one.text.splitlines(keepends=True)[:oracle_lines]) for one in bench.corpora.values())
    count = oracle_difference(native, sample)
    yield Row("G15", f"bytes that the oracle answers differently, {len(sample) >> 10} KiB", count, 0, 0, is_most=True)


if __name__ == "__main__":
    main()
