"""What the built-in packs find and what they mask in vain: labelled texts and real logs that lie outside the project.

Each labelled file is one stream, with plain lines between its records. A span is full when none of its letters and
digits survive, missed when nine tenths or more do, partial between; a record is full when every demanded span is. The
records fall into two halves by a hash of their id: rules are written with the misses of `seen` in view, and `held-out`
shows whether they generalise. Everything is masked but MAC addresses, which every profile but `strict` keeps.

Run: ``python -m bench.eval_redaction [FOLDER] [--list]``. FOLDER, also `LOGLEASE_SHARED_DATA`, by default
``../shared/data``, holds ``redaction`` and ``loghub``; without it there is nothing to do. The last line is one object
of JSON.
"""

from __future__ import annotations

import argparse
import gzip
import hashlib
import json
import os
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import accumulate
from pathlib import Path
from typing import Any, Literal

from loglease.redaction import Redactor, engine_named, packs, parse_profile
from loglease.redaction.blocks import BlockState
from loglease.redaction.edits import Edit
from loglease.redaction.result import Counters as LineCounters
from loglease.redaction.scanning import edits_of

Half = Literal["seen", "held-out"]
Fate = Literal["full", "partial", "missed"]
HALVES: tuple[Half, ...] = ("seen", "held-out")
DEMANDED = frozenset(
    {"secret", "password", "hash", "key_id", "private_key"}
    | {"CREDIT_CARD", "PHONE_NUMBER", "EMAIL_ADDRESS", "IBAN_CODE", "US_SSN", "IP_ADDRESS"}
)
BETWEEN = b"a plain line between two records\n" * 4
MISSED_SHARE = 0.9
# Rules whose finds on real logs are expected: addresses of machines and people.
ADDRESSES = ("net.ip", "pii.email")
PROFILE = b"""
profile: evaluation
version: 1
packs: [secrets@1, credentials@1, pii-core@1, pii-eu@1, pci@1, network@1]
classes: {net.mac: keep}
"""


@dataclass(frozen=True, slots=True)
class Record:
    """One labelled text and what became of it: `gone` says of each code point by which rule it was replaced."""

    id: str
    source: str
    rule: str
    is_positive: bool
    is_contested: bool
    text: str
    spans: Sequence[tuple[int, int, str]]
    gone: Sequence[str | None]

    @property
    def half(self) -> Half:
        """Return its half, decided by its id alone."""
        return HALVES[hashlib.sha256(self.id.encode()).digest()[0] % 2]

    def fate(self, start: int, end: int) -> Fate:
        """Return what became of a range."""
        places = [at for at in range(start, end) if self.text[at].isalnum()]
        left = sum(self.gone[at] is None for at in places)
        if left == 0:
            return "full"
        return "missed" if left >= MISSED_SHARE * len(places) else "partial"

    @property
    def demanded(self) -> list[tuple[int, int, str]]:
        """Return the spans that have to be found."""
        return [span for span in self.spans if span[2] in DEMANDED]

    @property
    def outside(self) -> list[str | None]:
        """Return for each letter and digit outside all spans the rule that replaced it."""
        inside = {at for start, end, _ in self.spans for at in range(start, end)}
        return [self.gone[at] for at, char in enumerate(self.text) if char.isalnum() and at not in inside]

    @property
    def flagged_by(self) -> set[str]:
        """Return the rules that replaced a letter or digit."""
        return {rule for at, rule in enumerate(self.gone) if rule is not None and self.text[at].isalnum()}

    @property
    def overall(self) -> Fate:
        """Return the record's fate: that of its worst demanded span."""
        fates = {self.fate(start, end) for start, end, _ in self.demanded}
        return "full" if fates <= {"full"} else "missed" if fates == {"missed"} else "partial"


def redactor(engine: str = "hyperscan") -> Redactor:
    """Return a redactor that masks all that the default profile's packs find, but MAC addresses."""
    return Redactor.build([parse_profile(PROFILE)], packs(), engine=engine_named(engine), keys=None, marker=bytes(16))


