"""The log that `bench.who_saw` asks: made straight into a database, in the shape that gateways write, always the same.

For each query there is a session that opens, the query, batches, and a close that settles the rest. Lists go through
the code that indexes them as entries are appended. One grant in twenty reads with `raw`; a session in fifty asks for
numbers, one in two thousand dies. Entries are made in one process and written in another, a chunk ahead.
"""

from __future__ import annotations

import hashlib
import json
import multiprocessing
import random
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final

import orjson
from sqlalchemy import Connection

from loglease.model.access_request import AccessRequest, RequestState, Wish
from loglease.model.grant import Grant, GrantState, Usage
from loglease.model.ids import GrantId, PersonId, PrincipalId, RequestId, SubjectId
from loglease.model.instant import EventWindow, Instant, after
from loglease.model.labels import labels_of
from loglease.model.limits import Limits
from loglease.model.offer import Offer, Outcome, Plan, Shape, Terms
from loglease.model.principal import Kind, Principal
from loglease.model.scope import Scope
from loglease.model.selector_text import parse_selector
from loglease.redaction import Keys, pseudonym
from loglease.store.served_index import Indexer
from loglease.store.sqlite import SqliteStore

A_GRANT: Final = 200
APPS: Final = 40
PODS: Final = 50
MASTER: Final = b"m" * 32
START_NS: Final = 1_760_000_000_000_000_000
STEP_NS: Final = 3_000_000_000
HOUR_NS: Final = 3_600_000_000_000
TRACE: Final = "4bf92f3577b34da6a3ce929d0e0e4736"
RAW: Final = "raw@1"
_GRANTS_AT_ONCE: Final = 100
_CHUNKS_AHEAD: Final = 3
_LETTERS: Final = "abcdefghijklmnopqrstuvwxyz234567"
_ZEROS: Final = "0" * 64
_SUBJECT: Final = "sub_abcdefghijklmnopqrstuvwxyz"
_SPANS: Final = (0, 10**6, 10**9, 60 * 10**9)


@dataclass(frozen=True, kw_only=True)
class Made:
    """What there is to know of a log that was made.

    Attributes:
        traced: the number of the grant, and its application, of each entry whose list has the trace id.
    """

    entries: int
    lists: int
    pseudonyms: int
    grants: int
    made_s: float
    traced: dict[int, tuple[int, str]]

    def save(self, path: Path) -> None:
        """Keep it beside the database."""
        path.write_text(json.dumps(asdict(self)))

    @classmethod
    def load(cls, path: Path) -> Made:
        """Read it back."""
        found = json.loads(path.read_text())
        traced = {int(index): (number, app) for index, (number, app) in found.pop("traced").items()}
        return cls(**found, traced=traced)


@dataclass
class Chunk:
    """Some grants, and the rows of all that happened under them."""

    grants: list[tuple[int, str, str]] = field(default_factory=list)
    rows: list[tuple[object, ...]] = field(default_factory=list)
    found: list[tuple[object, ...]] = field(default_factory=list)
    lists: list[tuple[object, ...]] = field(default_factory=list)
    waiting: list[tuple[Any, ...]] = field(default_factory=list)
    traced: dict[int, tuple[int, str]] = field(default_factory=dict)
    pseudonyms: int = 0


def made_id(prefix: str, number: int) -> str:
    """Return an id in the order of numbers."""
    return f"{prefix}_{number:026d}"


def make(store: SqliteStore, entries: int) -> Made:
    """Fill a new database, without a care for power failures."""
    began = time.perf_counter()

    def work(connection: Connection, transaction: Any) -> Made:
        return _filled(connection, transaction, entries, began)

    connection, _ = store._writer._opened()  # noqa: SLF001 - settings that no server has
    for setting in ("synchronous = OFF", "cache_size = -1000000", "journal_mode = OFF"):
        connection.exec_driver_sql(f"PRAGMA {setting}")
    connection.rollback()
    made = store._writer.run(work)  # noqa: SLF001 - the same
    store._writer.close()  # noqa: SLF001 - the next one has the settings of a server again
    return made


