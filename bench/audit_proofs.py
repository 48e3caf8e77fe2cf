"""How fast logs are verified, beside the verifier in Go, and entries proven; and what a log takes beyond its entries.

``python -m bench.audit_proofs [ENTRIES]``, a million without; with ``--large`` proofs from ten times as many, too. Both
verifiers read the same files, which the system has in memory, in interleaved rounds; figures are medians. Ours looks at
the form of each entry as well, of which the one in Go knows nothing. The log keeps all rules, so that each of them is
asked where it applies. A proof is cold where nothing was read before it by the program: each has a new reader, and an
entry drawn at random.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random

from bench.lawful import lawful
from tests.audit.logs import KEY, log_files, write_log
from tests.real.foreign import foreign_path

from loglease.audit.log_directory import FileLog
from loglease.audit.log_reading import prove, read_head
from loglease.audit.semantic import Verifier, extract
from loglease.audit.tiles import CHECKPOINT, ENTRIES, WIDTH, tile_of
from loglease.audit.verify import Checked
from loglease.audit.verify_jobs import verify_with_jobs

JOBS = 2
ROUNDS = 3
PROOFS = 400
LARGE = 10
KEYS = (KEY.verifier,)
GOALS = {
    f"ours, {JOBS} jobs / go, 1 job": (0.4, True),
    "ours, rules / ours": (3.0, False),
    "proof, p50 ms": (2.0, False),
    f"proof x{LARGE} / proof": (2.5, False),
    "bytes/entry beyond it": (35.0, False),
}
"""What figures have to be, where they are measured: at least so much, or at most."""


def seconds(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def computed() -> float:
    """Return the seconds that this process, and those that it waited for, have computed."""
    return sum(os.times()[:4])


def verified_by_us(place: Path, jobs: int) -> None:
    read = FileLog(place)
    head, _ = read_head(read, KEYS)
    verify_with_jobs(read, head, jobs=jobs)


def rules_checked(place: Path) -> None:
    """Verify a log, and its rules meanwhile, as `audit verify --semantic` does."""
    read = FileLog(place)
    head, _ = read_head(read, KEYS)
    rules = Verifier()

    def take(part: Checked) -> None:
        for first, content in zip(part.entries[::WIDTH], part.extracts, strict=True):
            rules.take_extract(first, content)

    verify_with_jobs(read, head, jobs=JOBS, extract=extract, take=take)
    report = rules.finish()
    if report.broken:
        raise SystemExit(f"The log that is measured breaks {', '.join(sorted(report.broken))}: nothing to measure.")


def verified_in_go(program: Path, place: Path, jobs: int) -> None:
    words = [str(program), "verify", str(place), "-jobs", str(jobs), str(KEY.verifier)]
    subprocess.run(words, check=True, capture_output=True)


def verifying(place: Path, count: int) -> dict[str, object]:
    """Return rates in entries a second, and ours as a share of Go's."""
    work: dict[str, Callable[[], object]] = {
        f"ours, {JOBS} jobs": lambda: verified_by_us(place, JOBS),
        "ours, 1 job": lambda: verified_by_us(place, 1),
        "ours, rules": lambda: rules_checked(place),
    }
    program = foreign_path()
    if program is None:
        print("ABSENT: the foreign verifier in Go, so ours is compared with nothing. Run `make real-servers`.")
    else:
        work["go, 1 job"] = lambda: verified_in_go(program, place, 1)
        work[f"go, {JOBS} jobs"] = lambda: verified_in_go(program, place, JOBS)
    taken: dict[str, list[float]] = {name: [] for name in work}
    spent: dict[str, list[float]] = {name: [] for name in work}
    for _ in range(ROUNDS):
        for name, one in work.items():
            before = computed()
            taken[name].append(seconds(one))
            spent[name].append(computed() - before)
    found: dict[str, object] = {}
    for name, rounds in taken.items():
        wall, cpu = statistics.median(rounds), statistics.median(spent[name])
        found[f"entries/s, {name}"] = round(count / wall)
        found[f"computing us/entry, {name}"] = round(cpu / count * 1e6, 2)
        print(f"  {name:14} {count / wall:12,.0f} entries/s   {wall:6.2f} s, of it computing {cpu:6.2f} s")
    slower = [
        with_rules / plain for with_rules, plain in zip(taken["ours, rules"], taken[f"ours, {JOBS} jobs"], strict=True)
    ]
    found["ours, rules / ours"] = round(statistics.median(slower), 2)
    for jobs in (1, JOBS) if program is not None else ():
        rival = f"go, {jobs} job{'s' * (jobs > 1)}"
        ratios = [theirs / ours for ours, theirs in zip(taken[f"ours, {JOBS} jobs"], taken[rival], strict=True)]
        found[f"ours, {JOBS} jobs / {rival}"] = round(statistics.median(ratios), 2)
    return found


