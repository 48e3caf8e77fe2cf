"""Redaction beside other tools on the same labelled lines: what they find of what is planted, what else, how fast.

The tools live in an environment of their own, never among the dependencies. None of them is made for all of this:
detect-secrets looks for secrets in files, Presidio (its recognizers by pattern, which need no model) and
scrubadub for personal data. So secrets and personal data are counted apart. A value is *full* when none of its letters
and digits is outside what a tool reports, *found* when a report touches it. Private addresses are nobody's mistake.

Run: ``python -m bench.redacting.comparison PYTHON [--lines 4000]``, PYTHON being the interpreter of that environment.
The last line is one object of JSON.
"""

from __future__ import annotations

import argparse
import json
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from bench.redacting.corpus import Corpus, generated
from bench.redacting.others import TOOLS
from bench.redacting.quality import judged, masks_of
from bench.redacting.speed import whole
from bench.redacting.timing import interleaved, line_chunks

from loglease.redaction import Keys, redactor_for

PERSONAL: Final = frozenset({"email", "card", "card-number", "cvv", "iban", "ssn", "phone", "ipv4", "ipv6"})
DENSITY: Final = "dense"

Span = tuple[int, int, str]


@dataclass(frozen=True, slots=True)
class Result:
    """What a tool reported on a corpus, and how long it took."""

    spans: Sequence[Span]
    seconds: float


def ours(corpus: Corpus, profile: str) -> Result:
    """Redact the corpus."""
    redactor = redactor_for([profile], keys=Keys(bytes(32)), marker=bytes(16))
    times = interleaved({"ours": whole(redactor, line_chunks(corpus.text))}, 3)["ours"]
    return Result([(edit.start, edit.end, edit.rule) for edit in masks_of(redactor, corpus.text)], sorted(times)[1])


def theirs(python: str, tool: str, lines: int, seed: int) -> Result:
    """Run another tool in its own environment."""
    command = [python, "-m", "bench.redacting.others", tool, DENSITY, str(lines), str(seed)]
    found = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL).stdout)
    return Result([(start, end, rule) for start, end, rule in found["spans"]], found["seconds"])


def figures(corpus: Corpus, result: Result) -> dict[str, Any]:
    """Judge one tool."""
    addresses = [label for label in corpus.look_alikes if label.kind == "private-address"]
    spared = {at for label in addresses for at in range(label.start, label.end)}
    spans = [span for span in result.spans if span[0] not in spared]
    found: dict[str, Any] = {}
    for group, is_personal in (("secrets", False), ("personal", True)):
        part = Corpus(corpus.text, tuple(one for one in corpus.planted if (one.kind in PERSONAL) is is_personal), ())
        found[f"{group} full"] = round(judged(part, spans).recall, 3)
        found[f"{group} found"] = round(_found(part, spans), 3)
    everything = judged(corpus, spans)
    found["precision"] = round(everything.precision, 3)
    found["look-alikes touched"] = round(everything.touched_share, 4)
    found["MB/s"] = round(len(corpus.text) / result.seconds / 1e6, 3)
    return found


def _found(corpus: Corpus, spans: Sequence[Span]) -> float:
    covered = bytearray(len(corpus.text))
    for start, end, _ in spans:
        covered[start:end] = b"\1" * (end - start)
    values = {label.value for label in corpus.planted}
    return len({label.value for label in corpus.planted if 1 in covered[label.start : label.end]}) / len(values)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("python", help="interpreter of the environment with the other tools")
    parser.add_argument("--lines", type=int, default=4_000)
    parser.add_argument("--seed", type=int, default=1)
    chosen = parser.parse_args()
    corpus = generated(DENSITY, chosen.lines, seed=chosen.seed)
    results = {f"loglease {profile}": ours(corpus, profile) for profile in ("pii-default@1", "secrets@1")}
    results |= {tool: theirs(chosen.python, tool, chosen.lines, chosen.seed) for tool in TOOLS}
    rows = {name: figures(corpus, result) for name, result in results.items()}
    print(f"corpus {DENSITY}, {corpus.lines} lines, {len(corpus.text) / 1e6:.1f} MB")
    names = list(next(iter(rows.values())))
    print(f"{'':24}" + "".join(f"{name:>21}" for name in names))
    for name, row in rows.items():
        print(f"{name:24}" + "".join(f"{row[column]:>21}" for column in names))
    print(json.dumps({"bench": "redaction_others", "lines": corpus.lines, **rows}))


if __name__ == "__main__":
    main()
