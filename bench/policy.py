"""How long a decision takes: by the number of policies, and beside Google's CEL for the conditions.

Processor time of one thread, medians, all variants in turn, each once unmeasured before it is measured: what ran before
leaves the processor's caches to nobody. A principal is in 20 of 200 groups, a request names six labels, eight facts are
known, no two policies demand the same, and half of the requests match something.

CEL is compared where `cel-expr-python` is installed: once in our pipeline, which then has every condition evaluated
there; and once without an index, each policy tried as one condition of who, source, labels, times and what it demands,
of which no offers are made. Cedar is asked where `cedarpy` is installed (`make bench-policy-others`): which policies
permit, of the same candidates and of all. That is less than a decision, so it has no goal. Absolute figures depend on
the machine; only the ratios are goals.

A bundle is loaded as a server does it, without full collections of cycles meanwhile.

Run: ``python -m bench.policy [--quick]``. The last line is one object of JSON; the exit code is 1 where a goal is
missed.
"""

from __future__ import annotations

import argparse
import gc
import json
import time
from collections.abc import Callable, Mapping
from itertools import cycle
from statistics import median, quantiles
from typing import Any, Final

import orjson
import yaml
from bench.deciding.cedar import Cedar
from bench.deciding.cel import Cel
from bench.deciding.setting import NOW, PROFILES, Setting, files_of, person, wish_of

from loglease.policy import Bundle, Viewer, explain, load
from loglease.policy.conditions import Condition, compiled
from loglease.policy.conditions.compiling import MAX_COST
from loglease.policy.decision_records import decision_data, read_decision
from loglease.policy.roots import Readable, values_of
from loglease.policy.simulation import Simulation
from loglease.server.reload import no_full_collection

GOALS: Final = {
    "1,000 policies ÷ 10": 8.0,
    "10,000 policies ÷ 1,000": 12.0,
    "1,000 policies ÷ the same with CEL": 0.6,
    "1,000 policies ÷ each tried in CEL": 0.02,
    "explain, a policy shown ÷ a decision": 10.0,
    "load of 1,000 policies ÷ walking their YAML": 15.0,
    "p99 ÷ p50 of a decision": 6.0,
    "the dearest condition, p99 in ms": 1.0,
    "replay of decisions ÷ deciding": 3.0,
}
REPLAYED: Final = 100_000
REPLAYED_QUICKLY: Final = 2_000
LOADS: Final = 7


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="no 10,000 policies, fewer rounds")
    chosen = parser.parse_args()
    counts = [10, 100, 1_000] if chosen.quick else [10, 100, 1_000, 10_000]
    rounds = 40 if chosen.quick else 200
    settings = {count: Setting.of(count) for count in counts}
    steps = {f"{count:,} policies": deciding(one) for count, one in settings.items()}
    middle = settings[1_000]
    rival = Cel.of(middle)
    if rival is not None:
        steps["the same with CEL"] = deciding(rival.within(middle))
        steps["each tried in CEL"] = trying(rival, middle)
    other = Cedar.of(middle)
    if other is not None:
        steps |= {"Cedar over the candidates": asking(other.near), "Cedar over 1,000 policies": asking(other.all)}
    gc.freeze()  # as a server does with what its start made
    times = measured(steps, rounds)
    ratios = ratios_of(times) | others(middle, times["1,000 policies"], rounds)
    count = REPLAYED_QUICKLY if chosen.quick else REPLAYED
    again = replayed(middle, count)
    print(f"{f'replay of {count:,} decisions, s':46} {again * count:8.1f}")
    ratios["replay of decisions ÷ deciding"] = again / median(times["1,000 policies"])
    report({name: median(taken) for name, taken in times.items()}, ratios)


def report(middle: Mapping[str, float], ratios: Mapping[str, float]) -> None:
    """Print figures and goals, and end with 1 where one is missed."""
    figures = {f"{name}, µs": round(seconds * 1e6, 1) for name, seconds in middle.items()}
    for name, figure in figures.items():
        print(f"{name:46} {figure}")
    if "the same with CEL" not in middle:
        print("cel-expr-python is not installed: nothing was compared with CEL")
    for name in middle.keys() & {"Cedar over the candidates", "Cedar over 1,000 policies"}:
        print(f"{f'1,000 policies ÷ {name}':46} {middle['1,000 policies'] / middle[name]:8.3f}")
    lost = [name for name, value in ratios.items() if value > GOALS[name]]
    for name, value in ratios.items():
        print(f"{name:46} {value:8.3f} ≤ {GOALS[name]:<6} {'MISSED' if name in lost else 'ok'}")
    rounded = {name: round(value, 4) for name, value in ratios.items()}
    print(json.dumps({"bench": "policy", **figures, **rounded, "goals": GOALS}))
    if lost:
        raise SystemExit("missed: " + "; ".join(lost))