def proving(place: Path, indices: list[int]) -> tuple[float, int]:
    """Return the median time of a proof in milliseconds, and of how many hashes it is."""
    times, hashes = [], 0
    for index in indices:
        began = time.perf_counter()
        proof, _ = prove(FileLog(place), index)
        times.append((time.perf_counter() - began) * 1_000)
        hashes = max(hashes, len(proof.hashes))
    return statistics.median(times), hashes


def overhead(place: Path, count: int) -> float:
    """Return how many bytes an entry the files have beyond the entries themselves."""
    files = sum(path.stat().st_size for path in place.rglob("*") if path.is_file())
    return (files - sum(map(len, lawful(count)))) / count


def of_these(files: Iterator[tuple[str, bytes]], numbers: set[int]) -> Iterator[tuple[str, bytes]]:
    """Leave out the bundles that nobody will ask for: they are most of a log."""
    for path, content in files:
        if path == CHECKPOINT or tile_of(path).level != ENTRIES or tile_of(path).number in numbers:
            yield path, content


def main() -> None:
    words = [word for word in sys.argv[1:] if word != "--large"]
    count = int(words[0]) if words else 1_000_000
    draw = Random(1)
    figures: dict[str, object] = {"bench": "audit_proofs", "entries": count}
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        made = seconds(lambda: write_log(place / "log", log_files(lawful(count))))
        print(f"a log of {count:,} entries, made in {made:.0f} s")
        figures |= verifying(place / "log", count)
        drawn = [draw.randrange(count) for _ in range(PROOFS)]
        proof_ms, hashes = proving(place / "log", drawn)
        figures |= {"proof, p50 ms": round(proof_ms, 2), "proof, hashes": hashes}
        figures["bytes/entry beyond it"] = round(overhead(place / "log", count), 2)
        if "--large" in sys.argv[1:]:
            large = [draw.randrange(count * LARGE) for _ in range(PROOFS)]
            files = of_these(log_files(lawful(count * LARGE)), {index // WIDTH for index in large})
            write_log(place / "large", files)
            # Interleaved: the smaller one is measured anew beside the larger one.
            pairs = [(proving(place / "log", drawn), proving(place / "large", large)) for _ in range(ROUNDS)]
            grown = statistics.median(theirs[0] / ours[0] for ours, theirs in pairs)
            figures[f"proof x{LARGE}, p50 ms"] = round(statistics.median(one[0] for _, one in pairs), 2)
            figures[f"proof x{LARGE}, hashes"] = pairs[0][1][1]
            figures[f"proof x{LARGE} / proof"] = round(grown, 2)
    for name, value in figures.items():
        if name != "bench":
            print(f"  {name:34} {value}")
    print(json.dumps(figures | {"goals": {name: goal for name, (goal, _) in GOALS.items()}}))
    measured = [(float(str(figures[name])), *goal) for name, goal in GOALS.items() if name in figures]
    if any(value < goal if is_least else value > goal for value, goal, is_least in measured):
        sys.exit(1)


if __name__ == "__main__":
    main()
