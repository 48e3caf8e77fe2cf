"""Audit and accounting: no record, no line; exact sums. Rows AD of the attack catalogue."""

from __future__ import annotations

import json
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from tests.attacks.doors import command, sent
from tests.fakes.stack import Refused, Stack
from tests.gateway.world import T0, TOKEN, Tail, call, line, world
from tests.promises.shared import crowd, followed, granted
from websockets.sync.client import connect

from loglease.model.limits import Limits
from loglease.store.sqlite_library import running_library

SQLITE = running_library().module


@pytest.mark.attack("AD-01")
@pytest.mark.sqlite
def test_ad_01_a_log_that_cannot_be_written_serves_nothing_and_heals(server: Stack) -> None:
    people = crowd(server)
    alice = people["alice"]
    grant = granted(alice, people["bob"])
    alice.call("POST", f"/grants/{grant}/activate")
    with closing(SQLITE.connect(str(server.folder / "data" / "loglease.db"), isolation_level=None)) as foreign:
        foreign.execute("BEGIN IMMEDIATE")
        for _ in range(2):
            answer = sent(alice, "GET", f"/g/{grant}/logs?since=1h")
            assert answer.status_code == 503
            assert "paid by" not in answer.text
        foreign.execute("ROLLBACK")

    def healed() -> bool:
        try:
            return [one["type"] for one in alice.lines(grant, since="1h", limit="1")] == ["line", "end"]
        except Refused as refused:
            assert refused.status == 503
            return False

    assert followed(healed)
    opened = people["sam"].call("GET", f"/audit/entries?grant={grant}&type=session.opened")["items"]
    assert len(opened) == 1


TEXTS = ["", "one\ntwo", "again", "again", "x" * 9_000, "é\x1b[31m", " ", "again"]


@pytest.mark.attack("AD-06")
@pytest.mark.parametrize("accept", ["application/x-ndjson", "text/event-stream", "text/plain"])
@pytest.mark.parametrize("follow", [False, True], ids=["query", "tail"])
async def test_ad_06_what_is_recorded_is_what_a_client_counts(tmp_path: Path, accept: str, follow: bool) -> None:
    lines = [line(T0 + n, text, service="a") for n, text in enumerate(TEXTS * 5)]
    async with world(tmp_path, lines=lines) as made:
        grant = await made.grant(limits=Limits(tails=5))
        path = f"/g/{grant.id}/logs?start=0&direction=forward"
        if follow:
            tail = await Tail.open(made, f"{path}&follow=true&limit={len(lines)}", f"Accept: {accept}")
            body = (await tail.rest()).body
        else:
            body = (await call(made, path, TOKEN, f"Accept: {accept}")).body
        counted = body.count(b'"type":"line"') if "plain" not in accept else len(body.split(b"\n")) - 2
        closed = (await made.entries("session.closed"))[0]["data"]
        assert counted == len(lines)
        assert closed["total"]["lines"] == closed["settled"]["lines"] == counted
        end = body.rindex(b'{"type":"end"') if accept.endswith("ndjson") else None
        if end is not None:
            assert closed["total"]["bytes"] == end
        assert closed["uncertain"] == {"lines": 0, "bytes": 0}
        assert (await made.stored_grant(grant)).usage.lines == counted


@pytest.mark.attack("AD-06")
async def test_ad_06_reconnecting_counts_each_line_once(tmp_path: Path) -> None:
    lines = [line(T0 + n // 3, text, service="a") for n, text in enumerate(TEXTS * 5)]
    async with world(tmp_path, lines=lines) as made:
        grant = await made.grant()
        path = f"/g/{grant.id}/logs?start=0&direction=forward&limit=7"
        resume: tuple[str, ...] = ()
        got: list[str] = []
        while found := (answer := await call(made, path, TOKEN, *resume)).lines:
            got += found
            resume = (f"Last-Event-ID: {answer.records[-1]['resume']}",)
        assert len(got) == len(lines)
        totals = [one["data"]["total"]["lines"] for one in await made.entries("session.closed")]
        assert sum(totals) == len(got)
        assert (await made.stored_grant(grant)).usage.lines == len(got)


@pytest.mark.attack("AD-08")
@pytest.mark.sqlite
def test_ad_08_entries_take_no_verb_that_changes_and_no_sql(server: Stack) -> None:
    people = crowd(server)
    admin = people["admin"]
    newest = admin.call("GET", "/audit/entries?limit=1")["items"][0]
    for path in ("/api/v1/audit/entries", f"/api/v1/audit/entries/{newest['id']}"):
        for method in ("POST", "PUT", "PATCH", "DELETE"):
            assert sent(admin, method, path, json={}).status_code in (404, 405)
    with closing(SQLITE.connect(str(server.folder / "data" / "loglease.db"), isolation_level=None, timeout=10)) as hand:
        for statement in ("UPDATE entries SET bytes = x'00'", "DELETE FROM entries", "DELETE FROM seq_head"):
            with pytest.raises(SQLITE.IntegrityError):
                hand.execute(statement)


@pytest.mark.attack("AD-05")
def test_ad_05_text_that_looks_like_a_record_is_one_entry(server: Stack) -> None:
    people = crowd(server)
    forged = '"}\r\n{"type":"grant.scheduled","actor":"sub_nobody"}\u202e'
    request = people["alice"].ask(reason=forged)
    entries = people["sam"].call("GET", f"/audit/entries?request={request['id']}")["items"]
    assert sorted(one["type"] for one in entries) == ["offer.made", "request.submitted"]
    assert "sub_nobody" not in json.dumps(entries)


@pytest.mark.attack("AD-06")
def test_ad_06_every_door_is_charged_what_it_gave(server: Stack) -> None:
    people = crowd(server)
    alice, bob = people["alice"], people["bob"]

    def closed_sessions(grant: str) -> list[dict[str, Any]]:
        return list(people["sam"].call("GET", f"/audit/entries?grant={grant}&type=session.closed")["items"])

    def by_command(grant: str) -> int:
        done = command(alice, "logs", "--grant", grant, "--since", "1h", "--limit", "23", "--output", "json")
        assert done.returncode == 0, done.stderr
        return len([one for one in map(json.loads, done.stdout.splitlines()) if "line" in one])

    def by_loki(grant: str) -> int:
        url = f"/g/{grant}/loki/api/v1/query_range?query=%7Bservice%3D%22web%22%7D&limit=31"
        return sum(len(one["values"]) for one in sent(alice, "GET", url).json()["data"]["result"])

    def by_socket(grant: str) -> int:
        url = f"{alice.url.replace('http', 'ws')}/g/{grant}/loki/api/v1/tail?query=%7B%7D&limit=17"
        with connect(url, additional_headers=alice.headers(), proxy=None) as tail:
            received = 0
            while received < 17:
                received += sum(len(one["values"]) for one in json.loads(tail.recv(timeout=20))["streams"])
            return received

    for door in (by_command, by_loki, by_socket):
        grant = granted(alice, bob, '{service="web"}')
        received = door(grant)
        assert received > 0, door
        closed = followed(partial(closed_sessions, grant))
        assert sum(one["data"]["total"]["lines"] for one in closed) == received, door
        assert alice.call("GET", f"/grants/{grant}")["spent"]["lines"] == received, door