def _filled(connection: Connection, transaction: Any, entries: int, began: float) -> Made:
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
    transaction.principals.insert(holder)
    indexer = Indexer(connection)
    traced: dict[int, tuple[int, str]] = {}
    grants = lists = pseudonyms = written = 0
    for chunk in _ahead(entries):
        for number, app, profile in chunk.grants:
            grant, request = _grant_of(holder, number, app, profile)
            transaction.requests.insert(request)
            transaction.grants.insert(grant)
        _write(connection, indexer, chunk)
        traced |= chunk.traced
        grants, lists = grants + len(chunk.grants), lists + len(chunk.lists)
        pseudonyms, written = pseudonyms + chunk.pseudonyms, written + len(chunk.rows)
        if written % (1 << 20) < len(chunk.rows):
            print(f"{written:,} entries made", flush=True)
    for _, sql in indices:
        connection.exec_driver_sql(sql)
    connection.exec_driver_sql("UPDATE seq_head SET next = ?, last_at = 1", (written,))
    made_s = round(time.perf_counter() - began, 1)
    return Made(entries=written, lists=lists, pseudonyms=pseudonyms, grants=grants, made_s=made_s, traced=traced)


def _write(connection: Connection, indexer: Indexer, chunk: Chunk) -> None:
    for table, rows in (("entries", chunk.rows), ("entry_index", chunk.found), ("served", chunk.lists)):
        marks = ", ".join("?" * len(rows[0]))
        connection.exec_driver_sql(f"INSERT INTO {table} VALUES ({marks})", rows)  # noqa: S608 - ours
    for one in chunk.waiting:
        indexer.add(*one)
    indexer.flush()


def _ahead(entries: int) -> Iterator[Chunk]:
    """Yield the chunks of a log, made in a process of their own."""
    spawning = multiprocessing.get_context("spawn")
    queue: Any = spawning.Queue(_CHUNKS_AHEAD)
    process = spawning.Process(target=_put_chunks, args=(queue, entries), daemon=True)
    process.start()
    while (chunk := queue.get()) is not None:
        yield chunk
    process.join()
    if process.exitcode:
        raise SystemExit("entries could not be made")


def _put_chunks(queue: Any, entries: int) -> None:
    try:
        for chunk in Maker(entries).chunks():
            queue.put(chunk)
    finally:
        queue.put(None)


