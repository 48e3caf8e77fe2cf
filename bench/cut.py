"""How long an act takes to reach open tails, and what still arrives afterwards.

The servers are whole processes, as people run them; the clients are in one process of their own, this one acts, and all
read the same monotonic clock. Milliseconds are those from the acknowledged act to the last byte that a client gets, the
record of the end included; 0 if that came before the acknowledgement. Where nobody acts (a grant runs out, the database
is lost) they are those from that moment. Readers that crawl through 4 KiB buffers, or do not read at all, read on five
seconds after the revocation; what they still get is counted in bytes on the wire, their own receive buffers included,
beside the same servers with default buffers whose sessions end by `close()` or `abort()`.

Run: ``python -m bench.cut [--tails 1000] [--rate 0.2] [--rounds 1] [--databases sqlite,postgresql] [--tls off,on]
[--servers 1,3] [--scenarios one_grant,…]``. The last line is one object of JSON; exit code 1 says that a goal is
missed.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from itertools import product
from typing import Any

from bench.cutting import scenarios
from bench.cutting.scenarios import Found, Setting
from bench.cutting.site import Site, site

GOALS_MS: dict[str, tuple[float, float, float]] = {
    "one_grant": (200, 1_000, 2_000),
    "one_person": (200, 1_000, 2_000),
    "source_lock": (200, 1_000, 2_000),
    "expiry": (200, 1_000, 2_000),
    "other_servers": (200, 1_000, 2_000),
    "saturated": (2_000, 1_000, 2_000),
    "database_lost": (3_000, 3_000, 3_000),
}
"""p50, p99 and the most, in milliseconds."""
RESIDUE_GOAL = 16 * 1_024
RATIO_GOAL = 50
ENDS = {
    "source_lock": {"locked"},
    "expiry": {"expired"},
    "database_lost": {"database", "audit"},  # the lease is over, or what comes next could not be recorded
}
SCENARIOS: dict[str, Callable[[Site, Setting], Found]] = {
    "one_grant": scenarios.one_grant,
    "one_person": scenarios.one_person,
    "expiry": scenarios.expiry,
    "saturated": scenarios.saturated,
    "source_lock": scenarios.source_lock,
    "database_lost": scenarios.database_lost,
    "other_servers": scenarios.other_servers,
    "residue": scenarios.residue,
}
WITHOUT_A_CUT = ("close", "abort")


@dataclass
class Case:
    """One row of the table."""

    name: str
    database: str
    tls: bool
    servers: int
    rounds: list[Found] = field(default_factory=list)

    @property
    def title(self) -> str:
        """Its place, as rows and figures name it."""
        return f"{self.name}_{self.database}_{'tls' if self.tls else 'plain'}_{self.servers}"

    def figures(self) -> dict[str, Any]:
        """Return medians over rounds, and the most of all."""
        times = [sorted(one.cut_ms) for one in self.rounds]
        ends = sum((one.reasons for one in self.rounds), start=type(self.rounds[0].reasons)())
        return {
            "p50_ms": round(statistics.median(statistics.median(one) for one in times), 1),
            "p99_ms": round(statistics.median(at(one, 0.99) for one in times), 1),
            "max_ms": round(max(one[-1] for one in times), 1),
            "from_begin_p99_ms": round(statistics.median(at(sorted(one.act_ms), 0.99) for one in self.rounds), 1),
            "bytes_after": max(one.after_bytes for one in self.rounds),
            "not_begun": sum(one.not_begun for one in self.rounds),
            "not_ended": sum(one.not_ended for one in self.rounds),
            "reasons": dict(ends),
        }

    def missed(self) -> list[str]:
        """Return the goals that were missed."""
        found = self.figures()
        wanted = zip(("p50_ms", "p99_ms", "max_ms"), GOALS_MS[self.name], strict=True)
        over = [f"{self.title}: {key} {found[key]}, goal {goal:.0f}" for key, goal in wanted if found[key] > goal]
        over += [f"{self.title}: {found[key]} {key}" for key in ("not_begun", "not_ended") if found[key]]
        if others := {
            why: count for why, count in found["reasons"].items() if why not in ENDS.get(self.name, {"revoked"})
        }:
            over.append(f"{self.title}: reasons {others}")
        return over


def at(values: list[float], share: float) -> float:
    """Return a quantile of sorted values."""
    return values[min(len(values) - 1, int(len(values) * share))]


def cases_of(arguments: argparse.Namespace) -> list[Case]:
    """Return what is to be measured; what needs another database or several servers only there."""
    found = []
    for database, tls, servers in product(arguments.databases, arguments.tls, arguments.servers):
        for name in arguments.scenarios:
            fits = servers == 1 if name != "other_servers" else servers > 1
            fits = fits and (database == "postgresql" or (servers == 1 and name != "database_lost"))
            if fits and name != "residue":
                found.append(Case(name, database, tls == "on", servers))
    return found


def measure(cases: list[Case], arguments: argparse.Namespace) -> None:
    """Measure all cases, those that differ only in what is done on the same servers."""
    setting = Setting(arguments.tails, arguments.warm, arguments.slow, arguments.rate)
    for place in dict.fromkeys((one.database, one.tls, one.servers) for one in cases):
        database, tls, servers = place
        with site(tls=tls, postgres=database == "postgresql", servers=servers, rate=arguments.rate) as made:
            for case in (one for one in cases if (one.database, one.tls, one.servers) == place):
                case.rounds.append(SCENARIOS[case.name](made, setting))
                print(f"{case.title:36} {case.figures()}", flush=True)


def residues(arguments: argparse.Namespace) -> dict[str, dict[str, int]]:
    """Return what slow readers still get at most, by how sessions end and by the kind of reader."""
    found: dict[str, dict[str, int]] = {}
    setting = Setting(arguments.tails, arguments.warm, arguments.slow, arguments.rate)
    for tls, mode in product(arguments.tls, ("cut", *WITHOUT_A_CUT)):
        with ExitStack() as stack:
            made = stack.enter_context(site(tls=tls == "on", postgres=False, mode=mode, rate=arguments.rate))
            seen = scenarios.residue(made, setting).residue
        place = f"{mode}_{'tls' if tls == 'on' else 'plain'}"
        found[place] = {kind: max(values) for kind, values in seen.items()}
        print(f"residue {place:12} {found[place]} bytes at most", flush=True)
    return found


def missed_residues(found: dict[str, dict[str, int]]) -> list[str]:
    """Return which goals for slow readers were missed."""
    over = []
    for place, by_kind in found.items():
        mode, _, tls = place.partition("_")
        if mode != "cut":
            continue
        for kind, most in by_kind.items():
            if most > RESIDUE_GOAL:
                over.append(f"residue {place} {kind}: {most} bytes, goal {RESIDUE_GOAL}")
            if most * RATIO_GOAL > found[f"close_{tls}"][kind]:
                over.append(
                    f"residue {place} {kind}: {found[f'close_{tls}'][kind] / max(1, most):.0f} times below close()"
                )
    return over


def listed(text: str) -> list[str]:
    """Return the parts of an argument."""
    return [one for one in text.split(",") if one]


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tails", type=int, default=1_000)
    parser.add_argument("--rate", type=float, default=0.2, help="lines a second, which every tail gets")
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--slow", type=int, default=20, help="readers that crawl or do not read at all")
    parser.add_argument("--warm", type=float, default=3.0, help="seconds between the last tail and the act")
    parser.add_argument("--databases", type=listed, default=["sqlite", "postgresql"])
    parser.add_argument("--tls", type=listed, default=["off", "on"])
    parser.add_argument("--servers", type=lambda text: [int(one) for one in listed(text)], default=[1])
    parser.add_argument("--scenarios", type=listed, default=list(SCENARIOS))
    arguments = parser.parse_args()
    cases = cases_of(arguments)
    for _ in range(arguments.rounds):
        measure(cases, arguments)
    rest = residues(arguments) if "residue" in arguments.scenarios else {}
    missed = [text for case in cases for text in case.missed()] + missed_residues(rest)
    print(f"\n{'':36} {'p50 ms':>8} {'p99 ms':>8} {'max ms':>8} {'bytes after':>12}")
    for case in cases:
        shown = case.figures()
        print(f"{case.title:36} {shown['p50_ms']:8} {shown['p99_ms']:8} {shown['max_ms']:8} {shown['bytes_after']:12}")
    for text in missed:
        print(f"missed: {text}")
    figures = {case.title: case.figures() for case in cases}
    chosen = {"tails": arguments.tails, "rate": arguments.rate, "rounds": arguments.rounds}
    print(json.dumps({"bench": "cut", **chosen, **figures, "residue": rest, "missed": missed}))
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
