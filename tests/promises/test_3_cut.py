"""Promise 3, cut: "Revocation and expiry reach open streams … at most 16 KiB in flight afterwards. Losing the database ends
streams, it never extends them." How fast is measured by `bench/`; here nothing is timed.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.fakes.stack import Person, Refused, Stack
from tests.gateway.world import T0, Tail, call, eventually, line, stalled_client, world
from tests.promises.shared import Following, changed, crowd, followed, granted

People = dict[str, Person]
LATER = '{"level":"info","msg":"after the %s"}\n'


def revoked(people: People, grant: str) -> Callable[[], None]:
    people["bob"].call("POST", f"/grants/{grant}/revoke", {"reason": "over"})
    return lambda: None


def suspended(people: People, grant: str) -> Callable[[], None]:
    people["bob"].call("POST", f"/grants/{grant}/suspend", {"reason": "a look"})
    return lambda: None


def returned(people: People, grant: str) -> Callable[[], None]:
    people["alice"].call("POST", f"/grants/{grant}/return")
    return lambda: None


def locked(on: str) -> Callable[[People, str], Callable[[], None]]:
    def lock(people: People, grant: str) -> Callable[[], None]:
        named = on.format(grant=grant, request=people["alice"].call("GET", f"/grants/{grant}")["request"])
        made = people["admin"].create("/locks", {"on": named, "reason": "stop"})
        return lambda: people["erin"].call("POST", f"/locks/{made['id']}/lift", {"reason": "it is over"})

    return lock


def disabled(people: People, grant: str) -> Callable[[], None]:
    me = people["alice"].call("GET", "/me")["principal"]["id"]
    changed(people["admin"], me, enabled=False)
    return lambda: changed(people["admin"], me, enabled=True)


ENDS: dict[str, tuple[Callable[[People, str], Callable[[], None]], str]] = {
    "revocation": (revoked, "revoked"),
    "suspension": (suspended, "suspended"),
    "return": (returned, "ended"),
    "lock on the grant": (locked("grant:{grant}"), "locked"),
    "lock on the request": (locked("request:{request}"), "locked"),
    "lock on the person": (locked("person:alice"), "locked"),
    "lock on the source": (locked("source:files"), "locked"),
    "lock on the policy": (locked("policy:ordinary"), "locked"),
    "lock on everything": (locked("everything"), "locked"),
    "disabled account": (disabled, "locked"),
}


@pytest.mark.attack("RV-01", "RV-09")
@pytest.mark.parametrize("name", ENDS)
def test_each_end_reaches_an_open_tail_for_good(server: Stack, name: str) -> None:
    act, why = ENDS[name]
    people = crowd(server)
    alice = people["alice"]
    grant = granted(alice, people["bob"])
    tail = Following.opened(alice, grant)
    undo = act(people, grant)
    try:
        assert tail.end() == why  # though no line comes that would have to be recorded
        with (server.logs / "shop.log").open("a") as file:
            file.write(LATER % name)
        with pytest.raises(Refused) as refused:
            list(alice.lines(grant, since="1h"))
        assert refused.value.status in (401, 403)
    finally:
        undo()
    assert f"after the {name}" not in str(tail.texts)


def test_a_grant_that_expires_ends_its_tail_by_the_clock(server: Stack) -> None:
    people = crowd(server)
    alice = people["alice"]
    grant = granted(alice, people["bob"], duration_s=1)
    tail = Following(alice, grant)
    assert tail.end() == "expired"
    with pytest.raises(Refused) as refused:
        list(alice.lines(grant, since="1h"))
    assert refused.value.status == 403
    # A session never outlives its grant; it may end a few milliseconds before it, since its deadline only moves forward.
    assert followed(lambda: alice.call("GET", f"/grants/{grant}")["state"] == "ended")


def test_a_revocation_reaches_what_went_on_from_the_grant(server: Stack) -> None:
    people = crowd(server)
    alice, bob = people["alice"], people["bob"]
    grant = granted(alice, bob, duration_s=3)
    tail = Following(alice, grant)
    followed(lambda: alice.call("GET", f"/grants/{grant}")["state"] == "active")
    request = dict(alice.create("/requests", {"extends": grant, "reason": "not found yet"}))
    bob.decide(request)
    extension = alice.grant_of(request)
    assert tail.end() == "expired"  # the old end holds
    shown = followed(lambda: active(alice, extension))
    assert shown["valid_from"] == alice.call("GET", f"/grants/{grant}")["valid_until"]
    tail = Following.opened(alice, extension)
    bob.call("POST", f"/grants/{grant}/revoke", {"reason": "over"})  # the first of the chain, which is over itself
    assert tail.end() == "revoked"
    assert alice.call("GET", f"/grants/{extension}")["state"] == "revoked"


def active(person: Person, grant: str) -> Any:
    shown = person.call("GET", f"/grants/{grant}")
    return shown if shown["state"] == "active" else None


@pytest.mark.parametrize("end", ["revocation", "return"])
def test_nothing_goes_on_from_a_grant_that_ends_early(server: Stack, end: str) -> None:
    people = crowd(server)
    alice, bob = people["alice"], people["bob"]
    grant = granted(alice, bob, duration_s=600)
    alice.call("POST", f"/grants/{grant}/activate")
    request = dict(alice.create("/requests", {"extends": grant, "reason": "not found yet"}))
    bob.decide(request)
    extension = alice.grant_of(request)
    ENDS[end][0](people, grant)
    assert alice.call("GET", f"/grants/{extension}")["state"] in ("ended", "revoked")
    with pytest.raises(Refused) as refused:
        list(alice.lines(extension, since="1h"))
    assert refused.value.status == 403


async def test_no_line_that_came_up_after_the_end_is_handed_over(tmp_path: Path) -> None:
    """The source goes on without a pause; what arrives is exactly what the record says was handed over."""
    async with world(tmp_path) as made:
        grant = await made.grant()
        tail = await Tail.open(made, f"/g/{grant.id}/logs?follow=true&start=0")
        at = 0

        async def write() -> None:
            nonlocal at
            while True:
                at += 1
                made.reader.add(line(T0 + at, f"line {at}", service="a"))
                await asyncio.sleep(0.001)

        writing = asyncio.create_task(write())
        for _ in range(50):
            await tail.next()
        await made.revoke(grant)
        last = at
        answer = await tail.rest()
        await eventually(lambda: at > last + 20)
        writing.cancel()
        assert answer.end == "revoked"
        assert max(int(one.split()[1]) for one in answer.lines) <= last
        closed = (await made.entries("session.closed"))[0]["data"]
        assert closed["total"]["lines"] == len(answer.lines)


@pytest.mark.attack("FT-03", "RV-08")
async def test_losing_the_database_ends_streams_and_opens_none(tmp_path: Path) -> None:
    async with world(tmp_path, lines=[line(T0, "old", service="a")]) as made:
        grant = await made.grant()
        tail = await Tail.open(made, f"/g/{grant.id}/logs?follow=true&start=0")
        await tail.next()
        touch = made.store.touch

        async def hangs(_run: object) -> Any:
            await asyncio.sleep(60)

        made.store.touch = hangs  # type: ignore[method-assign]
        answer = await tail.rest()
        assert answer.end == "database"
        made.reader.add(line(T0 + 1, "unseen", service="a"))
        assert (await call(made, f"/g/{grant.id}/logs?start=0")).status == 503
        made.store.touch = touch  # type: ignore[method-assign]


@pytest.mark.attack("RV-02")
@pytest.mark.parametrize("follow", ["&direction=forward", "&follow=true"])
@pytest.mark.parametrize("crawls", [False, True], ids=["stalled", "crawling"])
async def test_a_slow_reader_gets_little_more_after_the_cut(tmp_path: Path, follow: str, crawls: bool) -> None:
    lines = [line(T0 + n, "x" * 900, service="a") for n in range(5_000)]
    async with world(tmp_path, lines=lines) as made:
        grant = await made.grant()
        client = stalled_client(made, f"/g/{grant.id}/logs?start=0{follow}")
        await eventually(lambda: made.gateway.open_sessions == 1)
        before = 0
        for _ in range(20):
            await asyncio.sleep(0.01)
            if crawls:
                with contextlib.suppress(BlockingIOError):
                    before += len(client.recv(4_096))
        await made.revoke(grant)
        await eventually(lambda: made.gateway.open_sessions == 0)
        after = b""
        with contextlib.suppress(ConnectionResetError):
            while True:
                try:
                    chunk = client.recv(65_536)
                except BlockingIOError:
                    await asyncio.sleep(0.01)
                    continue
                if not chunk:  # closed in order, so all of it was there, its end record included
                    assert b'"reason":"revoked"' in after
                    assert after.endswith(b"\r\n0\r\n\r\n")
                    break
                after += chunk
        client.close()
        # 16 KiB under way, and what the client's own kernel held before.
        assert len(after) <= 16 * 1024 + 16 * 1024
        assert (await made.entries("session.closed"))[0]["data"]["why"] == "revoked"


@pytest.mark.attack("RV-03")
def test_a_revocation_reaches_all_tails_of_a_person_in_one_act(server: Stack) -> None:
    people = crowd(server)
    alice = people["alice"]
    grants = [granted(alice, people["bob"]) for _ in range(3)]
    tails = [Following.opened(alice, grant) for grant in grants for _ in range(2)]
    shown = people["admin"].create("/revocations", {"on": "person:alice", "reason": "gone"})
    assert set(grants) <= set(shown["grants"])
    assert {tail.end() for tail in tails} == {"revoked"}
    closed = followed(lambda: len(_closed(people["sam"], grants)) == 6 and _closed(people["sam"], grants))
    assert {one["data"]["why"] for one in closed} == {"revoked"}


def _closed(auditor: Person, grants: list[str]) -> list[dict[str, Any]]:
    return [
        entry
        for grant in grants
        for entry in auditor.call("GET", f"/audit/entries?grant={grant}&type=session.closed")["items"]
    ]
