"""What each rule costs: the time of its tripwire's scan and of looking closer, beside the scan of all rules.

The clock is the caller's. Figures are shares of one run on one machine, to be compared with each other.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Final

from loglease.redaction.edits import spliced
from loglease.redaction.engine import Engine
from loglease.redaction.plan import Plan, compiled
from loglease.redaction.proof import everything_masked
from loglease.redaction.redactor import Redactor
from loglease.redaction.result import Counters
from loglease.redaction.rules import Pack, PatternRule, Rule
from loglease.redaction.scanning import confirmed, lines_hit

Clock = Callable[[], float]
DEAR: Final = 0.10
"""From which share of the whole scan on a rule is worth a warning."""

_RUNS: Final = 5
_IN_RE: Final = 128 << 10
_CANARY: Final = b"loglease-canary-of-a-measure"
_MARKER: Final = b"measure-of-a-rule-pack"


@dataclass(frozen=True, slots=True)
class Cost:
    """One rule: how many lines its tripwire fires on, and its times as shares of the scan of all rules."""

    rule: Rule
    lines: int
    scan: float
    confirm: float

    @property
    def share(self) -> float:
        """Both together."""
        return self.scan + self.confirm


def costs_of(pack: Pack, beside: Sequence[Pack], text: bytes, *, engine: Engine, now: Clock) -> Iterator[Cost]:
    """Yield what each rule of a pack costs on a text of whole lines.

    Args:
        pack: whose rules are measured.
        beside: the packs in force with it.
        text: at most 1 MiB.
        engine: to measure on.
        now: seconds from a clock that never goes back.
    """
    packs = [pack, *(one for one in beside if one.pin != pack.pin)]
    plan = compiled([everything_masked(packs)], packs, engine=engine, marker=_MARKER)
    whole = _seconds(lambda: plan.scanner.scan(text + plan.canary), now)
    nothing = _scan_seconds([], text, engine, now)
    lines = lines_hit(text + plan.canary, plan)
    for number, one in enumerate(plan.active[: len(pack.rules)]):
        hits = [(line.start, line.end, line.rules[number]) for line in lines.values() if number in line.rules]
        alone = _scan_seconds([one.rule.scanned], text, engine, now)
        confirm = _seconds(lambda: _confirm_all(hits, number, text, plan), now) if hits else 0.0  # noqa: B023 - run at once
        yield Cost(one.rule, len(hits), max(0.0, alone - nothing) / whole, confirm / whole)


def _confirm_all(hits: Sequence[tuple[int, int, tuple[int, int]]], number: int, text: bytes, plan: Plan) -> None:
    for start, end, where in hits:
        confirmed(text[start:end], {number: where}, start, plan)


def _scan_seconds(tripwires: Sequence[str], text: bytes, engine: Engine, now: Clock) -> float:
    scanner = engine.compile(tripwires, _CANARY)
    data = text + _CANARY
    return _seconds(lambda: scanner.scan(data), now)


def _seconds(work: Callable[[], object], now: Clock, runs: int = _RUNS) -> float:
    times = []
    for _ in range(runs):
        begun = now()
        work()
        times.append(now() - begun)
    return median(times)


@dataclass(frozen=True, slots=True)
class Speed:
    """Times of one text in seconds: redaction whole, the scan and the join alone, the same rules one by one in `re`."""

    hits: int
    whole: float
    scan: float
    join: float
    in_re: float

    @property
    def confirm(self) -> float:
        """What is neither scan nor join."""
        return max(0.0, self.whole - self.scan - self.join)


def speed_of(redactor: Redactor, parts: Sequence[bytes], now: Clock) -> Speed:
    """Measure redaction on a text.

    Args:
        redactor: with the rules in question.
        parts: whole lines, each part at most 1 MiB; `re` is measured on the beginning of the first and reckoned up.
        now: seconds from a clock that never goes back.
    """
    plan = redactor._plan  # noqa: SLF001 - one room
    marked = [part + plan.canary for part in parts]
    edited = [
        (part, redactor.open()._edits(part, None, Counters(), long_first=False))  # noqa: SLF001 - one room
        for part in parts
    ]
    patterns = [
        re.compile((one.rule.pattern if isinstance(one.rule, PatternRule) else one.rule.scanned).encode(), re.DOTALL)
        for one in redactor.active
    ]
    sample = parts[0][:_IN_RE]
    in_re = _seconds(lambda: [sum(1 for _ in one.finditer(sample)) for one in patterns], now, runs=1)
    return Speed(
        hits=sum(len(plan.scanner.scan(one)) for one in marked),
        whole=_seconds(lambda: [redactor.open().feed(part) for part in parts], now),
        scan=_seconds(lambda: [plan.scanner.scan(one) for one in marked], now),
        join=_seconds(lambda: [spliced(part, edits, None) for part, edits in edited], now),
        in_re=in_re / len(sample) * sum(map(len, parts)),
    )


def usual_text(size: int = 1 << 19) -> bytes:
    """Return made-up log lines without secrets, of the shapes that services write, the same each time."""
    forms = [
        '{{"ts":"2026-03-0{a}T10:{b}:{c}.{n}Z","level":"info","msg":"request done","path":"/api/orders/{n}","ms":{b}}}',
        'level=info ts=2026-03-0{a}T10:{b}:{c}Z caller=server.go:{c} msg="cache refilled" key=orders:{n} took={b}ms',
        '10.0.{b}.{c} - - [0{a}/Mar/2026:10:{b}:{c} +0000] "GET /items/{n}?page={a} HTTP/1.1" 200 {n} "-" "curl/8.5.0"',
        "2026-03-0{a} 10:{b}:{c},123 INFO [worker-{a}] c.e.shop.OrderService - order {n} of user-{b}, token bucket ok",
        'I030{a} 10:{b}:{c}.{n} 1 controller.go:{c}] "Reconciled" pod="shop/cart-{h}" revision={n}',
        "Mar  {a} 10:{b}:{c} node-{a} kernel: [{n}.{b}] eth0: link up, 1000 Mbps, id {h}",
    ]
    lines: list[str] = []
    written = number = 0
    while written < size:
        mixed = number * 2_654_435_761 % (1 << 32)
        line = forms[number % len(forms)].format(
            a=1 + number % 9, b=10 + mixed % 50, c=10 + mixed // 64 % 50, n=100_000 + mixed % 899_999,
            h=f"{mixed:08x}{mixed * 7 % (1 << 32):08x}",
        )  # fmt: skip
        lines.append(line)
        written += len(line) + 1
        number += 1
    return "".join(line + "\n" for line in lines).encode()