def edits(text: bytes, one: Redactor) -> list[Edit]:
    """Return the edits of a whole stream of at most 1 MiB, with their places in the input."""
    plan = one._plan  # noqa: SLF001 - places in the input never leave the process otherwise
    return edits_of(text, plan=plan, keys=None, state=BlockState(), keep_tokens=False, counters=LineCounters())


def records(path: Path, one: Redactor) -> list[Record]:
    """Redact one labelled file as one stream."""
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        found = [json.loads(line) for line in lines]
    texts = [str(entry["text"]) for entry in found]
    parts = [text.encode() + b"\n" + BETWEEN for text in texts]
    starts = list(accumulate((len(part) for part in parts), initial=0))
    made = edits(b"".join(parts), one)
    begins = [edit.start for edit in made]
    result = []
    for entry, text, start in zip(found, texts, starts, strict=False):
        stop = start + len(text.encode())
        near = made[max(0, bisect_left(begins, start) - 1) : bisect_left(begins, stop)]
        result.append(
            Record(
                id=entry["id"],
                source=entry["source"],
                rule=entry["rule"],
                is_positive=entry["positive"],
                is_contested=entry.get("contested", False),
                text=text,
                spans=[(int(span[0]), int(span[1]), str(span[2])) for span in entry["spans"]],
                gone=list(replaced(text, start, near)),
            )
        )
    return result


def replaced(text: str, start: int, near: Sequence[Edit]) -> Iterator[str | None]:
    """Yield for each code point of a text, which begins at a byte of the stream, the rule that replaced it."""
    at = start
    for char in text:
        yield next((edit.rule for edit in near if edit.start <= at < edit.end), None)
        at += len(char.encode())


@dataclass(slots=True)
class Tally:
    """Counts over some records of one source."""

    records: Counter[str] = field(default_factory=Counter)
    single: Counter[str] = field(default_factory=Counter)
    multi: Counter[str] = field(default_factory=Counter)
    types: dict[str, Counter[str]] = field(default_factory=dict)
    negatives: Counter[str] = field(default_factory=Counter)
    contested: Counter[str] = field(default_factory=Counter)
    outside: Counter[str] = field(default_factory=Counter)

    def add(self, record: Record) -> None:
        """Count one record."""
        for start, end, kind in record.spans:
            self.types.setdefault(kind, Counter())[record.fate(start, end)] += 1
        if not record.is_positive:
            counter = self.contested if record.is_contested else self.negatives
            counter["flagged" if record.flagged_by else "clean"] += 1
            return
        around = record.outside
        self.outside.update(masked=sum(rule is not None for rule in around), all=len(around))
        if record.demanded:
            self.records[record.overall] += 1
            (self.multi if "\n" in record.text else self.single)[record.overall] += 1

    @property
    def demanded(self) -> Counter[str]:
        """Return the fates of all demanded spans."""
        return sum((counter for kind, counter in self.types.items() if kind in DEMANDED), Counter())

    def figures(self) -> dict[str, Any]:
        """Return the shares, for the line of JSON."""
        return {
            "records_full": share(self.records, "full"),
            "single_line_full": share(self.single, "full"),
            "multi_line_full": share(self.multi, "full"),
            "records": sum(self.records.values()),
            "spans_full": share(self.demanded, "full"),
            "types_full": {kind: share(counter, "full") for kind, counter in sorted(self.types.items())},
            "negatives_flagged": share(self.negatives, "flagged"),
            "negatives": sum(self.negatives.values()),
            "outside": round(self.outside["masked"] / max(self.outside["all"], 1), 4),
        }


def share(counter: Counter[str], name: str) -> float | None:
    """Return one count's share of all, None of nothing."""
    total = sum(counter.values())
    return round(counter[name] / total, 4) if total else None


def shown(counter: Counter[str], name: str) -> str:
    total = sum(counter.values())
    return f"{counter[name]:>4} of {total:<4} {counter[name] / total:.3f}" if total else f"{'–':>18}"


