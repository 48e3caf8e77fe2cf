"""Promises 1, 3, 5 and 6 on a machine whose clock steps: what is open ends when it would have ended, what is revoked ends at
once, nothing begins, and whoever reads the log sees that and would see if it were otherwise.
"""

from __future__ import annotations

import io
import json
import re
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx2
import pytest
from tests.fakes.stack import NO_TLS, Person, Refused, Stack
from tests.promises.shared import LINE, Following, crowd, followed, granted, populated

from loglease.audit.entry import entry_of
from loglease.audit.semantic import Inputs, check
from loglease.cli.main import run_command
from loglease.model.instant import after, parse_instant
from loglease.server.clock import SystemClock
from loglease.store.sqlite_library import running_library

HOUR_S = 3_600


@pytest.fixture
def stepped(tmp_path: Path) -> Iterator[Stack]:
    """Serve on a machine whose wall clock the test sets."""
    stack = populated(tmp_path, stepped_clock=True)
    yield stack
    stack.stop()


def entries(admin: Person, *types: str) -> list[dict[str, Any]]:
    """Return entries of some types in order."""
    found = [one for name in types for one in admin.call("GET", f"/audit/entries?type={name}&limit=200")["items"]]
    return sorted(found, key=lambda one: int(one["index"]))


def ready(stack: Stack) -> tuple[int, dict[str, Any]]:
    """Return what the health listener says, and its check of the clock."""
    url = re.search(r"^Health +(http\S+)$", (stack.folder / "stdout.log").read_text(), re.MULTILINE)
    assert url is not None
    answer = httpx2.get(url[1], timeout=60, verify=NO_TLS)
    return answer.status_code, next(one for one in answer.json()["checks"] if one["name"] == "clock")


def refused(person: Person, grant: str) -> None:
    """Check that a grant cannot be used, and why."""
    with pytest.raises(Refused) as error:
        list(person.lines(grant, since="1h"))
    assert (error.value.status, error.value.problem["code"]) == (503, "clock_suspect")


def suspects(stack: Stack, admin: Person, count: int, seconds: float) -> dict[str, Any]:
    """Let the clock step, and return the entry about it."""
    stack.step(seconds)
    followed(lambda: len(entries(admin, "clock.suspect")) == count)
    return dict(entries(admin, "clock.suspect")[-1]["data"])


def trusts(stack: Stack, admin: Person, count: int) -> None:
    stack.step(0)
    followed(lambda: len(entries(admin, "clock.trusted")) == count)
    followed(lambda: ready(stack)[0] == 200)


def verified(stack: Stack) -> list[bytes]:
    """Check the published log by its files and the public key alone; return its entries."""
    log, out = stack.folder / "data" / "log", io.StringIO()
    database = stack.folder / "data" / "loglease.db"
    with closing(running_library().module.connect(f"file:{database}?mode=ro", uri=True)) as connection:
        rows = [bytes(row[0]) for row in connection.execute("SELECT bytes FROM entries ORDER BY idx")]
    key = json.loads(rows[0])["data"]["vkey"]
    told = ["audit", "verify", str(log), "--key", key, "--semantic"]
    code = run_command(told, environment={}, stdin=io.StringIO(), stdout=out, stderr=out)
    assert (code, "27 checked, 27 hold" in out.getvalue()) == (0, True), out.getvalue()
    return rows


def test_a_clock_that_steps_lets_nothing_begin_lengthens_nothing_and_stops_no_revocation(stepped: Stack) -> None:
    stack, people = stepped, crowd(stepped)
    alice, bob, admin = people["alice"], people["bob"], people["admin"]
    scheduled, cut, kept = (granted(alice, bob) for _ in range(3))
    tails = {grant: Following.opened(alice, grant) for grant in (cut, kept)}

    data = suspects(stack, admin, 1, -HOUR_S)
    assert (data["check"], abs(data["skew_ms"] + HOUR_S * 1_000) < 5_000) == ("boot", True)
    refused(alice, kept)
    refused(alice, scheduled)
    with pytest.raises(Refused) as error:
        alice.call("POST", f"/grants/{scheduled}/activate")
    assert error.value.problem["code"] == "clock_suspect"
    assert ready(stack)[0] == 503
    assert "s back" in ready(stack)[1]["detail"]
    seen = len(tails[kept].texts)
    with (stack.logs / "shop.log").open("a") as file:
        file.write(LINE)
    tails[kept].has(seen + 1)
    while_suspect = granted(alice, bob)  # asking and approving go on
    bob.call("POST", f"/grants/{cut}/revoke", {"reason": "over"})
    assert tails[cut].end() == "revoked"
    trusts(stack, admin, 1)
    assert list(alice.lines(while_suspect, since="1h"))

    assert suspects(stack, admin, 2, HOUR_S)["skew_ms"] > 0
    refused(alice, kept)
    assert "s ahead" in ready(stack)[1]["detail"]
    trusts(stack, admin, 2)
    assert alice.call("POST", f"/grants/{scheduled}/activate")["state"] == "active"
    bob.call("POST", f"/grants/{kept}/revoke", {"reason": "over"})
    assert tails[kept].end() == "revoked"
    newest = parse_instant(admin.call("GET", "/audit/entries?limit=1")["items"][0]["at"])
    assert newest < after(SystemClock().now(), HOUR_S // 2)  # no record has the wild time

    assert stack.stop() == 0
    log = verified(stack)
    trusted = [number for number, one in enumerate(log) if entry_of(one).draft.type == "clock.trusted"]
    planted = [one for number, one in enumerate(log) if number != trusted[0]]
    assert check(enumerate(planted), Inputs()).broken == {"S13"}


def test_after_a_restart_nothing_begins_until_the_clock_is_trusted(stepped: Stack) -> None:
    stack, people = stepped, crowd(stepped)
    grant = granted(people["alice"], people["bob"])
    list(people["alice"].lines(grant, since="1h"))
    suspects(stack, people["admin"], 1, -HOUR_S)
    for end in (stack.stop, stack.kill):
        end()
        stack.start()
        refused(stack.sign_in("alice"), grant)
        assert ready(stack)[0] == 503
    alice, admin = stack.sign_in("alice"), stack.sign_in("admin")
    trusts(stack, admin, 1)
    assert list(alice.lines(grant, since="1h"))
    assert len(entries(admin, "clock.suspect")) == 1
    assert stack.stop() == 0
    verified(stack)
