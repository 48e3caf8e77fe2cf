"""Queries on one core: pages are redacted, evaluated and encoded as in the gateway, beside plain Python line by line.

Made-up JSON lines of about 200 bytes, a fiftieth with something to mask, in pages of 1,000 lines of ten streams. Each
kind of query runs as the gateway runs it, without sockets and records; beside it, in turn, runs a loop over the same
lines with `re` or `json.loads` and no redaction. All is CPU time of one thread; figures are medians, and redaction is
told apart. Then come parts of the engine alone beside a bare loop, and the peak memory of a metric.

Run: ``python -m bench.logql [--lines 1000000] [--rounds 3] [--profile pii-default@1]``. The last line is one object of
JSON; `goals` has for each goal the figure, what it should be at least (or at most), and whether it is.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import re
import resource
import subprocess
import sys
import time
from array import array
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from statistics import geometric_mean, median
from typing import Any

import orjson

from loglease.gateway.frontends.plain.encoders import NdJson
from loglease.gateway.lines import Lines, redacted_page
from loglease.gateway.reading import LogReading, MetricReading, RangeRead, Reading
from loglease.gateway.recheck import Order, Recheck, Violations
from loglease.gateway.rescan import Rescans, rescan_with
from loglease.gateway.resume import Position, Resumes
from loglease.gateway.served import Item
from loglease.gateway.worker import worker_of
from loglease.logql import Entry, JoinedLines, LogQuery, Pipeline, early_test, parse, split_filters
from loglease.logql.metrics import Grid, MetricQuery
from loglease.model.ids import GrantId, PrincipalId
from loglease.model.instant import EventWindow, Interval
from loglease.model.labels import Selector, labels_of
from loglease.model.scope import Scope
from loglease.redaction import Keys, Redacted, RedactionStream, Redactor, redactor_for
from loglease.sources.interface import Direction, Page, ReadPlan

PAGE_LINES = 1_000
PAGES = 100
"""Different pages; more lines are the same pages at later times."""
SPAN_NS = 3_600 * 10**9
START_NS = 1_793_000_000 * 10**9
STREAMS = [labels_of({"service": f"svc-{number % 5}", "pod": f"pod-{number}"}) for number in range(10)]
LEVELS = ("debug", "info", "info", "info", "warn", "error")
WORDS = ("checkout", "cart", "payment", "retry", "upstream", "cache", "queue", "render", "session", "lookup")
LOGFMT = re.compile(rb'"([a-z]+)":("[^"]*"|[0-9]+)')
PAIRS = re.compile(r'([^\s="]+)=("[^"]*"|[^\s"]*)')
PATTERNS = (
    "needle",
    "lease-[a-z]+",
    "(?i)NEEDLE",
    "cart.*needle",
    'status":5\\d\\d',
    "(error|warn)",
    '"ms":8[0-9]{2}',
    "user[0-9]+",
    "retry upstream",
    "retry .* upstream",
    "[0-9a-f]{12}",
    '^\\{"ts":"2026',
    "}$",
    "(cart|queue|lookup) (cart|queue|lookup)",
    "\\bcache\\b",
    "timeout|needle|panic",
    "payment.+payment.+payment",
    '"level":"error".*"status":500',
    "x{3}",
    "[^ ]*needle[^ ]*",
)


@dataclass(frozen=True)
class Kind:
    """A query, and what plain Python does for it with one line; `goal` is lines per second, redaction included."""

    query: str
    keeps: Callable[[bytes], object]
    goal: int | None = None


KINDS = {
    "selector": Kind('{service=~".+"}', lambda _: True),
    "literal": Kind('{service=~".+"} |= "lease-needle"', lambda line: b"lease-needle" in line, 300_000),
    "regex": Kind(
        '{service=~".+"} |~ "lease-n[a-z]+"',
        re.compile(rb"lease-n[a-z]+").search,
        300_000,
    ),
    "json": Kind('{service=~".+"} | json | ms >= 890', lambda line: json.loads(line)["ms"] >= 890, 120_000),
    "metric": Kind('sum by (service) (count_over_time({service=~".+"}[5m]))', lambda _: True, 300_000),
    "json_metric": Kind(
        'sum by (level) (count_over_time({service=~".+"} | json [5m]))',
        lambda line: json.loads(line)["level"],
        120_000,
    ),
}


class TimedStream(RedactionStream):
    """Adds up what redaction takes."""

    __slots__ = ("_spent",)

    def __init__(self, redactor: Redactor, spent: list[float]) -> None:
        super().__init__(redactor)
        self._spent = spent

    def feed(self, chunk: bytes, ends: Sequence[int] | None = None) -> Redacted:
        """Redact and take the time."""
        began = time.thread_time()
        result = super().feed(chunk, ends)
        self._spent[0] += time.thread_time() - began
        return result


class TimedRedactor(Redactor):
    """A redactor that knows how long its streams took, in seconds of CPU time."""

    spent: list[float]

    @classmethod
    def of(cls, profile: str) -> TimedRedactor:
        """Return the redactor of a profile."""
        keys = Keys.derived(b"k" * 32, salt=b"s" * 32, grant_id="bench")
        made = redactor_for([profile], keys=keys, marker=b"m" * 32)
        timed = cls(made._plan, made._keys, made._tokens)  # noqa: SLF001 - the same redactor, measured
        timed.spent = [0.0]
        return timed

    def open(self) -> RedactionStream:
        """Begin a stream that is measured."""
        return TimedStream(self, self.spent)


def made_line(chance: random.Random, tick: int) -> bytes:
    """Return one line."""
    words = " ".join(chance.choices(WORDS, k=9))
    draw = chance.random()
    if draw < 0.02:
        words += f" for user{chance.randrange(10**6)}@example.com" if draw < 0.015 else " password=hunter12345678"
    elif draw > 0.99:
        words += " lease-needle"
    return (
        f'{{"ts":"2026-07-31T10:{tick // 60 % 60:02}:{tick % 60:02}.{chance.randrange(10**6):06}Z",'
        f'"level":"{chance.choice(LEVELS)}","msg":"{words}","trace":"{chance.getrandbits(48):012x}",'
        f'"status":{chance.choice((200, 200, 200, 404, 500))},"ms":{chance.randrange(900)}}}'
    ).encode()


class Source:
    """A reader that has its pages ready."""

    def __init__(self, lines: int, seed: int = 1) -> None:
        chance = random.Random(seed)
        self.count = max(1, lines // PAGE_LINES)
        self.texts = [[made_line(chance, tick) for tick in range(PAGE_LINES)] for _ in range(min(PAGES, self.count))]
        self._streams = [array("I", (chance.randrange(len(STREAMS)) for _ in range(PAGE_LINES))) for _ in self.texts]

    def pages(self) -> Iterator[Page]:
        """Yield pages in the order of time."""
        apart = SPAN_NS // (self.count * PAGE_LINES)
        for number in range(self.count):
            place = number % len(self.texts)
            first = START_NS + number * PAGE_LINES * apart
            yield Page(
                streams=STREAMS,
                stream=self._streams[place],
                ts=array("q", range(first, first + PAGE_LINES * apart, apart)),
                lines=self.texts[place],
                metadata=[None] * PAGE_LINES,
            )

    async def read(self, _plan: ReadPlan) -> AsyncIterator[Page]:
        """Yield the pages, whatever is asked for."""
        for page in self.pages():
            yield page


@dataclass
class Bench:
    """What is measured: CPU seconds by name, one for each round."""

    source: Source
    profile: str
    seconds: dict[str, list[float]] = field(default_factory=dict)

    @property
    def lines(self) -> int:
        """Lines that each query looks at."""
        return self.source.count * PAGE_LINES

    def note(self, name: str, seconds: float) -> None:
        """Take down one measurement."""
        self.seconds.setdefault(name, []).append(seconds)

    def timed(self, name: str, work: Callable[[], object]) -> object:
        """Run and take down how long it took."""
        began = time.thread_time()
        result = work()
        self.note(name, time.thread_time() - began)
        return result

    def median(self, name: str) -> float:
        """Return the median of what was taken down."""
        return median(self.seconds[name])


def reading_of(text: str, redactor: Redactor, source: Any) -> Reading:
    """Return a query as the gateway runs it."""
    query = parse(text)
    scope = Scope(source="src", selector=Selector(), window=EventWindow(0, None), profile="bench")
    plan = ReadPlan(selector=scope.selector, interval=Interval(0, None))
    recheck = Recheck(scope, Interval(0, None), Violations())
    if isinstance(query, LogQuery):
        resumes = Resumes(b"r" * 32, grants=[(GrantId("g"), 0)], principal=PrincipalId("p"), query="")
        worker = worker_of(
            query,
            redactor=redactor,
            recheck=recheck,
            encoder=NdJson(resumes),
            direction=Direction.FORWARD,
            follow=False,
            now_ns=0,
        )
        return LogReading(source, plan, worker, backward=False)
    grid = Grid.range(START_NS, START_NS + SPAN_NS, 60 * 10**9)
    rescans = Rescans([rescan_with(redactor)])
    evaluation = MetricQuery(query, grid, rescan=rescans, now=0, is_instant=False)
    log_query = evaluation.ranges[0].query
    lines = Lines(
        log_query.selector,
        redactor=redactor,
        recheck=recheck,
        order=Order(Direction.FORWARD),
        filters=split_filters(log_query.stages)[0],
        backward=False,
        scan=None,
    )
    ranges = (RangeRead(0, 0, source, plan, lines),)
    return MetricReading(ranges, evaluation, rescans, lambda: _items(len(evaluation.answer().series)))


def _items(count: int) -> Sequence[Item]:
    return [Item(b"", 0, (), b"", (Position(0, 0),))] * count


async def _inline(work: Callable[..., Any], *arguments: Any) -> Any:
    return work(*arguments)


def evaluated(reading: Reading) -> int:
    """Run a query to its end; return how many lines or series it gave."""

    async def run() -> int:
        count = 0
        async for batch in reading.batches(_inline):
            assert isinstance(batch, Sequence)
            count += len(batch)
        return count

    return asyncio.run(run())


def plainly(kind: Kind, source: Source) -> int:
    """Do the same in plain Python, line by line; return how many lines were kept."""
    keeps = kind.keeps
    kept = []
    for page in source.pages():
        for ns, stream, line in zip(page.ts, page.stream, page.lines, strict=True):
            if keeps(line):
                kept.append(json.dumps({"ts": ns, "labels": dict(page.streams[stream]), "line": line.decode()}))
    return len(kept)


def plain_counts(kind: Kind, source: Source) -> int:
    """Count in plain Python by group and five minutes; return how many counts there are."""
    keeps = kind.keeps
    counts: Counter[object] = Counter()
    for page in source.pages():
        for ns, stream, line in zip(page.ts, page.stream, page.lines, strict=True):
            counts[keeps(line), page.streams[stream], ns // (300 * 10**9)] += 1
    return len(counts)


def measure_kinds(bench: Bench) -> None:
    """Measure each kind of query once."""
    for name, kind in KINDS.items():
        redactor = TimedRedactor.of(bench.profile)
        reading = reading_of(kind.query, redactor, bench.source)
        bench.timed(f"{name}.gateway", partial(evaluated, reading))
        bench.note(f"{name}.redaction", redactor.spent[0])
        plain = plainly if kind.query.startswith("{") else plain_counts
        bench.timed(f"{name}.plain", partial(plain, kind, bench.source))


def redacted_pages(bench: Bench) -> list[JoinedLines[Any]]:
    """Return different pages after redaction, as the engine gets them."""
    redactor = TimedRedactor.of(bench.profile)
    return [redacted_page(redactor.open(), texts) for texts in bench.source.texts]


def searched(pages: Sequence[JoinedLines[Any]], query: str) -> int:
    """Apply the line filters of a query to pages."""
    test = early_test(split_filters(parsed(query).stages)[0])
    return sum(len(test.kept(lines, range(len(lines.ends)))) for lines in pages)


def searched_plainly(texts: Sequence[bytes], pattern: str) -> int:
    """Search line by line."""
    search = re.compile(pattern.encode()).search
    return sum(1 for line in texts if search(line) is not None)


def measure_parts(bench: Bench, pages: Sequence[JoinedLines[Any]]) -> None:
    """Measure parts of the engine once, each beside a bare loop."""
    texts = [lines.line(number) for lines in pages for number in range(len(lines.ends))]
    for share, literal in (("few", "lease-needle"), ("fifth", '"status":404')):
        bench.timed(f"literal_{share}.engine", partial(searched, pages, f"{{}} |= `{literal}`"))
        bench.timed(f"literal_{share}.bare", partial(searched_plainly, texts, re.escape(literal)))
    for pattern in PATTERNS:
        bench.timed(f"pattern {pattern}.engine", partial(searched, pages, f"{{}} |~ `{pattern}`"))
        bench.timed(f"pattern {pattern}.bare", partial(searched_plainly, texts, pattern))
    bench.timed("json.bare", lambda: [orjson.loads(text) for text in texts])
    pairs = [b" ".join(b"%s=%s" % pair for pair in LOGFMT.findall(text)) for text in texts]
    bench.timed("logfmt.bare", lambda: [dict(PAIRS.findall(text.decode())) for text in pairs])
    for stage, lines in (("json", texts), ("logfmt", pairs)):
        bench.timed(f"{stage}_all.engine", partial(parsed_all, lines, f"{{}} | {stage}"))
        bench.timed(
            f"{stage}_one.engine", partial(counted, lines, f"sum by (level) (count_over_time({{}} | {stage} [5m]))")
        )


def parsed(query: str) -> LogQuery:
    """Return a log query."""
    found = parse(query)
    assert isinstance(found, LogQuery)
    return found


def parsed_all(texts: Sequence[bytes], query: str) -> int:
    """Lead lines through the stages of a query."""
    passes = Pipeline(parsed(query).stages, rescan=lambda _, value: value, now=0).passes
    return sum(passes(Entry(0, text, (), {})) for text in texts)


def counted(texts: Sequence[bytes], query: str) -> int:
    """Lead lines through a metric."""
    found = parse(query)
    assert not isinstance(found, LogQuery)
    evaluation = MetricQuery(found, Grid.instant(1), rescan=lambda _, value: value, now=0, is_instant=True)
    evaluation.feed(0, (Entry(1, text, (), {}) for text in texts))
    return len(evaluation.answer().series)


def peak_of(lines: int, profile: str) -> int:
    """Return the peak memory of a process of its own that computes a metric over so many lines, in KiB."""
    command = [sys.executable, "-m", "bench.logql", "--peak", "--lines", str(lines), "--profile", profile]
    return int(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


def report(bench: Bench, peak_ratio: float) -> dict[str, Any]:
    """Return all figures."""
    kinds: dict[str, dict[str, float]] = {}
    goals: dict[str, str] = {}

    def judge(name: str, found: float, wanted: float, *, at_most: bool = False) -> None:
        met = found <= wanted if at_most else found >= wanted
        goals[name] = f"{round(found, 2)} {'<=' if at_most else '>='} {wanted}: {'met' if met else 'MISSED'}"

    for name, kind in KINDS.items():
        spent, redaction, plain = (bench.median(f"{name}.{part}") for part in ("gateway", "redaction", "plain"))
        kinds[name] = {
            "lines_per_s": round(bench.lines / spent),
            "redaction_share": round(redaction / spent, 2),
            "engine_lines_per_s": round(bench.lines / (spent - redaction)),
            "plain_lines_per_s": round(bench.lines / plain),
            "to_plain": round(plain / spent, 2),
        }
        if kind.goal:
            judge(f"{name}.lines_per_s", round(bench.lines / spent), kind.goal)
    judge("G4 metric over redaction", 1 / kinds["metric"]["redaction_share"], 1.5, at_most=True)

    def ratio(engine: str, bare: str) -> float:
        return bench.median(f"{bare}.bare") / bench.median(f"{engine}.engine")

    patterns = {pattern: round(ratio(f"pattern {pattern}", f"pattern {pattern}"), 2) for pattern in PATTERNS}
    judge("G5 literal, 1 % hits", ratio("literal_few", "literal_few"), 3)
    judge("G5 literal, 20 % hits", ratio("literal_fifth", "literal_fifth"), 1.8)
    judge("G6 patterns, geometric mean", geometric_mean(patterns.values()), 1.5)
    judge("G6 patterns, worst", min(patterns.values()), 0.4)
    judge("G8 json, all labels", ratio("json_all", "json"), 0.3)
    judge("G8 json, one label", ratio("json_one", "json"), 0.5)
    judge("G9 logfmt, all labels", ratio("logfmt_all", "logfmt"), 1)
    judge("G9 logfmt, one label", ratio("logfmt_one", "logfmt"), 2)
    judge("G14 memory of ten times as many lines", peak_ratio, 1.2, at_most=True)
    units = {"lines_per_s": "lines per second of CPU time", "to_plain": "times as fast as plain Python"}
    return {"bench": "logql", "lines": bench.lines, "units": units, **kinds, "patterns": patterns, "goals": goals}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--lines", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--profile", default="pii-default@1")
    parser.add_argument("--peak", action="store_true", help="only compute a metric and print the peak memory in KiB")
    arguments = parser.parse_args()
    bench = Bench(Source(arguments.lines), arguments.profile)
    if arguments.peak:
        evaluated(reading_of(KINDS["json_metric"].query, TimedRedactor.of(arguments.profile), bench.source))
        print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
        return
    pages = redacted_pages(bench)
    for number in range(arguments.rounds):
        measure_kinds(bench)
        measure_parts(bench, pages)
        print(f"round {number + 1} of {arguments.rounds}", flush=True)
    small = max(arguments.lines // 10, PAGES * PAGE_LINES)
    peak_ratio = peak_of(small * 10, arguments.profile) / peak_of(small, arguments.profile)
    figures = report(bench, peak_ratio)
    for name in (*KINDS, "patterns", "goals"):
        print(name)
        for figure, value in figures[name].items():
            print(f"  {figure:40} {value}")
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
