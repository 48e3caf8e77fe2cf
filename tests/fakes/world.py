"""A whole control plane in one process with a clock that tests move: real store, real log, real policy."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from functools import cache, partial
from pathlib import Path
from typing import Any, TypeVar

from tests.fakes.clock import FakeClock, FakeIds, FakeRandom
from tests.fakes.database import open_database
from tests.fakes.vault import fake_vault

from loglease.access.caller import Caller
from loglease.access.rules import Rules
from loglease.access.steady_clock import SteadyClock
from loglease.audit.entry import entry_of
from loglease.audit.interface import Recorded
from loglease.audit.semantic import BreachKind, Fact, Inputs, NotCheckable, check
from loglease.audit.sequencer import Sequencer
from loglease.model.ids import PersonId, PrincipalId, SubjectId
from loglease.model.instant import Instant
from loglease.model.principal import Kind, Principal, Role
from loglease.model.review import Channel
from loglease.model.selector_text import parse_selector
from loglease.model.wish import WindowDraft, WishDraft
from loglease.policy.bundle import Bundle
from loglease.policy.committed_records import read_committed
from loglease.policy.loading import load
from loglease.policy.profiles import ProfileInfo
from loglease.policy.recomputing import offer_fault
from loglease.server.databases import Database
from loglease.store.interface import Transaction

T = TypeVar("T")

ISSUER = "local"
PROFILES = {
    "raw": ProfileInfo("raw", "1"),
    "secrets": ProfileInfo("secrets", "1", frozenset({"raw"})),
    "pii-default": ProfileInfo("pii-default", "1", frozenset({"secrets"})),
}
DIGESTS = {info.pinned: "ab" * 32 for info in PROFILES.values()}

POLICY = b"""
api: loglease/v1
kind: Catalog
id: main
names: {groups: [engineering, approvers], sources: [files]}
labels: {app: string}
redaction: {secrets: [raw], pii-default: [secrets]}
---
api: loglease/v1
kind: AccessPolicy
id: one-approval
title: Everything but payments
owner: group:approvers
who: {kinds: [human, agent], any_of: [group:engineering, 'agent:alice-bot']}
scopes:
  - {sources: [files], labels: {app: {prefix: web}}, lookback: 24h, live: true}
ask: {reason: {min: 3}}
grant:
  duration: {default: 10m, max: 1h}
  activate_within: 1h
  limits: {lines: 1000}
  redaction: pii-default
approve:
  - otherwise: true
    stages: [{from: [group:approvers], need: 1}]
pending_max: 2h
---
api: loglease/v1
kind: AccessPolicy
id: two-approvals
title: Payments
owner: group:approvers
who: {kinds: [human, agent], any_of: [group:engineering, 'agent:alice-bot']}
scopes:
  - {sources: [files], labels: {app: pay}, lookback: 24h, live: true}
ask: {reason: {min: 3}}
grant:
  duration: {default: 10m, max: 1h}
  activate_within: 1h
  limits: {lines: 1000}
  redaction: pii-default
approve:
  - otherwise: true
    stages: [{from: [group:approvers], need: 2}]
