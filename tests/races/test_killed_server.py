"""Promise 8 the hard way: the server is killed at random moments, and nothing it acknowledged is missing.

A client goes through the journey again and again and notes what the server acknowledged. The server gets `kill -9`, is
started again, and must know every request, review, grant and revocation that it acknowledged, each exactly once, also
where the client repeats the call that was under way. `CRASH_ROUNDS` says how often; moments repeat by seed.
"""

from __future__ import annotations

import os
import random
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx2
import pytest
from tests.fakes.stack import Person, Refused, Stack

ROUNDS = int(os.environ.get("CRASH_ROUNDS", "5"))
SEED = int(os.environ.get("CRASH_SEED", "20261125"))
LONGEST_S = 2.5
LINE = '{"ts":"2026-11-23T09:00:00Z","level":"info","msg":"hello"}\n'


@dataclass
class Ledger:
    """What the server acknowledged, and the calls whose answer never came, or said that nobody knows yet."""

    requests: dict[str, str] = field(default_factory=dict)  # id: digest
    reviews: dict[str, str] = field(default_factory=dict)  # id: request
    grants: dict[str, str] = field(default_factory=dict)  # id: request
    active: set[str] = field(default_factory=set)
    revoked: set[str] = field(default_factory=set)
    unanswered: list[tuple[str, dict[str, Any], str]] = field(default_factory=list)  # route, body, key
    refused: list[str] = field(default_factory=list)


def is_no_answer(error: httpx2.TransportError | Refused) -> bool:
    """Say whether what was asked for may have happened or not; a busy server may say so itself."""
    return isinstance(error, httpx2.TransportError) or error.problem.get("code") == "audit_unavailable"


def journey(alice: Person, bob: Person, ledger: Ledger, stop: threading.Event) -> None:
    """Ask, approve, read, revoke, again and again, until the server is gone."""
    for pending in alice.call("GET", "/requests?mine=true&state=pending&limit=50")["items"]:
        alice.call("POST", f"/requests/{pending['id']}/cancel")
    number = 0
    while not stop.is_set():
        number += 1
        key = f"crash-{time.monotonic_ns()}"
        scope = {"source": "files", "selector": '{service="shop"}', "window": {"lookback_s": 3_600, "live": True}}
        body = {"scopes": [scope], "reason": f"looking at round {number}"}
        try:
            request = alice.create("/requests", body, key=key)
        except (httpx2.TransportError, Refused) as error:
            if is_no_answer(error):
                ledger.unanswered.append(("/requests", body, key))
            raise
        ledger.requests[request["id"]] = request["digest"]
        decided = bob.decide(request)
        ledger.reviews[decided["review"]["id"]] = request["id"]
        grant = decided["request"]["grant"]
        ledger.grants[grant] = request["id"]
        if number % 3:
            list(alice.lines(grant, since="1h"))
            ledger.active.add(grant)
        if number % 2:
            bob.call("POST", f"/grants/{grant}/revoke", {"reason": "over"})
            ledger.revoked.add(grant)


def guarded(alice: Person, bob: Person, ledger: Ledger, stop: threading.Event) -> None:
    try:
        journey(alice, bob, ledger, stop)
    except (httpx2.TransportError, Refused) as error:
        if not is_no_answer(error):
            ledger.refused.append(str(error))


def everything(person: Person, path: str) -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = []
    cursor = ""
    while True:
        page = person.call("GET", f"{path}limit=200{cursor}")
        items += page["items"]
        if "next" not in page:
            return items
        cursor = f"&cursor={page['next']}"


def checked(auditor: Person, alice: Person, ledger: Ledger) -> None:
    requests = {one["id"]: one for one in everything(alice, "/requests?")}
    grants = {one["id"]: one for one in everything(alice, "/grants?")}
    entries = everything(auditor, "/audit/entries?")
    assert [one["index"] for one in entries] == list(range(len(entries) - 1, -1, -1)), "the log has gaps"
    assert len({one["id"] for one in entries}) == len(entries), "an entry is doubled"
    kinds: Counter[tuple[str, str]] = Counter()
    for entry in entries:
        for kind in ("request", "grant", "review"):
            if kind in entry["ref"]:
                kinds[entry["type"], entry["ref"][kind]] += 1
    for name, digest in ledger.requests.items():
        assert requests[name]["digest"] == digest
        assert kinds["request.submitted", name] == 1
    for name, request in ledger.reviews.items():
        assert kinds["review.given", name] == 1
        assert requests[request]["state"] == "approved"
    for name, request in ledger.grants.items():
        assert grants[name]["request"] == request
        assert kinds["grant.scheduled", name] == kinds["request.approved", request] == 1
    for name in ledger.active:
        assert kinds["grant.activated", name] == 1
    for name in ledger.revoked:
        assert grants[name]["state"] == "revoked"
        assert kinds["grant.revoked", name] == 1
    # Nothing is there twice, acknowledged or not.
    once = {
        "request.submitted",
        "request.approved",
        "grant.scheduled",
        "grant.activated",
        "grant.revoked",
        "grant.ended",
    }
    assert not [key for key, count in kinds.items() if key[0] in once and count > 1]


def repeated(alice: Person, ledger: Ledger) -> None:
    """Repeat the calls that were under way, as clients do: whatever was created before is found, not made again."""
    for route, body, key in ledger.unanswered:
        request = alice.create(route, body, key=key)
        again = alice.create(route, body, key=key)
        assert again["id"] == request["id"]
        ledger.requests[request["id"]] = request["digest"]
    ledger.unanswered.clear()


def attempted(act: Callable[[], Any]) -> Any:
    """Repeat what a starting server may still refuse."""
    for _ in range(50):
        try:
            return act()
        except (httpx2.TransportError, Refused):
            time.sleep(0.1)
    return act()


@pytest.mark.attack("FT-01")
def test_nothing_acknowledged_is_lost_or_doubled(tmp_path: Path) -> None:
    chance = random.Random(SEED)  # noqa: S311 - the same moments in every run
    stack = Stack(tmp_path)
    stack.logs.mkdir()
    (stack.logs / "shop.log").write_text(LINE * 200)
    stack.start()
    stack.add("alice")
    stack.add("bob", "approvers")
    ledger = Ledger()
    try:
        for number in range(ROUNDS):
            alice, bob = attempted(lambda: stack.sign_in("alice")), attempted(lambda: stack.sign_in("bob"))
            stop = threading.Event()
            client = threading.Thread(target=guarded, args=(alice, bob, ledger, stop))
            client.start()
            time.sleep(chance.uniform(0, LONGEST_S))
            stack.kill()
            stop.set()
            client.join()
            assert not ledger.refused
            stack.start()
            repeated(attempted(lambda: stack.sign_in("alice")), ledger)
            if number % 10 == 9 or number == ROUNDS - 1:
                checked(stack.sign_in("admin"), stack.sign_in("alice"), ledger)
                print(  # noqa: T201 - a long run shows where it is
                    f"round {number + 1}: {len(ledger.requests)} requests, {len(ledger.revoked)} revoked",
                    flush=True,
                )
        assert len(ledger.requests) >= ROUNDS
        assert ledger.grants
        assert ledger.revoked
    finally:
        stack.stop()
