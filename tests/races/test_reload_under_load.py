"""Bundles are swapped while people ask: each decision is of one bundle, whole, and can be made again with that one."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Mapping
from pathlib import Path

import orjson
import pytest
from tests.api.world import WISH, World, world_in
from tests.fakes.signed import changed, put_bundle, signed_settings
from tests.volume import volume

from loglease.access.rules import Rules
from loglease.model.access_request import AccessRequest, Wish
from loglease.model.instant import Instant
from loglease.model.principal import Directory, Principal
from loglease.policy.decision_records import decision_data
from loglease.policy.trace import Decision
from loglease.server import reload
from loglease.server.bundles import NOTHING_KNOWN, candidate, rules_from
from loglease.server.reload import reload_rules
from loglease.store.interface import Transaction

SWAPS = volume(25, 100)
BAD_EVERY = 10
ASKING = ("alice", "carol")
THREADS = 2
PAUSE_S = 0.02
"""Between two requests or decisions of one of them, so that swaps get their turn on a small machine."""


def documents(revision: int) -> dict[str, bytes]:
    """Return documents whose offer tells the revision: how long it is, and how many have to approve."""
    files = changed("duration: {default: 30m, max: 1h}", f"duration: {{default: {revision}m, max: {revision}m}}")
    return {name: text.replace(b"need: 1", b"need: %d" % (1 + revision % 2)) for name, text in files.items()}


class Asking:
    """People who ask through the API without end, and threads that decide what nobody records."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.begun = 0
        self.answered = asyncio.Condition()
        self.last = 0
        self.decided: list[tuple[Rules, Wish, Instant, object]] = []
        self.stopped = threading.Event()

    async def person(self, who: Mapping[str, str]) -> None:
        while not self.stopped.is_set():
            self.begun += 1
            number = self.begun
            answer = await self.world.created("/requests", WISH, dict(who))
            assert answer.status_code == 201, answer.text
            cancelled = await self.world.created(f"/requests/{answer.json()['id']}/cancel", {}, dict(who))
            assert cancelled.status_code == 200, cancelled.text
            async with self.answered:
                self.last = max(self.last, number)
                self.answered.notify_all()
            await asyncio.sleep(PAUSE_S)

    async def one_more(self) -> None:
        """Wait for the answer to a request that begins from now on."""
        begun = self.begun
        async with self.answered:
            await self.answered.wait_for(lambda: self.last > begun)

    def thread(self, wish: Wish, who: Principal, directory: Directory) -> None:
        services = self.world.services
        while not self.stopped.wait(PAUSE_S):
            rules, now = services.rules.current, services.clock.now()
            found = rules.decide(wish, who, directory, now, closed=None)
            self.decided.append((rules, wish, now, _record_of(found)))


@pytest.mark.volume
async def test_each_decision_under_many_swaps_is_of_one_bundle(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "data" / "policy"
    folder.parent.mkdir(mode=0o700)
    put_bundle(folder, 1, documents=documents(1))
    async with world_in(tmp_path, **signed_settings()) as world:
        services = world.services
        # Packs and profiles stay as they are; to prove them anew each time is most of the work.
        monkeypatch.setattr(reload, "library_of", lambda _settings: services.library.current)
        monkeypatch.setattr(reload, "prove", lambda *_: None)
        people = [await world.add(name) for name in ASKING]
        for name in ("bob", "eve"):
            await world.add(name, groups=("approvers",))
        directory = await services.store.read(lambda tx: tx.principals.directory())
        rules = {1: services.rules.current}
        asking = Asking(world)
        tasks = [asyncio.create_task(asking.person(who)) for who in people]
        await asking.one_more()
        wish, who = await first_of(world, directory)
        threads = [threading.Thread(target=asking.thread, args=(wish, who, directory)) for _ in range(THREADS)]
        for one in threads:
            one.start()
        try:
            for revision in range(2, SWAPS + 2):
                if revision % BAD_EVERY == 0:
                    put_bundle(folder, revision, documents=documents(revision), by=("alice", "mallory"))
                    assert not await reload_rules(services)
                    assert services.rules.current is rules[revision - 1]
                put_bundle(folder, revision, documents=documents(revision))
                assert await reload_rules(services), services.standing.policy_fault
                rules[revision] = services.rules.current
                await asking.one_more()
        finally:
            asking.stopped.set()
            for one in threads:
                one.join()
        await asyncio.gather(*tasks)
        await replayed(world, directory, {number: fresh(world, number) for number in rules})
        for used, asked, now, record in asking.decided:
            again = rules[used.revision].decide(asked, who, directory, now, closed=None)
            assert _record_of(again) == record


def _record_of(decision: Decision) -> tuple[object, ...]:
    steps = [(one.policy.id, [(step.name, step.ok) for step in one.steps]) for one in decision.own]
    return decision_data(decision, request=None, taken=None, closed=None, zones=""), steps


async def first_of(world: World, directory: Directory) -> tuple[Wish, Principal]:
    [request, *_] = await world.services.store.read(lambda tx: tx.requests.page(limit=1))
    who = directory.principal(request.requester)
    assert who is not None
    return request.wish, who


def fresh(world: World, revision: int) -> Rules:
    """Return the rules of a revision, read anew: nothing of a swap is in them."""
    put_bundle(world.services.data_dir / "again", revision, documents=documents(revision))
    settings = world.services.settings
    area = settings.policy.model_copy(update={"directory": world.services.data_dir / "again"})
    settings = settings.model_copy(update={"policy": area})
    found = candidate(settings, world.services.sources)
    return rules_from(found, settings, world.services.sources, world.services.library.current, NOTHING_KNOWN)


async def replayed(world: World, directory: Directory, rules: Mapping[int, Rules]) -> None:
    """Decide on every recorded request again, with the bundle that its record names."""

    def query(tx: Transaction) -> list[tuple[dict, AccessRequest]]:
        entries = [orjson.loads(one.content) for one in tx.entries.since(0, types=frozenset({"offer.made"}))]
        found = [(one["data"], tx.requests.find(one["ref"]["request"])) for one in entries]
        return [(data, request) for data, request in found if request is not None]

    recorded = await world.services.store.read(query)
    assert {data["revision"] for data, _ in recorded} == set(rules)
    for data, request in recorded:
        who = directory.principal(request.requester)
        assert who is not None
        now = request.submitted_at
        again = rules[data["revision"]].decide(request.wish, who, directory, now, closed=None)
        assert again.offers == (request.offer,)
        assert (data["bundle_sha256"], data["policy"]) == (again.bundle_sha256, request.offer.policy)
        assert data["duration_s"] == data["revision"] * 60
        assert [stage["need"] for plan in data["plans"] for stage in plan] == [1 + data["revision"] % 2]