class Maker:
    """Makes a log, entry by entry, always the same one."""

    def __init__(self, entries: int) -> None:
        self._size = entries
        self._random = random.Random(7).random
        self._tokens = [f"⟦email:{''.join(self._one_of(_LETTERS) for _ in range(10))}⟧" for _ in range(100_000)]
        self._labels = {
            f"app-{app}": [
                labels_of({"app": f"app-{app}", "env": "prod", "pod": f"app-{app}-{pod}"}) for pod in range(PODS)
            ]
            for app in range(APPS)
        }
        self._index = 0
        self._chunk = Chunk()

    def _below(self, number: int) -> int:
        return int(self._random() * number)

    def _one_of(self, some: Any) -> Any:
        return some[int(self._random() * len(some))]

    def chunks(self) -> Iterator[Chunk]:
        """Yield the log, some grants at a time."""
        number = 0
        while self._index < self._size:
            self._grant(number)
            number += 1
            if number % _GRANTS_AT_ONCE == 0 or self._index >= self._size:
                yield self._chunk
                self._chunk = Chunk()

    def _grant(self, number: int) -> None:
        app, profile = f"app-{self._below(APPS)}", RAW if number % 20 == 0 else "traced@1"
        self._chunk.grants.append((number, app, profile))
        end = min(self._index + A_GRANT, self._size)
        while self._index < end:
            self._session(number, app, profile)

    def _session(self, number: int, app: str, profile: str) -> None:
        session = made_id("ses", self._index)
        ref = {"grant": made_id("grt", number), "request": made_id("req", number), "session": session}
        at_ns = START_NS + self._index * STEP_NS
        self._add("session.opened", ref, {})
        scope = {
            "source": "src",
            "selector": [{"label": "app", "op": "eq", "value": app}],
            "profiles": [{"name": profile}],
        }
        window = {"start_ns": str(at_ns - HOUR_NS), "end_ns": str(at_ns)}
        self._add("query.recorded", ref, {"query": 1, "scopes": [scope], "live": False, **window})
        dice = self._random()
        if dice < 0.02:
            listed = self._listed(number, app, profile, at_ns, may_trace=False)
            self._add("session.closed", ref, {"why": "complete", "settled": _settled("sample")}, listed)
            return
        for _ in range(self._one_of((0, 0, 1, 1, 2, 5))):
            data = {"query": 1, "seq": 1, "settled": _settled("line")}
            self._add("batch.served", ref, data, self._listed(number, app, profile, at_ns))
        if dice > 0.9995:
            self._add("session.closed", ref, {"why": "crash", "uncertain": {"lines": 256, "bytes": 65_536}})
            return
        data = {"why": "complete", "settled": _settled("line")}
        self._add("session.closed", ref, data, self._listed(number, app, profile, at_ns))

    def _listed(self, number: int, app: str, profile: str, at_ns: int, *, may_trace: bool = True) -> bytes:
        """Return a served list of up to four streams and thirty pseudonyms."""
        pods: set[int] = set()
        count = self._one_of((1, 1, 2, 4))
        while len(pods) < count:
            pods.add(self._below(PODS))
        streams = []
        for pod in sorted(pods):
            first = at_ns - self._below(HOUR_NS)
            span = self._one_of(_SPANS)
            streams.append([self._labels[app][pod], str(first), str(first + span), 1 + self._below(99)])
        tokens: set[str] = set()
        if profile != RAW:
            tokens.update([self._one_of(self._tokens) for _ in range(self._one_of((0, 0, 1, 3, 8, 30)))])
            if may_trace and self._random() < 0.0001:
                tokens.add(trace_under(number))
                self._chunk.traced[self._index] = number, app
        self._chunk.pseudonyms += len(tokens)
        return orjson.dumps({"content_sha256": _ZEROS, "pseudonyms": sorted(tokens), "streams": streams})

    def _add(self, kind: str, ref: dict[str, str], data: dict[str, Any], served: bytes | None = None) -> None:
        index, entry, chunk = self._index, made_id("ent", self._index), self._chunk
        value = {"actor": _SUBJECT, "at": "2026-11-23T02:05:20.123456Z", "data": data, "id": entry}
        content = orjson.dumps({**value, "ref": ref, "type": kind, "v": 1})
        chunk.rows.append((index, entry, content, hashlib.sha256(b"\0" + content).digest()))
        chunk.found.append((index, 1, kind, _SUBJECT, ref["request"], ref["grant"], ref["session"], None))
        if served is not None:
            chunk.lists.append((entry, b"s" * 16, served))
        self._index += 1
        if kind != "session.opened":
            chunk.waiting.append((index, kind, ref, data, served))


def trace_under(number: int) -> str:
    """Return as which pseudonym the trace id is shown under a grant."""
    keys = Keys.derived(MASTER, salt=_salt_of(number), grant_id=made_id("grt", number))
    return pseudonym(TRACE.encode(), cls="field", label="field", key=keys.pseudonym)


def _salt_of(number: int) -> bytes:
    return hashlib.sha256(b"%d" % number).digest()


def _settled(unit: str) -> dict[str, Any]:
    return {"unit": unit, "lines": 40, "bytes": 9_000, "masked": [], "served_c": _ZEROS, "overflow": False}


def _holder() -> Principal:
    return Principal(
        id=PrincipalId(made_id("prn", 1)),
        issuer="local",
        account="alice",
        kind=Kind.HUMAN,
        person=PersonId(made_id("per", 1)),
        subject=SubjectId(_SUBJECT),
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
        key_salt=_salt_of(number), epoch=1, state=GrantState.ACTIVE, valid_from=now,
        valid_until=after(now, 10 * 365 * 86_400), usage=Usage(lines=1, bytes=1),
    )  # fmt: skip
    return grant, request
