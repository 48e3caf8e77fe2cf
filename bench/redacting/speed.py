"""How fast redaction is beside what it cannot do without, and beside the ways it is not done."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Sequence
from statistics import median, quantiles
from typing import Any, Final

from bench.redacting.timing import interleaved, line_chunks, ratio

from loglease.redaction import Redactor
from loglease.redaction.engine.re2_engine import blocks
from loglease.redaction.rules import BlockRule, KeyRule, PatternRule, key_pattern

# What may stand between a key and its value, in the comparison with `re`.
_BEHIND_KEY: Final = r"[\"'`\\\]]{0,9}[ \t]{0,8}(?:=>|[:=>])[ \t]{0,8}[^\s]"


def whole(redactor: Redactor, chunks: Sequence[bytes]) -> Callable[[], object]:
    """Return the step that redacts chunks of one stream, as a reader hands them over."""

    def step() -> None:
        stream = redactor.open()
        for chunk in chunks:
            stream.feed(chunk)
        stream.close()

    return step


def bare_scan(redactor: Redactor, chunks: Sequence[bytes]) -> Callable[[], object]:
    """Return the step that only scans: the same tripwires over the same bytes, with a callback that counts."""
    plan: Any = redactor._plan  # noqa: SLF001 - the compiled tripwires are inside
    texts = [chunk + plan.canary for chunk in chunks]
    if redactor.engine == "hyperscan":
        return _bare_hyperscan(plan.scanner._database, texts)  # noqa: SLF001 - the same
    if redactor.engine == "re2":
        match = plan.scanner._filter.Match  # noqa: SLF001 - the same
        parts = [text[start:end] for text in texts for start, end in blocks(text)]
        return lambda: sum(len(match(part) or ()) for part in parts)
    return lambda: [plan.scanner.scan(text) for text in texts]


def _bare_hyperscan(database: Any, texts: Sequence[bytes]) -> Callable[[], object]:
    import hyperscan  # noqa: PLC0415 - there may be no wheel

    scratch = hyperscan.Scratch(database)
    count = 0

    def counted(_number: int, _start: int, _end: int, _flags: int, _context: object) -> None:
        nonlocal count
        count += 1

    def step() -> int:
        for text in texts:
            database.scan(text, match_event_handler=counted, scratch=scratch)
        return count

    return step


def one_by_one(redactor: Redactor, text: bytes) -> Callable[[], object]:
    """Return the step that looks for each rule alone with `re` in the whole text, and validates what matches."""
    rules = []
    for active in redactor.active:
        rule = active.rule
        if isinstance(rule, PatternRule):
            rules.append((re.compile(rule.pattern.encode(), re.DOTALL), rule.mask or 0, rule.validate))
        elif isinstance(rule, KeyRule):
            rules.append((re.compile(f"(?i){key_pattern(rule.keys)}{_BEHIND_KEY}".encode()), 0, ()))
        elif isinstance(rule, BlockRule):
            rules.append((re.compile(rule.begin.encode()), 0, ()))

    def step() -> int:
        return sum(
            all(check(text, *found.span(group)) for check in checks)
            for pattern, group, checks in rules
            for found in pattern.finditer(text)
        )

    return step


def to_bare_scan(redactor: Redactor, text: bytes, runs: int) -> tuple[float, float]:
    """Return the throughput as a share of that of the bare scan, and in MB/s."""
    chunks = line_chunks(text)
    times = interleaved({"whole": whole(redactor, chunks), "bare": bare_scan(redactor, chunks)}, runs)
    return ratio(times["bare"], times["whole"]), len(text) / median(times["whole"]) / 1e6


def to_one_by_one(redactor: Redactor, text: bytes, sample: bytes, runs: int) -> float:
    """Return throughput on a text over that of `one_by_one` on a sample of it."""
    steps = {"whole": whole(redactor, line_chunks(text)), "re": one_by_one(redactor, sample)}
    times = interleaved(steps, runs)
    return ratio(times["re"], times["whole"]) * len(text) / len(sample)


def faster(one: tuple[Redactor, bytes], other: tuple[Redactor, bytes], runs: int) -> float:
    """Return the throughput of one redactor on a text over that of another on another."""
    steps = {"one": whole(one[0], line_chunks(one[1])), "other": whole(other[0], line_chunks(other[1]))}
    times = interleaved(steps, runs)
    return ratio(times["other"], times["one"]) * len(one[1]) / len(other[1])


def faster_at_first(one: Redactor, other: Redactor, texts: Sequence[bytes]) -> float:
    """Return the throughput of one redactor over that of another on texts that neither has read before.

    An automaton that is built while it reads knows a text at the second time; logs come once.
    """
    times: dict[str, list[float]] = {"one": [], "other": []}
    for text in texts:
        for name, redactor in (("one", one), ("other", other)):
            step = whole(redactor, line_chunks(text))
            begun = time.process_time()
            step()
            times[name].append(time.process_time() - begun)
    return ratio(times["other"], times["one"])


def line_by_line(redactor: Redactor, text: bytes, runs: int) -> dict[str, float]:
    """Return percentiles, in microseconds, of handing over one line at a time; medians of the runs.

    ``p50`` and ``p99`` are processor time of the thread, ``wall p99`` counts what other programs took, too.
    """
    lines = text.splitlines(keepends=True)
    found: dict[str, list[float]] = {"p50": [], "p99": [], "wall p99": []}
    for _ in range(runs):
        stream, times, walls = redactor.open(), [], []
        for line in lines:
            wall, begun = time.perf_counter_ns(), time.thread_time_ns()
            stream.feed(line)
            times.append(time.thread_time_ns() - begun)
            walls.append(time.perf_counter_ns() - wall)
        cuts = quantiles(times, n=100)
        found["p50"].append(cuts[49] / 1e3)
        found["p99"].append(cuts[98] / 1e3)
        found["wall p99"].append(quantiles(walls, n=100)[98] / 1e3)
    return {name: median(values) for name, values in found.items()}
