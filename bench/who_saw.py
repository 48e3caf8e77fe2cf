"""How long "who saw what?" takes over a large audit log, beside reading all served lists one after the other.

The log is made straight into a database of its own, in the shape that gateways write: for each query a session that
opens, the query, batches, and a close that settles the rest. Lists go through the code that indexes them as entries are
appended. One grant in twenty reads with `raw`; a session in fifty asks for numbers, one in two thousand dies.

A trace id is a value in a field that the profile shows as a pseudonym; it is looked up under the key of every grant.
Times are medians of processor time of the whole answer, read, judged and put together, without HTTP and without
recording that it was asked, which is one commit; `wall` is what went by meanwhile. `first` is the first question of
that kind, before anything of it is in memory of ours.

Run: ``python -m bench.who_saw [--entries 10000000] [--folder FOLDER]``. The last line is one object of JSON; the exit
code is 1 where a goal is missed.
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import json
import random
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any, Final

import orjson
from bench.audit import BenchClock
from sqlalchemy import Connection

from loglease.access.who_saw import How, PseudonymWanted, Question, seen
from loglease.access.who_saw_answer import content_of
from loglease.model.access_request import AccessRequest, RequestState, Wish
from loglease.model.grant import Grant, GrantState, Usage
from loglease.model.ids import GrantId, PersonId, PrincipalId, RequestId, SubjectId
from loglease.model.instant import EventWindow, Instant, Interval, after
from loglease.model.labels import labels_of
from loglease.model.limits import Limits
from loglease.model.offer import Offer, Outcome, Plan, Shape, Terms
from loglease.model.principal import Kind, Principal
from loglease.model.scope import Scope
from loglease.model.selector_text import parse_selector
from loglease.redaction import Keys, Library, builtin_library, parse_profile, pseudonym
from loglease.server.who_saw import value_wanted
from loglease.store.interface import Transaction
from loglease.store.served_index import Indexer
from loglease.store.served_schema import TABLES
from loglease.store.sqlite import SqliteStore, open_store

SMALL: Final = 100_000
ROUNDS: Final = 5
A_GRANT: Final = 200
APPS: Final = 40
PODS: Final = 50
MASTER: Final = b"m" * 32
START_NS: Final = 1_760_000_000_000_000_000
STEP_NS: Final = 3_000_000_000
HOUR_NS: Final = 3_600_000_000_000
TRACE: Final = "4bf92f3577b34da6a3ce929d0e0e4736"
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
_CHUNK: Final = 20_000
_LETTERS: Final = "abcdefghijklmnopqrstuvwxyz234567"
_ZEROS: Final = "0" * 64


def library() -> Library:
    """Return the packs that ship, with a profile that shows trace ids as pseudonyms."""
    shipped = builtin_library()
    return replace(shipped, profiles=(*shipped.profiles, parse_profile(PROFILE)))


def made_id(prefix: str, number: int) -> str:
    """Return an id in the order of numbers."""
    return f"{prefix}_{number:026d}"


class Maker:
    """Makes a log, entry by entry, always the same one."""

    def __init__(self, connection: Connection, transaction: Any, entries: int) -> None:
        self._connection = connection
        self._tx = transaction
        self._size = entries
        self._random = random.Random(7)
        self._tokens = ["⟦email:" + "".join(self._random.choices(_LETTERS, k=10)) + "⟧" for _ in range(100_000)]
        self._indexer = Indexer(connection)
        self._rows: list[tuple[object, ...]] = []
        self._found: list[tuple[object, ...]] = []
        self._lists: list[tuple[object, ...]] = []
        self._waiting: list[tuple[Any, ...]] = []
        self._index = 0
        self.grants: list[Grant] = []
        self.lists = 0
        self.pseudonyms = 0
        self.traced: dict[int, Grant] = {}

    def make(self) -> None:
        """Fill the database."""
        connection = self._connection
        # Without that of sessions, the query of each batch would be looked for in the whole log.
        indices = connection.exec_driver_sql(
            "SELECT name, sql FROM sqlite_master WHERE type = 'index' AND tbl_name = 'entry_index' AND sql IS NOT NULL"
            " AND name NOT LIKE '%session%'"
        ).all()
        triggers = connection.exec_driver_sql("SELECT name FROM sqlite_master WHERE type = 'trigger'").scalars().all()
        for kind, names in (("INDEX", [name for name, _ in indices]), ("TRIGGER", triggers)):
            for name in names:
                connection.exec_driver_sql(f'DROP {kind} "{name}"')
        holder = _holder()
        self._tx.principals.insert(holder)
        while self._index < self._size:
            self._grant(holder)
        self._flush()
        for _, sql in indices:
            connection.exec_driver_sql(sql)
        connection.exec_driver_sql("UPDATE seq_head SET next = ?, last_at = 1", (self._index,))

    def _grant(self, holder: Principal) -> None:
        number = len(self.grants)
        app = f"app-{self._random.randrange(APPS)}"
        grant, request = _grant_of(holder, number, app, "raw@1" if number % 20 == 0 else "traced@1")
        self._tx.requests.insert(request)
        self._tx.grants.insert(grant)
        self.grants.append(grant)
        keys = Keys.derived(MASTER, salt=grant.key_salt, grant_id=grant.id)
        end = min(self._index + A_GRANT, self._size)
        while self._index < end:
            self._session(grant, app, keys)

    def _session(self, grant: Grant, app: str, keys: Keys) -> None:
        session = made_id("ses", self._index)
        ref = {"grant": grant.id, "request": grant.request, "session": session}
        at_ns = START_NS + self._index * STEP_NS
        self._add("session.opened", ref, {})
        scope = {
            "source": "src",
            "selector": [{"label": "app", "op": "eq", "value": app}],
            "profiles": [{"name": grant.terms.scopes[0].profile}],
        }
        window = {"start_ns": str(at_ns - HOUR_NS), "end_ns": str(at_ns)}
        self._add("query.recorded", ref, {"query": 1, "scopes": [scope], "live": False, **window})
        dice = self._random.random()
        if dice < 0.02:
            self._settled("session.closed", ref, app, at_ns, grant, keys, unit="sample")
            return
        for _ in range(self._random.choice((0, 0, 1, 1, 2, 5))):
            self._settled("batch.served", ref, app, at_ns, grant, keys)
        if dice > 0.9995:
            self._add("session.closed", ref, {"why": "crash", "uncertain": {"lines": 256, "bytes": 65_536}})
            return
        self._settled("session.closed", ref, app, at_ns, grant, keys)

    def _settled(
        self, kind: str, ref: dict[str, str], app: str, at_ns: int, grant: Grant, keys: Keys, unit: str = "line"
    ) -> None:
        rand = self._random
        streams = []
        for pod in sorted(rand.sample(range(PODS), rand.choice((1, 1, 2, 4)))):
            first = at_ns - rand.randrange(HOUR_NS)
            labels = labels_of({"app": app, "env": "prod", "pod": f"{app}-{pod}"})
            streams.append(
                [labels, str(first), str(first + rand.choice((0, 10**6, 10**9, 60 * 10**9))), rand.randrange(1, 100)]
            )
        tokens: set[str] = set()
        if grant.terms.scopes[0].profile != "raw@1":
            tokens.update(rand.choices(self._tokens, k=rand.choice((0, 0, 1, 3, 8, 30))))
            if unit == "line" and rand.random() < 0.0001:
                tokens.add(pseudonym(TRACE.encode(), cls="field", label="field", key=keys.pseudonym))
                self.traced[self._index] = grant
        content = orjson.dumps({"content_sha256": _ZEROS, "pseudonyms": sorted(tokens), "streams": streams})
        settled = {"unit": unit, "lines": 40, "bytes": 9_000, "masked": [], "served_c": _ZEROS, "overflow": False}
        data = (
            {"query": 1, "seq": 1, "settled": settled}
            if kind == "batch.served"
            else {"why": "complete", "settled": settled}
        )
        self._add(kind, ref, data, content)
        self.lists += 1
        self.pseudonyms += len(tokens)

    def _add(self, kind: str, ref: dict[str, str], data: dict[str, Any], served: bytes | None = None) -> None:
        index, entry = self._index, made_id("ent", self._index)
        value = {
            "actor": "sub_abcdefghijklmnopqrstuvwxyz",
            "at": "2026-11-23T02:05:20.123456Z",
            "data": data,
            "id": entry,
        }
        content = orjson.dumps({**value, "ref": ref, "type": kind, "v": 1})
        self._rows.append((index, entry, content, hashlib.sha256(b"\0" + content).digest()))
        self._found.append(
            (index, 1, kind, "sub_abcdefghijklmnopqrstuvwxyz", ref["request"], ref["grant"], ref["session"], None)
        )
        if served is not None:
            self._lists.append((entry, b"s" * 16, served))
        self._index += 1
        if kind != "session.opened":
            self._waiting.append((index, kind, ref, data, served))
        if len(self._rows) >= _CHUNK:
            self._flush()

    def _flush(self) -> None:
        for table, rows in (("entries", self._rows), ("entry_index", self._found), ("served", self._lists)):
            if rows:
                marks = ", ".join("?" * len(rows[0]))
                self._connection.exec_driver_sql(f"INSERT INTO {table} VALUES ({marks})", rows)  # noqa: S608 - ours
        for one in self._waiting:
            self._indexer.add(*one)
        self._indexer.flush()
        self._rows, self._found, self._lists, self._waiting = [], [], [], []
        if self._index % (1 << 20) < _CHUNK:
            print(f"{self._index:,} entries made", flush=True)


def _holder() -> Principal:
    return Principal(
        id=PrincipalId(made_id("prn", 1)),
        issuer="local",
        account="alice",
        kind=Kind.HUMAN,
        person=PersonId(made_id("per", 1)),
        subject=SubjectId("sub_abcdefghijklmnopqrstuvwxyz"),
        name="Alice",
    )


def _grant_of(holder: Principal, number: int, app: str, profile: str) -> tuple[Grant, AccessRequest]:
    now = Instant(START_NS // 1_000)
    scope = Scope(
        source="src", selector=parse_selector(f'{{app="{app}"}}'), window=EventWindow(0, None), profile=profile
    )
    terms = Terms(scopes=(scope,), duration_s=3_600, limits=Limits())
    shape = Shape(activate_within_s=3_600, review_within_s=3_600)
    offer = Offer(
        number=1, policy="bench", rule="auto", outcome=Outcome.AUTO, plans=(Plan("bench", ()),), terms=terms,
        shape=shape, bundle_sha256=_ZEROS, revision=1,
    )  # fmt: skip
    request = AccessRequest(
        id=RequestId(made_id("req", number)), requester=holder.id, subject=holder.subject, persons=holder.persons,
        wish=Wish(scopes=terms.scopes, reason="a benchmark"), offer=offer, eligible=frozenset(), terms_bytes=b"{}",
        digest=_ZEROS, private={}, submitted_at=now, expires_at=after(now, 3_600), state=RequestState.APPROVED,
        decided_at=now, decided_by=holder.id,
    )  # fmt: skip
    grant = Grant(
        id=GrantId(made_id("grt", number)), request=request.id, holder=holder.id, policy="bench", basis=Outcome.AUTO,
        reviews=(), terms=terms, shape=shape, digest=_ZEROS, scheduled_at=now, activate_by=after(now, 3_600),
        key_salt=hashlib.sha256(b"%d" % number).digest(), epoch=1, state=GrantState.ACTIVE, valid_from=now,
        valid_until=after(now, 10 * 365 * 86_400), usage=Usage(lines=1, bytes=1),
    )  # fmt: skip
    return grant, request


def questions(maker: Maker, known: Library) -> Iterator[tuple[str, Question]]:
    """Yield what is asked, each by its name."""
    middle = START_NS + len(maker.grants) // 2 * A_GRANT * STEP_NS
    hour = Interval(middle - HOUR_NS, middle)
    traced = list(maker.traced.values())[len(maker.traced) // 2]
    keys = Keys.derived(MASTER, salt=traced.key_salt, grant_id=traced.id)
    token = pseudonym(TRACE.encode(), cls="field", label="field", key=keys.pseudonym)
    app = traced.terms.scopes[0].selector.matchers[0][1]
    name = min(app.exact)
    yield "pseudonym", Question(wanted=PseudonymWanted(grant=traced.id, pseudonym=token))
    yield "trace", Question(wanted=value_wanted("field", TRACE.encode(), library=known, master=MASTER))
    yield (
        "trace_certain",
        Question(
            wanted=value_wanted("field", TRACE.encode(), library=known, master=MASTER),
            hows=frozenset({How.SERVED, How.REVEALED}),
        ),
    )
    yield "pod_in_an_hour", _selecting(f'{{app="{name}",pod="{name}-7"}}', hour)
    yield "app_in_an_hour", _selecting(f'{{app="{name}"}}', hour)
    yield "hour", Question(window=hour)
    yield "app_first_1000", _selecting(f'{{app="{name}"}}', None)


def _selecting(selector: str, window: Interval | None) -> Question:
    return Question(selector=parse_selector(selector), selector_text=selector, window=window)


async def timed(work: Callable[[], Any]) -> tuple[float, Any]:
    """Return seconds and the result."""
    began = time.perf_counter()
    result = await work()
    return time.perf_counter() - began, result


async def measured(path: Path, entries: int) -> dict[str, Any]:
    store = await asyncio.to_thread(open_store, path, clock=BenchClock())
    known = library()
    began = time.perf_counter()
    maker = await asyncio.to_thread(make, store, entries)
    figures: dict[str, Any] = {
        "entries": entries, "lists": maker.lists, "pseudonyms": maker.pseudonyms, "grants": len(maker.grants),
        "made_s": round(time.perf_counter() - began, 1),
    }  # fmt: skip
    print(json.dumps(figures), flush=True)
    asked = list(questions(maker, known))
    times: dict[str, list[float]] = {name: [] for name, _ in asked}
    walls: dict[str, list[float]] = {name: [] for name, _ in asked}
    first: dict[str, float] = {}
    records: dict[str, int] = {}
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
    if not count or not whole <= set(maker.traced) or (served.next is None and whole != set(maker.traced)):
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
    figures["bytes_per_entry"] = await asyncio.to_thread(sizes, store, entries)
    await asyncio.to_thread(store.close)
    return figures


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


def make(store: SqliteStore, entries: int) -> Maker:
    """Fill a new database, without a care for power failures."""

    def work(connection: Connection, transaction: Any) -> Maker:
        maker = Maker(connection, transaction, entries)
        maker.make()
        return maker

    connection, _ = store._writer._opened()  # noqa: SLF001 - settings that no server has
    for setting in ("synchronous = OFF", "cache_size = -1000000", "journal_mode = OFF"):
        connection.exec_driver_sql(f"PRAGMA {setting}")
    connection.rollback()
    maker = store._writer.run(work)  # noqa: SLF001 - the same
    store._writer.close()  # noqa: SLF001 - the next one has the settings of a server again
    return maker


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
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=asked.folder) as folder:
        figures = asyncio.run(measured(Path(folder) / "data" / "log.db", asked.entries))
    for name, value in figures["median_s"].items():
        wall, first, records = (figures[one][name] for one in ("wall_s", "first_s", "records"))
        print(f"{name:16} {value:8.3f} s   wall {wall:8.3f} s   first {first:8.3f} s   {records:6} records")
    print(f"all lists        {figures['naive_s']:8.2f} s   read one after the other")
    print(json.dumps({"bench": "who_saw"} | figures))
    if asked.entries >= LARGE and figures["pseudonym_over_naive"] > OVER_NAIVE:
        raise SystemExit(1)


if __name__ == "__main__":
    main()