def deciding(setting: Setting) -> Callable[[], object]:
    """Return the step that decides, in turn on a wish that matches and on one that does not."""
    wishes = cycle(setting.wishes)
    return lambda: setting.decided(next(wishes))


def trying(rival: Cel, setting: Setting) -> Callable[[], object]:
    """Return the step that tries every policy in CEL, in turn for both wishes."""
    wishes = cycle(setting.wishes)
    return lambda: rival.each(setting, next(wishes))


def asking(step: Callable[[int], object]) -> Callable[[], object]:
    """Return the step that asks about one wish and then about the other."""
    numbers = cycle((0, 1))
    return lambda: step(next(numbers))


def measured(steps: Mapping[str, Callable[[], object]], rounds: int) -> dict[str, list[float]]:
    """Run all steps in turn; return the processor seconds of each, as the mean of two behind two that do not count."""
    times: dict[str, list[float]] = {name: [] for name in steps}
    for turn in range(rounds + 2):
        for name, step in steps.items():
            step()
            step()
            begun = time.thread_time()
            step()
            step()
            if turn > 1:
                times[name].append((time.thread_time() - begun) / 2)
    return times


def ratios_of(times: Mapping[str, list[float]]) -> dict[str, float]:
    """Return the goals that compare decisions."""
    middle = {name: median(taken) for name, taken in times.items()}
    found = {"1,000 policies ÷ 10": middle["1,000 policies"] / middle["10 policies"]}
    if "10,000 policies" in middle:
        found["10,000 policies ÷ 1,000"] = middle["10,000 policies"] / middle["1,000 policies"]
    for name in ("the same with CEL", "each tried in CEL"):
        if name in middle:
            found[f"1,000 policies ÷ {name}"] = middle["1,000 policies"] / middle[name]
    return found


def others(setting: Setting, decisions: list[float], rounds: int) -> dict[str, float]:
    """Measure explaining, loading, the spread, and the dearest condition that is accepted."""
    decision = median(decisions)
    answer = explain(setting.decided(setting.wishes[1]), Viewer.REQUESTER)
    shown = answer.text.count("\n policy-")
    steps: dict[str, Callable[[], object]] = {
        "explain": lambda: explain(setting.decided(setting.wishes[1]), Viewer.REQUESTER).text
    }
    explained = median(measured(steps, max(5, rounds // 10))["explain"])
    with no_full_collection():
        loads = measured({"load": lambda: load(setting.files), "walk": lambda: walked(setting.files)}, LOADS)
    condition, roots = dearest()
    run = measured({"answer": lambda: condition.answer(roots)}, rounds)["answer"]
    return {
        "explain, a policy shown ÷ a decision": explained / max(1, shown) / decision,
        "load of 1,000 policies ÷ walking their YAML": median(loads["load"]) / median(loads["walk"]),
        "p99 ÷ p50 of a decision": quantiles(decisions, n=100)[98] / decision,
        "the dearest condition, p99 in ms": quantiles(run, n=100)[98] * 1e3,
    }


def replayed(setting: Setting, count: int) -> float:
    """Return the processor seconds of reading a recorded decision and making it again, as a mean of so many."""
    made = [setting.decided(wish) for wish in setting.wishes]
    lines = [orjson.dumps(decision_data(one, request=None, taken=None, closed=None, zones="")) for one in made]
    records = (read_decision(line, number) for number, line in zip(range(count), cycle(lines), strict=False))
    begun = time.thread_time()
    different = sum(bool(one.changes) for one in Simulation(setting.bundle, PROFILES).replay(records))
    if different:
        raise SystemExit(f"{different} decisions came out otherwise by the same documents")
    return (time.thread_time() - begun) / count


def walked(files: Mapping[str, bytes]) -> int:
    """Read the events of YAML and nothing else."""
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    return sum(1 for content in files.values() for _ in yaml.parse(content.decode(), Loader=loader))


def dearest() -> tuple[Condition, dict[str, Any]]:
    """Return a condition that costs nearly all that one may, and values that make it run to its end."""
    bundle = load(files_of(1))
    if not isinstance(bundle, Bundle):
        raise SystemExit("the bundle of one policy does not load")
    schema = Readable(catalog=bundle.catalog).asked()
    one = 'req.labels.app.exists(x, x.contains("yy"))'
    text = one
    while compiled(text, schema).cost + compiled(one, schema).cost + 1 <= MAX_COST:
        text = f"{text} || {one}"
    values = "|".join(f"{'y-' * 50}{number:02}" for number in range(64))  # a selector has 8,192 characters at most
    wish = wish_of("source-0", f'{{app=~"{values}"}}')
    asks = person("asks", frozenset())
    roots: dict[str, Any] = values_of(wish, asks, catalog=bundle.catalog, open_now={}, submitted_at=NOW)
    found = compiled(text, schema)
    if found.answer(roots) is not False:
        raise SystemExit("the dearest condition does not run to its end")
    return found, roots


if __name__ == "__main__":
    main()