def evaluated(found: Sequence[Record], source: str) -> dict[str, Any]:
    """Print a source's table, both halves side by side, and return its figures."""
    tallies = {name: Tally() for name in ("all", *HALVES)}
    for record in found:
        tallies["all"].add(record)
        tallies[record.half].add(record)
    print(f"\n== {source:38}" + "".join(f"{name:>22}" for name in tallies))
    rows: list[tuple[str, list[str]]] = [
        ("records full", [shown(one.records, "full") for one in tallies.values()]),
        ("  single-line", [shown(one.single, "full") for one in tallies.values()]),
        ("  multi-line", [shown(one.multi, "full") for one in tallies.values()]),
        ("records partial", [shown(one.records, "partial") for one in tallies.values()]),
        ("demanded spans full", [shown(one.demanded, "full") for one in tallies.values()]),
    ]
    for kind in sorted(tallies["all"].types, key=lambda kind: (kind not in DEMANDED, kind)):
        mark = "" if kind in DEMANDED else " (not demanded)"
        rows.append((f"  {kind}{mark}", [shown(one.types.get(kind, Counter()), "full") for one in tallies.values()]))
    rows.append(("negatives flagged", [shown(one.negatives, "flagged") for one in tallies.values()]))
    rows.append(("  contested ones", [shown(one.contested, "flagged") for one in tallies.values()]))
    for name, cells in rows:
        print(f"   {name:38}" + "".join(f"{cell:>22}" for cell in cells))
    outside = "".join(f"{one.figures()['outside']:>22.4f}" for one in tallies.values())
    print(f"   {'outside':38}{outside}")
    return {name: one.figures() for name, one in tallies.items()}


def listed(found: Sequence[Record]) -> None:
    """Print ids and rule names of what is amiss in the half that is seen, never a text."""
    outside: Counter[str] = Counter()
    for record in found:
        if record.half != "seen":
            continue
        if record.is_positive:
            outside.update(rule for rule in record.outside if rule is not None)
            if record.demanded and record.overall != "full":
                print(f"   {record.overall:8} {record.id:20} {record.rule}")
        elif record.flagged_by and not record.is_contested:
            print(f"   flagged  {record.id:20} {record.rule} by {', '.join(sorted(record.flagged_by))}")
    print("   outside  " + ", ".join(f"{rule} {count}" for rule, count in outside.most_common(12)))


def real_logs(folder: Path, one: Redactor) -> dict[str, Any]:
    """Count the lines of real logs in which something other than an address is masked."""
    lines = touched = 0
    rules: Counter[str] = Counter()
    classes = {active.rule.id: active.rule.cls for active in one.active}
    for path in sorted(folder.glob("*.log")):
        data = path.read_bytes().rstrip(b"\n") + b"\n"
        lines += data.count(b"\n")
        found = {
            (data.count(b"\n", 0, edit.start), edit.rule)
            for edit in edits(data, one)
            if edit.kind == "mask" and not classes.get(edit.rule, "").startswith(ADDRESSES)
        }
        touched += len({line for line, _ in found})
        rules.update(f"{path.stem}: {rule}" for _, rule in found)
    print(f"\n== real logs: {touched} of {lines} lines masked for more than addresses, {touched / max(lines, 1):.4%}")
    for name, count in rules.most_common():
        print(f"   {count:>4} {name}")
    return {"lines": lines, "masked": touched, "share": round(touched / max(lines, 1), 6)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", nargs="?", default=os.environ.get("LOGLEASE_SHARED_DATA", "../shared/data"))
    parser.add_argument("--list", action="store_true", help="ids and rule names of what is amiss in the seen half")
    parser.add_argument("--engine", default="hyperscan")
    chosen = parser.parse_args()
    labelled = sorted(Path(chosen.folder, "redaction").glob("*.jsonl.gz"))
    logs = Path(chosen.folder, "loghub")
    figures: dict[str, Any] = {"bench": "eval_redaction"}
    if not labelled and not logs.is_dir():
        print(f"There is no labelled data in {chosen.folder}: nothing to evaluate.")
    else:
        one = redactor(chosen.engine)
        figures |= {"engine": one.engine, "rules": len(one.active)}
        for path in labelled:
            source = path.name.removesuffix(".jsonl.gz")
            found = records(path, one)
            figures[source] = evaluated(found, source)
            if chosen.list:
                listed(found)
        if logs.is_dir():
            figures["real_logs"] = real_logs(logs, one)
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
