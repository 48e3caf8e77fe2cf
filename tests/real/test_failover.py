"""Promises 3, 6 and 8 where the database goes on from an earlier moment, under three servers that run.

What is lost is what the standby did not have. The servers find that out by themselves: they serve nothing before it is on the
record, what was revoked stays so, and no other grant goes on before somebody has said so.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import httpx2
import pytest
from tests.fakes.replicas import Cluster, cluster
from tests.fakes.stack import Person, Refused
from tests.promises.shared import granted
from tests.races.test_killed_server import attempted
from tests.real.test_postgres_faults import wait_until
from tests.real.test_replicas import WEB, entries, judged, tails

pytestmark = pytest.mark.real_foreign


@pytest.fixture
def three(tmp_path: Path) -> Iterator[Cluster]:
    with cluster(tmp_path) as found:
        yield found


def read(person: Person, grant: str) -> str:
    """Return how a query of a grant ends."""
    try:
        records = list(person.lines(grant, WEB, since="1h", limit="10"))
    except httpx2.TransportError:
        return "reset"
    except Refused as error:
        return str(error.problem["code"])
    return str(next(one["reason"] for one in records if one["type"] == "end"))


def known(person: Person, of_type: str) -> list[dict[str, Any]]:
    """Return entries of a type as soon as a server answers; none where it does not."""
    try:
        return entries(person, of_type=of_type)
    except (Refused, httpx2.TransportError):
        return []


@pytest.mark.parametrize("promoted", [True, False])
def test_a_failover_that_lost_a_revocation(three: Cluster, tmp_path: Path, *, promoted: bool) -> None:
    alice, bob = (three[0].sign_in(name) for name in ("alice", "bob"))
    revoked, other = granted(alice, bob, WEB), granted(alice, bob, WEB)
    assert read(alice, revoked) == read(alice, other) == "complete"
    three.database.keep(tmp_path / "kept")
    wait_until(lambda: {read(three.on(number, alice), other) for number in range(3)} == {"complete"})
    attempted(lambda: three.on(1, bob).call("POST", f"/grants/{revoked}/revoke", {"reason": "over"}))
    opened = tails(three, other)
    three.database.fail_over(tmp_path / "kept", promoted=promoted)
    wait_until(lambda: all(one.why for one in opened))
    wait_until(lambda: (sam := signed_in(three, "sam")) is not None and known(sam, "log.restored"), within_s=90)
    for number in range(3):
        wait_until(partial(has_answer, three, number, revoked, "grant_ended"), within_s=90)
        assert reads(three, number, other) == "grant_not_active"
    bob, alice, sam = (three[0].sign_in(name) for name in ("bob", "alice", "sam"))
    assert len(known(sam, "grant.revoked")) == 1
    three.on(2, bob).call("POST", f"/grants/{other}/resume", {"reason": "it is still needed"})
    assert {read(three.on(number, alice), other) for number in range(3)} == {"complete"}
    judged(three)


def test_a_failover_that_lost_nothing_ends_streams_and_no_grant(three: Cluster) -> None:
    alice, bob, sam = (three[0].sign_in(name) for name in ("alice", "bob", "sam"))
    grant = granted(alice, bob, WEB)
    opened = tails(three, grant)
    three.database.fail_over(None)
    wait_until(lambda: all(one.why for one in opened))
    for number in range(3):
        wait_until(partial(has_answer, three, number, grant, "complete"), within_s=90)
    assert not known(sam, "log.restored")
    judged(three)


def reads(servers: Cluster, number: int, grant: str) -> str:
    """Return how alice's query ends on a server at which she signs in anew."""
    try:
        return read(servers[number].sign_in("alice"), grant)
    except (Refused, httpx2.TransportError):
        return ""


def has_answer(servers: Cluster, number: int, grant: str, wanted: str) -> bool:
    return reads(servers, number, grant) == wanted


def signed_in(servers: Cluster, name: str) -> Person | None:
    try:
        return servers[0].sign_in(name)
    except (Refused, httpx2.TransportError):
        return None
