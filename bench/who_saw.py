"""How long "who saw what?" takes over a large audit log, beside reading all served lists one after the other.

The log is that of `bench.who_saw_log`.

A trace id is a value in a field that the profile shows as a pseudonym; it is looked up under the key of every grant.
Times are medians of processor time of the whole answer, read, judged and put together, without HTTP and without
recording that it was asked, which is one commit; `wall` is what went by meanwhile. `first` is the first question of
that kind, before anything of it is in memory of ours.

Run: ``python -m bench.who_saw [--entries 10000000] [--folder FOLDER [--keep]]``. The last line is one object of JSON;
the exit code is 1 where a goal is missed. With ``--keep`` the database stays in the folder, and the next run that names
it with ``--keep`` asks it again, without making it anew and without measuring what tables take, for which they are
dropped. ``--make-only`` makes it and asks nothing.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any, Final

import orjson
from bench.who_saw_log import A_GRANT, HOUR_NS, MASTER, START_NS, STEP_NS, TRACE, Made, made_id, make, trace_under
from sqlalchemy import Connection

from loglease.access.who_saw import How, PseudonymWanted, Question, seen
from loglease.access.who_saw_answer import content_of
from loglease.model.ids import GrantId
from loglease.model.instant import Interval
from loglease.model.selector_text import parse_selector
from loglease.redaction import Library, builtin_library, parse_profile
from loglease.server.clock import SystemClock
from loglease.server.who_saw import value_wanted
from loglease.store.interface import Transaction
from loglease.store.served_schema import TABLES
from loglease.store.sqlite import SqliteStore, open_store

SMALL: Final = 100_000
ROUNDS: Final = 5
EMAIL: Final = b"somebody@example.com"
LARGE: Final = 1_000_000
OVER_NAIVE: Final = 0.05
"""What a pseudonym may take of reading all lists, in a large log."""
PROFILE: Final = b"""
profile: traced
version: 1
packs: [secrets@1, credentials@1, pii-core@1]
mode: fields
classes: {secret: mask, credential: mask, pii: pseudonym}
fields: {trace_id: pseudonym}
"""


def library() -> Library:
    """Return the packs that ship, with a profile that shows trace ids as pseudonyms."""
    shipped = builtin_library()
    return replace(shipped, profiles=(*shipped.profiles, parse_profile(PROFILE)))


def questions(made: Made, known: Library) -> Iterator[tuple[str, Question]]:
    """Yield what is asked, each by its name."""
    middle = START_NS + made.grants // 2 * A_GRANT * STEP_NS
    hour = Interval(middle - HOUR_NS, middle)
    number, name = list(made.traced.values())[len(made.traced) // 2]
    grant = GrantId(made_id("grt", number))
    trace = value_wanted("field", TRACE.encode(), library=known, master=MASTER)
    certain = frozenset({How.SERVED, How.REVEALED})
    yield "pseudonym", Question(wanted=PseudonymWanted(grant=grant, pseudonym=trace_under(number)))
    yield "trace", Question(wanted=trace)
    yield "trace_certain", Question(wanted=trace, hows=certain)
    yield "email", Question(wanted=value_wanted("email", EMAIL, library=known, master=MASTER))
    yield "trace_in_an_hour", replace(_selecting(f'{{app="{name}"}}', hour), wanted=trace)
    yield "pod_in_an_hour", _selecting(f'{{app="{name}",pod="{name}-7"}}', hour)
    yield "app_in_an_hour", _selecting(f'{{app="{name}"}}', hour)
    yield "hour", Question(window=hour)
    yield "app_first_1000", _selecting(f'{{app="{name}"}}', None)
    yield "all_first_1000", _selecting('{env="prod"}', None)


def _selecting(selector: str, window: Interval | None) -> Question:
    return Question(selector=parse_selector(selector), selector_text=selector, window=window)


async def timed(work: Callable[[], Any]) -> tuple[float, Any]:
    """Return seconds and the result."""
    began = time.perf_counter()
    result = await work()
    return time.perf_counter() - began, result


async def measured(folder: Path, entries: int, *, keeps: bool) -> dict[str, Any]:
    store, made = await _made(folder, entries)
    known = library()
    figures: dict[str, Any] = {
        "entries": made.entries, "lists": made.lists, "pseudonyms": made.pseudonyms, "grants": made.grants,
        "made_s": made.made_s,
    }  # fmt: skip
    print(json.dumps(figures), flush=True)
    asked = list(questions(made, known))
    times: dict[str, list[float]] = {name: [] for name, _ in asked}
    walls: dict[str, list[float]] = {name: [] for name, _ in asked}
    first: dict[str, float] = {}
    records: dict[str, int] = {}
    gc.freeze()  # as a server does with what its start made
    for _ in range(ROUNDS):
        for name, question in asked:
            wall, (spent, content) = await timed(partial(store.read, partial(_answer, question=question)))
            walls[name].append(wall)
            times[name].append(spent)
            first.setdefault(name, spent)
            records[name] = sum(found["records"] for grant in content["grants"] for found in grant["found"])
    wanted = asked[0][1].wanted
    assert isinstance(wanted, PseudonymWanted)
    spent, count = await asyncio.to_thread(_naive, store, wanted.pseudonym)
    served = await store.read(lambda tx: seen(tx, asked[2][1]))
    whole = {hit.index for hit in served.hits if hit.how == "served"}
    if not count or not whole <= set(made.traced) or (served.next is None and whole != set(made.traced)):
        raise SystemExit("the answer is not that of reading all lists")
    figures |= {
        "first_s": {name: round(value, 3) for name, value in first.items()},
        "median_s": {name: round(median(values), 3) for name, values in times.items()},
        "wall_s": {name: round(median(values), 3) for name, values in walls.items()},
        "records": records,
        "naive_s": round(spent, 2),
        "pseudonym_over_naive": round(median(times["pseudonym"]) / spent, 5),
        "trace_over_naive": round(median(times["trace"]) / spent, 5),
    }
    if not keeps:
        figures["bytes_per_entry"] = await asyncio.to_thread(sizes, store, made.entries)
    await asyncio.to_thread(store.close)
    return figures


async def _made(folder: Path, entries: int) -> tuple[SqliteStore, Made]:
    """Return the database of a folder, and what there is to know of it; made where it is not there yet."""
    note = folder / "made.json"
    store = await asyncio.to_thread(open_store, folder / "data" / "log.db", clock=SystemClock())
    if note.exists():
        return store, Made.load(note)
    made = await asyncio.to_thread(make, store, entries)
    made.save(note)
    return store, made


def _answer(tx: Transaction, question: Question) -> tuple[float, Any]:
    """Return the processor time that an answer took its thread, and the answer."""
    began = time.thread_time()
    content = content_of(tx, question, seen(tx, question))
    return time.thread_time() - began, content


def _naive(store: SqliteStore, token: str) -> tuple[float, int]:
    """Read all lists; return the processor time that it took, and how many have a pseudonym."""
    began = time.thread_time()
    connection = store.library.module.connect(store.path)
    try:
        lists = connection.execute("SELECT bytes FROM served")
        count = sum(token in orjson.loads(content)["pseudonyms"] for (content,) in lists)
    finally:
        connection.close()
    return time.thread_time() - began, count


def sizes(store: SqliteStore, entries: int) -> dict[str, float]:
    """Return bytes per entry of the log: of the whole database, and of the tables by which lists are found.

    These are dropped for it, so this comes last.
    """

    def work(connection: Connection, _: object) -> tuple[int, int]:
        before = connection.exec_driver_sql("PRAGMA freelist_count").scalar_one()
        for table in TABLES:
            connection.exec_driver_sql(f"DROP TABLE {table.name}")
        return before, connection.exec_driver_sql("PRAGMA freelist_count").scalar_one()

    before, after_it = store._writer.run(work)  # noqa: SLF001 - no server drops them
    page = 4_096
    whole = store.path.stat().st_size
    return {"all": round(whole / entries, 1), "index": round((after_it - before) * page / entries, 1)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--entries", type=int, default=SMALL)
    parser.add_argument("--folder", type=Path, default=Path.cwd(), help="where the database goes for the time being")
    parser.add_argument("--keep", action="store_true", help="leave it there, and use the one that is there")
    parser.add_argument("--make-only", action="store_true", help="ask nothing; with --keep")
    asked = parser.parse_args()
    if asked.keep:
        asked.folder.mkdir(parents=True, exist_ok=True)
        if asked.make_only:
            asyncio.run(_made(asked.folder, asked.entries))[0].close()
            return
        figures = asyncio.run(measured(asked.folder, asked.entries, keeps=True))
    else:
        with tempfile.TemporaryDirectory(dir=asked.folder) as folder:
            figures = asyncio.run(measured(Path(folder), asked.entries, keeps=False))
    for name, value in figures["median_s"].items():
        wall, first, records = (figures[one][name] for one in ("wall_s", "first_s", "records"))
        print(f"{name:16} {value:8.3f} s   wall {wall:8.3f} s   first {first:8.3f} s   {records:6} records")
    print(f"all lists        {figures['naive_s']:8.2f} s   read one after the other")
    print(json.dumps({"bench": "who_saw"} | figures))
    if figures["entries"] >= LARGE and figures["pseudonym_over_naive"] > OVER_NAIVE:
        raise SystemExit(1)


if __name__ == "__main__":
    main()
