"""Promise 5 over random ends: sessions of every kind are closed in every way, and what their clients counted is held against
the record, the record against the budgets, and the log against its own rules.

Where a client reads to an end that the answer names, the record is exact. Where the client or the connection goes away,
the record is never short of what arrived. Where the server is killed, it is never more than a batch beyond that.
`CLOSED_SESSIONS` says how many there are (1,000 is the long run), `CLOSED_SEED` draws kinds and ends.
"""

from __future__ import annotations

import asyncio
import io
import os
import random
import threading
from collections import Counter
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

from tests.fakes.stack import Person, Stack
from tests.promises.shared import LINE, POLICY, followed, populated, quick, wire
from tests.races.clients import FOLLOWING, KINDS, Client
from tests.races.test_killed_server import attempted

from loglease.audit.note import SigningKey
from loglease.cli.main import run_command
from loglease.server import wiring

CLOSED = int(os.environ.get("CLOSED_SESSIONS", "20"))
SEED = int(os.environ.get("CLOSED_SEED", "20261128"))
BATCH_LINES = 256
LINES = 700
SESSIONS = 4
"""So many of one grant, opened one after another and open together."""

ENDS = ("open", "open", "open", "revoked", "suspended", "returned", "locked", "expired", "used")
"""What ends a grant's sessions; those of an open one meet the end of the server."""

OWN = ("reads", "reads", "reads", "crawls", "crawls", "vanishes", "hangs up", "stalls")
DURATION_S = 4
FEW_LINES = 400
SLOW_AFTER_S = 3.0
AFTER: dict[str, set[str]] = {
    "open": set(),
    "revoked": {"revoked"},
    "suspended": {"suspended"},
    "returned": {"ended"},
    "locked": {"locked"},
    "expired": {"expired"},
    "used": {"ended"},
}
"""Why sessions may close because of what ends their grant, beside what ends each of them."""

ALWAYS = {"complete", "client", "slow", "audit", "idle"}
"""Its WebSockets answer no pings, so one that lives for long is idle; on a busy machine a record may be late."""


def hurried() -> None:
    """Have the server's gateway give up on who takes nothing sooner than it would."""
    made = wiring._gateway_settings
    wiring._gateway_settings = lambda settings: replace(made(settings), skip_after_s=1.0, slow_after_s=SLOW_AFTER_S)


@dataclass
class Lent:
    """A grant of the test, how its sessions end, and its clients in the order in which their sessions open."""

    grant: str
    end: str
    clients: list[Client] = field(default_factory=list)


@dataclass
class Tally:
    """What was seen so far."""

    closed: Counter[str] = field(default_factory=Counter)
    kinds: Counter[str] = field(default_factory=Counter)
    exact: int = 0
    bounded: int = 0
    crashed: int = 0
    furthest: int = 0
    """The most lines that a crash left on the record beyond what had arrived."""


class Writing:
    """Lines that come while sessions are open."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        with self._path.open("a") as file:
            while not self._stop.wait(0.05):
                file.write(LINE * 3)
                file.flush()


def lent(people: dict[str, Person], chance: random.Random, end: str) -> Lent:
    about: dict[str, Any] = {}
    if end == "used":
        about["limits"] = {"lines": FEW_LINES}
    if end == "expired":
        about["duration_s"] = DURATION_S
    request = people["alice"].ask('{service="web"}', reason=f"sessions that end: {end}", **about)
    people["bob"].decide(request)
    made = Lent(people["alice"].grant_of(request), end)
    for number, kind in enumerate(chance.sample(sorted(KINDS), SESSIONS)):
        short = kind not in FOLLOWING and chance.random() < 0.4
        limit = (chance.randrange(10, 300, 10) if short else 4_000) + number
        made.clients.append(Client(kind, chance.choice(OWN), made.grant, limit))
    return made


async def opened(stack: Stack, people: dict[str, Person], one: Lent, over: asyncio.Event) -> list[asyncio.Task[None]]:
    """Open a grant's sessions one after another, and do what ends them."""
    running = []
    for client in one.clients:
        begun = asyncio.Event()
        running.append(asyncio.create_task(client.run(stack.port, people["alice"].token, begun, over)))
        await begun.wait()
    await asyncio.sleep(0.3)
    await asyncio.to_thread(act, people, one)
    return running


def act(people: dict[str, Person], one: Lent) -> None:
    path = f"/grants/{one.grant}"
    if one.end == "revoked":
        people["bob"].call("POST", f"{path}/revoke", {"reason": "over"})
    elif one.end == "suspended":
        people["bob"].call("POST", f"{path}/suspend", {"reason": "a look"})
    elif one.end == "returned":
        people["alice"].call("POST", f"{path}/return")
    elif one.end == "locked":
        people["admin"].create("/locks", {"on": f"grant:{one.grant}", "reason": "stop"})


def meets_the_end(one: Lent, client: Client) -> bool:
    """Whether a client's session may go on until the server's end, or the client waits for that."""
    return client.own_end == "stalls" or (one.end == "open" and client.is_tail)


