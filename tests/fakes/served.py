"""Records of what was served, as a gateway writes them, and a log that takes them without one."""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.fakes.database import open_database
from tests.fakes.gateway import insert_grant, made_id, principal
from tests.fakes.vault import fake_vault

from loglease.access.commitments import Commitments
from loglease.access.serving import Settled, Unit
from loglease.access.who_saw import Question, Seen, seen
from loglease.audit.interface import Draft, Recorded
from loglease.audit.sequencer import Sequencer
from loglease.model.grant import Grant
from loglease.model.ids import EntryId
from loglease.model.instant import EventWindow
from loglease.model.labels import Labels, labels_of
from loglease.model.limits import Limits
from loglease.model.offer import Terms
from loglease.model.principal import Principal
from loglease.model.scope import Scope
from loglease.model.selector_text import parse_selector
from loglease.model.served_list import ServedList, ServedStream
from loglease.policy.entry_shapes import scope_data
from loglease.server.clock import SystemClock
from loglease.server.databases import Database
from loglease.store.interface import Transaction

SALT = b"s" * 16
DIGEST = "0" * 64
_serial = itertools.count(1)


def stream(first_ns: int, last_ns: int, lines: int = 1, **labels: str) -> ServedStream:
    return ServedStream(labels_of(labels), first_ns, last_ns, lines)


def entry_id() -> EntryId:
    return EntryId(made_id("ent"))


@dataclass
class ServedLog:
    """A log on a database of its own."""

    store: Database
    log: Sequencer[Transaction]
    alice: Principal
    grants: list[Grant] = field(default_factory=list)

    async def grant(
        self, selector: str = "{}", profile: str = "pii-default@1", *, window: EventWindow | None = None, **changes: Any
    ) -> Grant:
        """Store a grant under which something is served."""
        scope = Scope(
            source="src", selector=parse_selector(selector), window=window or EventWindow(0, None), profile=profile
        )
        terms = Terms(scopes=(scope,), duration_s=600, limits=Limits())
        made = await insert_grant(
            self.log, self.alice, terms, now=SystemClock().now(), epoch=1, grant_id=made_id("grt"), **changes
        )

        def used(tx: Transaction, _now: object) -> Recorded[None]:
            tx.grants.spend(made.id, lines=1, size=1)
            return Recorded(None)

        await self.log.commit(used)
        self.grants.append(made)
        return made

    async def session(self, grant: Grant, start_ns: int = 0, end_ns: int | None = None) -> str:
        """Record a query, and return its session."""
        session = made_id("ses")
        await self.add(query(grant, session, start_ns, end_ns))
        return session

    async def add(self, *drafts: Draft) -> list[int]:
        """Record entries; return their indices."""

        def work(tx: Transaction, _now: object) -> Recorded[int]:
            return Recorded(tx.entries.size(), drafts)

        first = await self.log.commit(work)
        return list(range(first, first + len(drafts)))

    async def seen(self, question: Question) -> Seen:
        return await self.store.read(lambda tx: seen(tx, question))


def query(grant: Grant, session: str, start_ns: int = 0, end_ns: int | None = None) -> Draft:
    scope = grant.terms.scopes[0]

    def profiles(name: str) -> list[dict[str, Any]]:
        return [{"name": name, "sha256": DIGEST}, {"name": "raw@1", "sha256": DIGEST}]

    data: dict[str, Any] = {
        "query": 1,
        "text_c": DIGEST,
        "scopes": [scope_data(scope, Commitments(lambda size: b"r" * size), profiles)],
        "start_ns": str(start_ns),
        "live": end_ns is None,
        "plan": "evaluate",
    }
    if end_ns is not None:
        data["end_ns"] = str(end_ns)
        if end_ns <= start_ns:
            data["scopes"] = []
    return Draft(id=entry_id(), type="query.recorded", actor="sub_a", ref=_ref(grant, session), data=data)


def batch(
    grant: Grant,
    session: str,
    streams: Sequence[ServedStream] = (),
    pseudonyms: Sequence[str] = (),
    *,
    unit: Unit = Unit.LINE,
    overflow: bool = False,
) -> Draft:
    """Return the record of a batch; without streams nothing is settled."""
    data: dict[str, Any] = {
        "query": 1,
        "seq": next(_serial),
        "total": {"lines": 1, "bytes": 1},
        "reserved": {"lines": 256, "bytes": 65_536},
    }
    served = None
    if streams:
        served = ServedList(DIGEST, () if overflow else sorted(pseudonyms), sorted(streams)).encode()
        settled = Settled(
            unit=unit,
            lines=sum(one.lines for one in streams),
            size=1,
            first_ns=min(one.first_ns for one in streams),
            last_ns=max(one.last_ns for one in streams),
            served=served,
            overflow=overflow,
        )
        data["settled"] = settled.data(SALT)
    return Draft(
        id=entry_id(),
        type="batch.served",
        actor="sub_a",
        ref=_ref(grant, session),
        data=data,
        served=None if served is None else (served, SALT),
    )


def crash(grant: Grant, session: str, lines: int = 256) -> Draft:
    """Return the record of a session whose process died."""
    data = {"why": "crash", "total": {"lines": 0, "bytes": 0}, "uncertain": {"lines": lines, "bytes": lines}}
    return Draft(id=entry_id(), type="session.closed", actor="system", ref=_ref(grant, session), data=data)


def _ref(grant: Grant, session: str) -> dict[str, str]:
    return {"request": grant.request, "grant": grant.id, "session": session}


def shown(**labels: str) -> Labels:
    return labels_of(labels)


@asynccontextmanager
async def served_log(directory: Path) -> AsyncIterator[ServedLog]:
    path = directory / "data" / "loglease.db"
    store = open_database(path, SystemClock())
    log: Sequencer[Transaction] = Sequencer(store, SystemClock(), fake_vault(), limit_s=60)
    alice = principal("alice")
    try:
        await log.commit(lambda tx, _now: Recorded(tx.principals.insert(alice)))
        yield ServedLog(store, log, alice)
    finally:
        await log.aclose()
        store.close()
