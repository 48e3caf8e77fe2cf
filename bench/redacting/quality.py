"""What redaction does with a labelled corpus: how much of what is planted goes, and how much else goes with it."""

from __future__ import annotations

import importlib.util
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import zip_longest
from pathlib import Path
from typing import Any, Final

from bench.redacting.corpus import Corpus, Label
from bench.redacting.timing import line_chunks

from loglease.redaction import Counters, Redactor
from loglease.redaction.blocks import BlockState
from loglease.redaction.edits import Edit
from loglease.redaction.scanning import edits_of

TESTS: Final = Path(__file__).parents[2] / "tests" / "redaction"


def masks_of(redactor: Redactor, text: bytes) -> list[Edit]:
    """Return the masks in a stream of whole lines, with their places in what went in."""
    state, counters, at, found = BlockState(), Counters(), 0, []
    for chunk in line_chunks(text):
        edits = edits_of(
            chunk,
            plan=redactor._plan,  # noqa: SLF001 - places in the input never leave the process otherwise
            keys=redactor._keys,  # noqa: SLF001 - the same
            state=state,
            keep_tokens=False,
            counters=counters,
        )
        found += [edit._replace(start=edit.start + at, end=edit.end + at) for edit in edits if edit.kind == "mask"]
        at += len(chunk)
    return found


@dataclass(slots=True)
class Judged:
    """Counts over one corpus; `missed`, `touched` and `vain` are by kind of label or by rule."""

    values: int = 0
    missed: Counter[str] = field(default_factory=Counter)
    look_alikes: int = 0
    touched: Counter[str] = field(default_factory=Counter)
    spans: int = 0
    vain: Counter[str] = field(default_factory=Counter)

    @property
    def recall(self) -> float:
        """Return the share of the planted values of which nothing is left."""
        return 1 - self.missed.total() / max(self.values, 1)

    @property
    def precision(self) -> float:
        """Return the share of the spans that overlap a planted value."""
        return 1 - self.vain.total() / max(self.spans, 1)

    @property
    def touched_share(self) -> float:
        """Return the share of the look-alikes of which something is gone."""
        return self.touched.total() / max(self.look_alikes, 1)

    def add(self, other: Judged) -> None:
        """Add the counts of another corpus."""
        self.values += other.values
        self.look_alikes += other.look_alikes
        self.spans += other.spans
        self.missed += other.missed
        self.touched += other.touched
        self.vain += other.vain


def judged(corpus: Corpus, spans: Sequence[tuple[int, int, str]]) -> Judged:
    """Compare spans, each with start, end and rule, with the labels of a corpus."""
    masked = _covered(len(corpus.text), ((start, end) for start, end, _ in spans))
    wanted = _covered(len(corpus.text), ((label.start, label.end) for label in corpus.planted))
    left = {
        label.value: label.kind
        for label in corpus.planted
        if 0 in masked[label.start : label.end] and _is_left(corpus.text, label, masked)
    }
    return Judged(
        values=len({label.value for label in corpus.planted}),
        missed=Counter(left.values()),
        look_alikes=len(corpus.look_alikes),
        touched=Counter(label.kind for label in corpus.look_alikes if 1 in masked[label.start : label.end]),
        spans=len(spans),
        vain=Counter(rule for start, end, rule in spans if 1 not in wanted[start:end]),
    )


def _covered(size: int, ranges: Iterator[tuple[int, int]]) -> bytearray:
    covered = bytearray(size)
    for start, end in ranges:
        covered[start:end] = b"\1" * (end - start)
    return covered


def _is_left(text: bytes, label: Label, masked: bytearray) -> bool:
    """Tell whether a letter or digit of a value is still there."""
    return any(not masked[at] and text[at : at + 1].isalnum() for at in range(label.start, label.end))


def oracle_difference(redactor: Redactor, text: bytes) -> int:
    """Return how many bytes the lines have that the redactor answers otherwise than the oracle of the tests."""
    expected, _ = from_tests("oracle").oracle(redactor, text)
    return differing(redacted(redactor, text), expected)


def from_tests(name: str) -> Any:
    """Return a module of redaction's tests, which say what it means."""
    spec = importlib.util.spec_from_file_location(f"redaction_{name}", TESTS / f"{name}.py")
    if spec is None or spec.loader is None:
        raise SystemExit(f"there is no {name}.py in {TESTS}")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # data classes look for their own module
    spec.loader.exec_module(module)
    return module


def differing(one: bytes, other: bytes) -> int:
    """Return how many bytes those lines have in which two texts differ."""
    pairs = zip_longest(one.split(b"\n"), other.split(b"\n"), fillvalue=b"")
    return sum(max(len(first), len(second), 1) for first, second in pairs if first != second)


def redacted(redactor: Redactor, text: bytes) -> bytes:
    """Return a stream as it leaves."""
    stream = redactor.open()
    return b"".join([*(stream.feed(chunk).out for chunk in line_chunks(text)), stream.close().out])