async def a_round(stack: Stack, people: dict[str, Person], chance: random.Random, is_killed: bool) -> list[Lent]:
    """Open sessions of every kind, end them in every way, and at last end the server."""
    all_lent = [await asyncio.to_thread(lent, people, chance, end) for end in ENDS]
    over = asyncio.Event()
    tasks = await asyncio.gather(*(opened(stack, people, one, over) for one in all_lent))
    running = [
        (one, client, task)
        for one, own in zip(all_lent, tasks, strict=True)
        for client, task in zip(one.clients, own, strict=True)
    ]
    await asyncio.gather(*(task for one, client, task in running if not meets_the_end(one, client)))
    await asyncio.sleep(chance.uniform(0, 1))
    if is_killed:
        await asyncio.to_thread(stack.kill)
    else:
        assert await asyncio.to_thread(stack.stop) == 0
    over.set()
    await asyncio.gather(*(task for _, _, task in running))
    return all_lent


def entries_of(auditor: Person, one: Lent, kind: str) -> list[dict[str, Any]]:
    found = auditor.call("GET", f"/audit/entries?grant={one.grant}&type={kind}&limit=200")
    assert "next" not in found
    return list(found["items"])


def held(auditor: Person, one: Lent, tally: Tally, *, is_killed: bool) -> None:
    """Hold what the clients of a grant have against the record of its sessions, and these against its budgets."""
    asked = {
        entry["data"].get("limit"): entry["ref"]["session"] for entry in entries_of(auditor, one, "query.recorded")
    }
    sessions = {entry["ref"]["session"] for entry in entries_of(auditor, one, "session.opened")}
    closed = followed(lambda: all_closed(auditor, one, sessions), within_s=60)
    assert set(asked.values()) == sessions == set(closed)
    for client in one.clients:
        limit = None if client.kind == "websocket" else client.limit  # a grant has one of them
        if limit in asked:
            compared(client, closed[asked[limit]], one, tally, is_killed=is_killed)
        else:
            assert not client.has_session, "a session is not on the record"
    usage = auditor.call("GET", f"/grants/{one.grant}/usage")
    for unit in ("lines", "bytes"):
        assert usage["spent"][unit] == sum(each["total"][unit] + each["uncertain"][unit] for each in closed.values())
    assert usage["spent"]["queries"] == len(sessions)
    assert one.end != "used" or usage["spent"]["lines"] <= FEW_LINES


def all_closed(auditor: Person, one: Lent, sessions: set[str]) -> dict[str, dict[str, Any]] | None:
    closed = {entry["ref"]["session"]: entry["data"] for entry in entries_of(auditor, one, "session.closed")}
    return closed if set(closed) == sessions else None


def compared(client: Client, closed: dict[str, Any], one: Lent, tally: Tally, *, is_killed: bool) -> None:
    lines, size = client.count()
    why, total, uncertain = closed["why"], closed["total"], closed["uncertain"]
    about = (client.kind, client.own_end, one.end, client.was_reset, lines, size, closed)
    tally.closed[why] += 1
    tally.kinds[client.kind] += 1
    assert why in ALWAYS | AFTER[one.end] | {"crash" if is_killed else "drain"}, about
    if why == "crash":
        beyond = total["lines"] + uncertain["lines"] - lines
        assert 0 <= uncertain["lines"] <= BATCH_LINES, about
        assert beyond >= 0, about
        if client.own_end != "stalls":
            assert beyond <= BATCH_LINES, about
            tally.furthest = max(tally.furthest, beyond)
        tally.crashed += 1
        return
    assert uncertain == {"lines": 0, "bytes": 0}, about
    if client.is_clean:
        assert total["lines"] == lines, about
        assert size is None or total["bytes"] == size, about
        tally.exact += 1
    else:
        assert total["lines"] >= lines, about
        assert size is None or total["bytes"] >= size, about
        tally.bounded += 1


def judged(stack: Stack) -> None:
    """Hold the log that is left against its own rules, by its files and the public key alone."""
    key = str(SigningKey.parse((stack.folder / "data" / "log.key").read_text().strip()).verifier)
    out = io.StringIO()
    told = ["audit", "verify", str(stack.folder / "data" / "log"), "--key", key, "--semantic"]
    code = run_command(told, environment={}, stdin=io.StringIO(), stdout=out, stderr=out)
    assert code == 0, out.getvalue()


def signed_in(stack: Stack) -> dict[str, Person]:
    return {name: quick(attempted(partial(stack.sign_in, name))) for name in ("alice", "bob", "sam", "admin")}


def test_what_was_read_is_what_is_on_the_record_however_sessions_end(tmp_path: Path) -> None:
    chance = random.Random(SEED)  # noqa: S311 - the same ends in every run
    policy = POLICY.replace("lines: 10000", "lines: 200000")
    stack = populated(tmp_path, policy=policy, prepare=hurried)
    tally = Tally()
    try:
        number = 0
        while sum(tally.closed.values()) < CLOSED:
            (stack.logs / "web.log").write_text(LINE * LINES)
            is_killed = number % 2 == 0
            people = signed_in(stack)
            with Writing(stack.logs / "web.log"):
                all_lent = asyncio.run(a_round(stack, people, chance, is_killed))
            stack.start()
            auditor = signed_in(stack)["sam"]
            for one in all_lent:
                held(auditor, one, tally, is_killed=is_killed)
            number += 1
            print(f"round {number}: {tally}", flush=True)  # noqa: T201 - a long run shows where it is
    finally:
        wire().close()
        wire.cache_clear()
        stack.stop()
    judged(stack)
    assert tally.exact
    assert tally.bounded
    assert tally.crashed
