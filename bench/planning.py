"""Reading and planning a query of 4 KiB, beside `ast.parse` of a Python expression of that length.

Each query is new, so that nothing is remembered of it: it is parsed, checked, planned for a scope and made ready to be
evaluated, as in the gateway before the first line is read. Both take turns; all is CPU time of one thread.

Run: ``python -m bench.planning [--rounds 400]``. The last line is one object of JSON.
"""

from __future__ import annotations

import argparse
import ast
import json
import time
from collections.abc import Callable
from statistics import median, quantiles

from loglease.gateway.planner import parsed, planned
from loglease.logql import LogQuery, Pipeline, early_test, split_filters
from loglease.logql.metrics import Grid, MetricQuery
from loglease.model.instant import EventWindow
from loglease.model.labels import Selector
from loglease.model.scope import Scope

SIZE = 4_096
GOAL = 4
SCOPE = Scope(source="src", selector=Selector(), window=EventWindow(0, None), profile="bench")
METRIC = (
    'sum by (level) (rate({{service=~"cart-{0}|checkout", pod!="p{0}"}} |= "timeout {0}" !~ "retry [0-9]+ of {0}"'
    ' | json | status >= {0} or ms > 1s, level=~"warn|error" [5m])) / 2'
)
LOG = (
    ' |= "timeout {0}" !~ "retry [0-9]+ of {0}" | logfmt | status >= {0} or level=~"warn|error"'
    " | line_format `{{{{.msg}}}}`"
)
PYTHON = (
    'total(rate(select(service="cart-{0}", pod="p{0}") >> holds("timeout {0}") >> keep(ms > 1 or status >= {0}), 300))'
)


def joined(part: str, number: int, between: str, begin: str = "") -> str:
    """Return as many parts as make up the length, each with a number of its own."""
    text = begin
    while len(text) < SIZE:
        text += (between if text != begin else "") + part.format(number + len(text))
    return text


def ready(text: str) -> object:
    """Do with a query all that is done before the first line is read."""
    query = parsed(text)
    if isinstance(query, LogQuery):
        planned(query, SCOPE)
        filters, stages = split_filters(query.stages)
        return early_test(filters), Pipeline(stages, rescan=lambda _, value: value, now=0)
    evaluation = MetricQuery(query, Grid.instant(1), rescan=lambda _, value: value, now=0, is_instant=True)
    for one in evaluation.ranges:
        planned(one.query, SCOPE)
        early_test(split_filters(one.query.stages)[0])
    return evaluation


def timed(work: Callable[[str], object], text: str) -> float:
    """Return how long it took, in milliseconds."""
    began = time.thread_time()
    work(text)
    return (time.thread_time() - began) * 1_000


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=400)
    rounds = parser.parse_args().rounds
    spent: dict[str, list[float]] = {"metric": [], "log": [], "python": []}
    for number in range(0, rounds * SIZE, SIZE):
        spent["metric"].append(timed(ready, joined(METRIC, number, " + ")))
        spent["log"].append(timed(ready, joined(LOG, number, "", '{service="cart"}')))
        spent["python"].append(timed(ast.parse, joined(PYTHON, number, " + ")))
    middle = {name: median(found) for name, found in spent.items()}
    last = {name: quantiles(found, n=100)[-1] for name, found in spent.items()}
    # On a busy machine the slowest hundredth is that of the machine: then the middle tells more.
    worst = max(one[name] / one["python"] for one in (middle, last) for name in ("metric", "log"))
    figures = {
        "bench": "planning",
        **{f"{name}_p50_ms": round(found, 2) for name, found in middle.items()},
        **{f"{name}_p99_ms": round(found, 2) for name, found in last.items()},
        "goals": {"G10 ready to ast.parse": f"{worst:.2f} <= {GOAL}: {'met' if worst <= GOAL else 'MISSED'}"},
    }
    for name, value in figures.items():
        print(f"{name:20} {value}")
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