pending_max: 2h
"""


def bundle_of(policy: bytes = POLICY) -> Bundle:
    loaded = load({"policy.yaml": policy}, revision=1)
    if isinstance(loaded, list):
        raise AssertionError("\n".join(problem.render() for problem in loaded))
    return loaded


@cache
def rules_of(policy: bytes = POLICY) -> Rules:
    return Rules(bundle=bundle_of(policy), profiles=PROFILES, profile_digests=DIGESTS)


def principal(
    name: str,
    *,
    groups: tuple[str, ...] = ("engineering",),
    kind: Kind = Kind.HUMAN,
    person: str | None = None,
    roles: tuple[Role, ...] = (),
    enabled: bool = True,
) -> Principal:
    return Principal(
        id=PrincipalId(f"prn_{name}"),
        issuer=ISSUER,
        account=name,
        kind=kind,
        person=PersonId(person or f"per_{name}"),
        subject=SubjectId(f"sub_{name}"),
        name=name.title(),
        email=f"{name}@example.com",
        groups=frozenset(groups),
        roles=frozenset(roles),
        enabled=enabled,
    )


def caller(who: Principal, now: Instant, channel: Channel = Channel.API) -> Caller:
    """Return somebody who has just signed in."""
    return Caller(principal=who, channel=channel, signed_in_at=now)


def wish(app: str = "web", **changes: Any) -> WishDraft:
    draft: dict[str, Any] = {
        "source": "files",
        "selector": parse_selector(f'{{app="{app}"}}'),
        "window": WindowDraft(lookback_s=3_600, live=True),
        "reason": "checkout fails",
    }
    return WishDraft(**(draft | changes))


class PatientSequencer(Sequencer[Transaction]):
    """A log that waits as long as it takes: a loaded machine is no fault here."""

    async def commit(self, work: Any, *, urgent: bool = False, limit_s: float | None = None) -> Any:
        del limit_s
        return await super().commit(work, urgent=urgent, limit_s=60)


class World:
    """Store, log, rules and people, with the running event loop of the test."""

    def __init__(self, directory: Path, *, policy: bytes = POLICY) -> None:
        self.directory = directory
        self.clock = FakeClock()
        self.steady: SteadyClock
        self.new_id = FakeIds(self.clock)
        self.random = FakeRandom()
        self.vault = fake_vault()
        self.bundles: list[Bundle] = []
        self.recomputed = 0
        self.rules = rules_of(policy)
        self.store: Database
        self.log: Sequencer[Transaction]

    async def start(self) -> World:
        path = self.directory / "db" / "loglease.sqlite3"
        self.steady = SteadyClock(self.clock)
        self.store = open_database(path, self.steady)
        self.log = PatientSequencer(self.store, self.steady, self.vault)
        return self

    async def stop(self) -> None:
        await self.keeps_the_rules()
        await self.log.aclose()
        self.store.close()

    async def keeps_the_rules(self) -> None:
        """Check what must hold of the entries of every log, whatever a test did: a part of a log, as far as rules go.

        Nobody writes down here that a process starts, and the clock leaps: so the ends of sessions are not judged.
        Every offer is made again from the record that it commits to.
        """
        records = await self.store.read(self._decision_records)

        def read(tx: Transaction) -> list[tuple[int, bytes]]:
            return [(row.index + 1, bytes(row.content)) for row in tx.entries.since(0, limit=100_000)]

        found = check(await self.store.read(read), Inputs(recompute=partial(self._offer_fault, records)))
        broken = [str(one) for one in found.of(BreachKind.VIOLATION) if one.rule not in ("S18", "S19")]
        assert not broken, broken

    def _decision_records(self, tx: Transaction) -> dict[str, bytes]:
        """Return the opened record of each decision, by the entry that commits to it; some tests erase theirs."""
        found = {}
        for row in tx.entries.since(0, types=frozenset({"offer.made"}), limit=100_000):
            entry = entry_of(bytes(row.content)).draft
            for text in self.vault.opened(tx.subject_keys, entry.id, tx.entries.private(entry.id)):
                if text.path == "record_c":
                    found[entry.id] = text.clear
        return found

    def _offer_fault(self, records: dict[str, bytes], submitted: Fact, made: Fact) -> str | None:
        bundle = next((one for one in self.bundles if one.hash == made.data["bundle_sha256"]), None)
        if made.id not in records or bundle is None:
            raise NotCheckable("its bundle or record is gone")
        self.recomputed += 1
        return offer_fault(
            made.data,
            submitted.data,
            request=made.ref["request"],
            subject=made.actor,
            record=read_committed(records[made.id]),
            bundle=bundle,
        )

    async def add(self, *people: Principal) -> None:
        def work(tx: Transaction, _now: Instant) -> Recorded[None]:
            for one in people:
                tx.principals.insert(one)
            return Recorded(None)

        await self.log.commit(work)

    async def change(self, who: Principal) -> None:
        await self.log.commit(lambda tx, _now: Recorded(tx.principals.update(who)))

    @property
    def rules(self) -> Rules:
        """The rules in force, which tests change."""
        return self._rules

    @rules.setter
    def rules(self, rules: Rules) -> None:
        self._rules = rules
        self.bundles.append(rules.bundle)

    @property
    def ports(self) -> dict[str, Any]:
        """What every use case that decides needs."""
        return {"log": self.log, "rules": self.rules, "new_id": self.new_id, "random": self.random}


class Runner:
    """Runs coroutines one after the other on a loop of its own, for tests that are not async."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()

    def __call__(self, coroutine: Coroutine[Any, Any, T]) -> T:
        return self._loop.run_until_complete(coroutine)

    def close(self) -> None:
        self._loop.close()
