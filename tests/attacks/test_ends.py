"""Ends: everywhere, at once, for good. Rows RV of the attack catalogue."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Event

import httpx2
import pytest
from tests.attacks.doors import refusal, started
from tests.fakes.stack import Person, Refused, Stack
from tests.gateway.world import T0, TOKEN, Tail, call, line, world
from tests.promises.shared import Following, crowd, followed, granted, quick
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect


@pytest.mark.attack("RV-05")
def test_rv_05_nothing_that_was_given_out_before_opens_anything_afterwards(server: Stack) -> None:
    people = crowd(server)
    alice, bob = people["alice"], people["bob"]
    grant = granted(alice, bob)
    body = {"kind": "grant", "label": "for curl", "grant": grant, "expires_in_s": 600}
    token = Person(server.url, "alice", alice.create("/tokens", body)["secret"])
    records = list(token.lines(grant, since="1h", limit="3"))
    resume = records[-1]["resume"]
    bob.call("POST", f"/grants/{grant}/revoke", {"reason": "over"})
    with pytest.raises(Refused) as refused:
        list(token.lines(grant, since="1h"))
    assert refused.value.status in (401, 403)
    for who in (alice, token):
        for more in ({}, {"last-event-id": resume}):
            answer = httpx2.get(
                f"{server.url}/g/{grant}/logs?since=1h&limit=3",
                headers=who.headers({"accept": "text/event-stream", **more}),
            )
            assert answer.status_code in (401, 403)
            assert "paid by" not in answer.text
    with pytest.raises(Refused) as refused:
        token.call("GET", f"/grants/{grant}")
    assert refused.value.status == 401
    with pytest.raises(Refused) as refused:
        alice.create("/tokens", body)
    assert refused.value.status in (403, 404, 409)


@pytest.mark.attack("RV-06")
@pytest.mark.parametrize("offset_ms", [-10, 0, 10])
async def test_rv_06_a_line_that_is_ready_at_the_end_or_later_stays(tmp_path: Path, offset_ms: int) -> None:
    async with world(tmp_path, lines=[line(T0, "before", service="a")]) as made:
        # Time stands still, so that neither grant nor lease runs out before it is set to just around the end.
        made.clock.stop()
        await made.watch.poll()
        grant = await made.grant(duration_s=1)
        tail = await Tail.open(made, f"/g/{grant.id}/logs?follow=true&start=0")
        await tail.next()
        assert grant.valid_until is not None
        made.clock.ahead_us += int(grant.valid_until) - int(made.clock.now()) + offset_ms * 1_000
        made.reader.add(line(T0 + 1, "around the end", service="a"))
        if offset_ms < 0:  # such a line may or may not still go out
            await asyncio.sleep(0.02)
            made.clock.ahead_us += 20_000
        answer = await tail.rest()
        assert answer.end == "expired"
        if offset_ms >= 0:
            assert answer.lines == ["before"]
        assert (await call(made, f"/g/{grant.id}/logs?start=0")).status == 403
        closed = (await made.entries("session.closed"))[0]["data"]
        assert closed["total"]["lines"] == len(answer.lines)


@pytest.mark.attack("RV-10")
@pytest.mark.parametrize("end", ["cancelled", "revoked", "denied"])
def test_rv_10_the_last_approval_comes_too_late(server: Stack, end: str) -> None:
    people = crowd(server)
    alice, bob, carol = people["alice"], people["bob"], people["carol"]
    request = alice.ask('{service="pay"}')
    bob.decide(request)
    match end:
        case "cancelled":
            alice.call("POST", f"/requests/{request['id']}/cancel")
        case "revoked":
            people["admin"].create("/revocations", {"on": f"request:{request['id']}", "reason": "no"})
        case _:
            bob.decide(request, "deny", comment="after all: no")
    with pytest.raises(Refused) as refused:
        carol.decide(request)
    assert refusal(refused.value) == (409, "request_not_pending")
    shown = alice.call("GET", f"/requests/{request['id']}")
    assert shown["state"] in ("cancelled", "denied")
    assert "grant" not in shown


@pytest.mark.attack("RV-05")
async def test_rv_05_a_resume_value_is_checked_like_any_call(tmp_path: Path) -> None:
    lines = [line(T0 + n, f"line {n}", service="a") for n in range(9)]
    async with world(tmp_path, lines=lines) as made:
        grant = await made.grant()
        path = f"/g/{grant.id}/logs?start=0&limit=3"
        resume = (await call(made, path)).records[-1]["resume"]
        await made.revoke(grant)
        answers = await asyncio.gather(*(call(made, path, TOKEN, f"Last-Event-ID: {resume}") for _ in range(3)))
        assert {answer.status for answer in answers} == {403}


def _websocket_text(alice: Person, grant: str, opened: Event) -> str:
    url = f"{alice.url.replace('http', 'ws')}/g/{grant}/loki/api/v1/tail?query=%7Bservice%3D%22shop%22%7D"
    with connect(url, additional_headers=alice.headers(), proxy=None) as tail:
        told = ""
        try:
            while True:
                told += str(tail.recv(timeout=60))
                opened.set()
        except ConnectionClosed as closed:
            return f"{told} {closed}"


def _http_text(accept: str) -> Callable[[Person, str, Event], str]:
    def read(alice: Person, grant: str, opened: Event) -> str:
        url = f"{alice.url}/g/{grant}/logs?follow=true&since=1h"
        told = b""
        with httpx2.stream("GET", url, headers=alice.headers({"accept": accept}), timeout=60) as answer:
            try:
                for chunk in answer.iter_raw():
                    told += chunk
                    opened.set()
            except httpx2.TransportError:
                pass
        return told.decode()

    return read


def _command_text(alice: Person, grant: str, opened: Event) -> str:
    process = started(alice, "tail", "--grant", grant, "--since", "1h")
    assert process.stdout is not None
    told = process.stdout.readline()
    opened.set()
    rest, errors = process.communicate(timeout=60)
    return (told + rest + errors).decode()


@pytest.mark.attack("RV-01", "RV-05", "RV-09")
def test_rv_01_a_revocation_ends_what_is_open_at_every_door(server: Stack) -> None:
    people = crowd(server)
    alice, bob = people["alice"], people["bob"]
    grant = granted(alice, bob)
    doors: dict[str, Callable[[Person, str, Event], str]] = {
        "NDJSON": _http_text("application/x-ndjson"),
        "events": _http_text("text/event-stream"),
        "text": _http_text("text/plain"),
        "web socket": _websocket_text,
        "command line": _command_text,
    }
    opened = {name: Event() for name in doors}
    with ThreadPoolExecutor(len(doors)) as pool:
        reads = {name: pool.submit(read, alice, grant, opened[name]) for name, read in doors.items()}
        for name, event in opened.items():
            assert event.wait(60), (name, reads[name])
        bob.call("POST", f"/grants/{grant}/revoke", {"reason": "over"})
        with (server.logs / "shop.log").open("a") as file:
            file.write('{"level":"info","msg":"after-every-door"}\n')
        told = {name: read.result(60) for name, read in reads.items()}
    for name, text in told.items():
        assert "paid by" in text, name
        assert "revoked" in text, (name, text[-500:])
        assert "after-every-door" not in text, name
    ended = followed(
        lambda: [
            one["data"]["why"]
            for one in people["sam"].call("GET", f"/audit/entries?grant={grant}&type=session.closed")["items"]
        ][len(doors) - 1 :]
    )
    assert set(ended) == {"revoked"}


BY_NAME = (
    "grant:{grant}",
    "request:{request}",
    "principal:{principal}",
    "person:ruth",
    "group:night-shift",
    "policy:ordinary",
    "source:files",
    "everything",
)


@pytest.mark.attack("RV-09")
@pytest.mark.parametrize("on", BY_NAME)
@pytest.mark.parametrize("act", ["revocations", "locks"])
def test_rv_09_every_name_ends_what_it_covers_and_nothing_brings_it_back(server: Stack, act: str, on: str) -> None:
    people = crowd(server)
    admin = people["admin"]
    ruth = quick(server.sign_in("ruth") if "ruth" in server.passwords else server.add("ruth", "night-shift"))
    request = ruth.ask()
    people["bob"].decide(request)
    grant = ruth.grant_of(request)
    names = {"grant": grant, "request": request["id"], "principal": ruth.call("GET", "/me")["principal"]["id"]}
    tail = Following.opened(ruth, grant)
    body = {"on": on.format(**names), "reason": "a look at it"}
    made = admin.create(f"/{act}", body)
    try:
        assert tail.end() in ("revoked", "locked")
        with pytest.raises(Refused) as refused:
            list(ruth.lines(grant, since="1h"))
        assert refused.value.status in (401, 403)
    finally:
        if act == "locks":
            people["erin"].call("POST", f"/locks/{made['id']}/lift", {"reason": "it is over"})
    ruth = quick(server.sign_in("ruth"))
    if act == "revocations":
        assert ruth.call("GET", f"/grants/{grant}")["state"] == "revoked"
        with pytest.raises(Refused) as refused:
            list(ruth.lines(grant, since="1h"))
        assert refused.value.status == 403
    else:
        assert next(iter(ruth.lines(grant, since="1h")))["type"] == "line"
        ruth.call("POST", f"/grants/{grant}/return")
