from __future__ import annotations

import asyncio
import io
import itertools
import json
import os
import re
import resource
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx2
import orjson
import pytest
import uvicorn
from tests.api.world import PASSWORD, WISH, settings_in

from loglease.audit.interface import AuditUnavailable
from loglease.audit.sequencer import Sequencer
from loglease.gateway.arrivals import Arrivals
from loglease.model.ids import GrantId
from loglease.redaction import Withheld
from loglease.server.engines import RedactorBroken
from loglease.server.identity.secrets import new_secret
from loglease.server.local import announce, doctor, findings
from loglease.server.process import Ready, arrivals_of, listening, serving
from loglease.server.settings import Address, LimitSettings, SettingsInvalid, load_settings
from loglease.server.wiring import build

SERVE = """
import sys
from pathlib import Path
from loglease.server.local import serve
sys.exit(serve(data_dir=Path(sys.argv[1]), listen='127.0.0.1:0', health='127.0.0.1:0'))
"""


@contextmanager
def served(directory: Path) -> Iterator[tuple[subprocess.Popen[str], dict[str, str]]]:
    """Run `loglease serve` in a process of its own; give it and what it printed."""
    process = subprocess.Popen(
        [sys.executable, "-c", SERVE, str(directory)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout is not None
        printed: dict[str, str] = {}
        while "Next" not in printed:
            line = process.stdout.readline()
            assert line, process.stderr.read() if process.stderr else ""
            name, _, rest = line.strip().partition(" ")
            printed[name] = rest.strip()
        yield process, printed
    finally:
        if process.poll() is None:
            process.kill()
        process.communicate()


def entries_of(url: str, headers: dict[str, str], entry_type: str) -> list[dict[str, Any]]:
    with httpx2.Client(base_url=f"{url}/api/v1", trust_env=False, headers=headers) as client:
        items: list[dict[str, Any]] = client.get(f"/audit/entries?type={entry_type}&limit=200").json()["items"]
    return items[::-1]


def sign_in(url: str, password: str) -> dict[str, str]:
    with httpx2.Client(base_url=f"{url}/api/v1", trust_env=False) as client:
        answer = client.post("/sign-in", json={"account": "admin", "password": password})
    assert answer.status_code == 200, answer.text
    return {"Authorization": f"Bearer {answer.json()['access_token']}"}


@pytest.mark.attack("FT-05")
def test_serve_says_where_it_is_starts_stops_and_remembers_a_crash(tmp_path: Path) -> None:
    data = tmp_path / "data"
    with served(data) as (process, printed):
        assert printed["Data"] == str(data)
        assert "admin, password in" in printed["Login"]
        secret = data / "admin-password"
        assert secret.stat().st_mode & 0o777 == 0o600
        password = secret.read_text().strip()
        headers = sign_in(printed["Address"], password)
        assert not secret.exists()
        assert [one["index"] for one in entries_of(printed["Address"], headers, "service.started")] == [0]
        health = httpx2.get(printed["Health"], trust_env=False)
        assert (health.status_code, health.json()["status"]) == (200, "ready")
        assert httpx2.get(printed["Health"].replace("readyz", "healthz"), trust_env=False).status_code == 200
        assert httpx2.get(f"{printed['Address']}/readyz", trust_env=False).status_code != 200
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=30) == 0
    with served(data) as (process, printed):
        assert "Login" not in printed
        command = [sys.executable, "-c", SERVE, str(data)]
        second = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
        assert (second.returncode, second.stderr.partition(" ")[0]) == (2, "error:")
        assert "Traceback" not in second.stderr
        process.kill()
        process.wait(timeout=10)
    with served(data) as (process, printed):
        headers = sign_in(printed["Address"], password)
        after = [one["data"]["after"] for one in entries_of(printed["Address"], headers, "service.started")]
        assert after == ["none", "stop", "crash"]
        assert len(entries_of(printed["Address"], headers, "service.stopped")) == 1
        assert len(entries_of(printed["Address"], headers, "policy.loaded")) == 1
        assert [path.name for path in data.iterdir() if path.stat().st_mode & 0o077] == []


def test_an_address_in_use_is_refused_with_a_remedy() -> None:
    with listening(Address("127.0.0.1", 0)) as taken:
        address = Address("127.0.0.1", taken.getsockname()[1])
        with pytest.raises(SettingsInvalid, match=f"{address} cannot be listened on") as refused:
            listening(address)
        assert "--listen" in str(refused.value.next_step)
        with pytest.raises(SettingsInvalid) as of_health:
            listening(address, "--health")
        assert "--health" in str(of_health.value.next_step)


@pytest.mark.parametrize("below", ["", "below"])
async def test_a_data_directory_that_is_a_file_is_named(tmp_path: Path, below: str) -> None:
    place = tmp_path / "file"
    place.write_text("")
    settings = load_settings(overrides={"data_dir": str(place / below)}, environment={})
    with pytest.raises(SettingsInvalid, match=f"The data directory {place / below} cannot be made") as refused:
        await build(settings)
    assert "--data-dir" in str(refused.value.next_step)


async def journey(ready: Ready) -> tuple[httpx2.AsyncClient, dict[str, dict[str, str]], str]:
    """Return a client, people who are signed in, and an approved grant of alice."""
    client = httpx2.AsyncClient(base_url=f"{ready.url}/api/v1", trust_env=False)
    numbers = iter(range(1_000))

    def key() -> dict[str, str]:
        return {"Idempotency-Key": f"k{next(numbers)}"}

    async def posted(path: str, body: Any, headers: dict[str, str] | None = None) -> httpx2.Response:
        """Call, and again after the time that the server names: a disk may take longer than it waits for the record."""
        for _ in range(20):
            answer = await client.post(path, json=body, headers=headers)
            if answer.status_code != 503:
                break
            await asyncio.sleep(float(answer.headers["retry-after"]))
        return answer

    async def tokens(account: str, password: str) -> dict[str, str]:
        answer = await posted("/sign-in", {"account": account, "password": password})
        return {"Authorization": f"Bearer {answer.json()['access_token']}"}

    assert ready.admin_password is not None
    people = {"admin": await tokens("admin", ready.admin_password)}
    for name, groups in (("alice@example.com", []), ("bob@example.com", ["approvers"])):
        body = {"account": name, "password": PASSWORD, "groups": groups}
        assert (await posted("/principals", body, {**people["admin"], **key()})).status_code == 201
        people[name.partition("@")[0]] = await tokens(name, PASSWORD)
    wish = {**WISH, "scopes": [{**WISH["scopes"][0], "window": {"lookback_s": 3_600, "live": True}}]}
    request = (await posted("/requests", wish, {**people["alice"], **key()})).json()
    review = await posted(
        f"/requests/{request['id']}/reviews",
        {"verdict": "approve"},
        {**people["bob"], **key(), "If-Match": f'"{request["digest"]}"'},
    )
    return client, people, str(review.json()["grant"])


async def test_what_was_recorded_too_late_for_its_answer_is_found_by_its_key(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    commit, calls = Sequencer.commit, itertools.count()

    async def late(log: Sequencer[Any], work: Any, **how: Any) -> Any:
        result = await commit(log, work, **how)
        if started and next(calls) % 2 == 0:
            too_late = AuditUnavailable("It was not on the record in time.")
            too_late.retry_after_s = 0  # type: ignore[attr-defined]
            raise too_late
        return result

    monkeypatch.setattr(Sequencer, "commit", late)
    started = False
    async with serving(settings_in(tmp_path)) as ready:
        started = True
        client, people, grant = await journey(ready)
        started = False
        assert next(calls) >= 12, "the journey has six calls, and each was made twice"
        found = (await client.get("/grants", headers=people["alice"])).json()["items"]
        assert [one["id"] for one in found] == [grant]
        entries = (await client.get("/audit/entries?type=request.submitted", headers=people["admin"])).json()["items"]
        assert len(entries) == 1
        await client.aclose()


async def test_an_accepted_connection_sends_without_delay() -> None:
    accepted: asyncio.Future[int] = asyncio.get_running_loop().create_future()

    def look(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        found = writer.get_extra_info("socket")
        accepted.set_result(found.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))
        writer.close()

    listener = listening(Address("127.0.0.1", 0))
    async with await asyncio.start_server(look, sock=listener):
        _, writer = await asyncio.open_connection(*listener.getsockname())
        assert await accepted
        writer.close()


async def test_a_revocation_cuts_a_tail_and_says_so_and_events_tell_of_it(tmp_path: Path) -> None:
    settings = settings_in(tmp_path)
    logs = settings.data_dir / "logs"
    settings.data_dir.mkdir(mode=0o700)
    logs.mkdir(mode=0o700)
    async with serving(settings) as ready:
        client, people, grant = await journey(ready)
        seen: list[str] = []
        lines: list[dict[str, Any]] = []
        opened = asyncio.Event()

        async def tail() -> None:
            headers = {**people["alice"], "Accept": "application/x-ndjson"}
            async with client.stream("GET", f"{ready.url}/g/{grant}/logs?follow=true", headers=headers) as stream:
                assert stream.status_code == 200
                async for line in stream.aiter_lines():
                    lines.append(orjson.loads(line))
                    opened.set()

        async def events() -> None:
            async with client.stream("GET", "/events?types=grant.revoked", headers=people["alice"]) as stream:
                async for line in stream.aiter_lines():
                    seen.append(line)
                    if line.startswith("data: "):
                        return

        async with asyncio.timeout(30), asyncio.TaskGroup() as group:
            tailing = group.create_task(tail())
            following = group.create_task(events())
            (logs / "pay-api.log").write_text(f"{_now()} error for bob@example.com\n")
            await opened.wait()
            revoked = await client.post(f"/grants/{grant}/revoke", json={"reason": "over"}, headers=people["bob"])
            assert revoked.status_code == 200
            assert len(revoked.json()["sessions_ended"]) == 1
            assert revoked.json()["sessions_ending"] == []
            await tailing
            await following
        assert "bob@example.com" not in lines[0]["line"]
        assert lines[-1]["reason"] == "revoked"
        event = json.loads(seen[-1].removeprefix("data: "))
        assert (event["type"], event["resource"]) == ("grant.revoked", f"/api/v1/grants/{grant}")
        await client.aclose()


def _now() -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())


@pytest.mark.attack("AU-08")
async def test_the_viewer_reads_with_a_code_and_its_cookie_once(tmp_path: Path) -> None:
    async with serving(settings_in(tmp_path)) as ready:
        client, _, grant = await journey(ready)
        services = ready.services
        signed = await services.sign_ins.web_sign_in("alice@example.com", PASSWORD, address="local")
        cookie = signed.cookie.text()
        known = await services.credentials.cookie(cookie)

        async def code() -> str:
            made = await services.tokens.viewer_code(GrantId(grant), caller=known.caller, cookie=known.token)
            return made.text()

        first = await code()
        own = {"Cookie": f"loglease={cookie}", "Sec-Fetch-Site": "same-origin"}
        address = f"{ready.url}/g/{grant}/logs"
        for headers, status in (
            ({"Authorization": f"Bearer {first}", **own}, 200),
            ({"Authorization": f"Bearer {first}", **own}, 401),
            ({"Authorization": f"Bearer {await code()}"}, 401),
            ({"Authorization": f"Bearer {await code()}", **own, "Sec-Fetch-Site": "cross-site"}, 403),
            ({"Authorization": f"Bearer {await code()}", **own, "Host": "evil.example"}, 403),
            ({"Authorization": f"Bearer {await code()}", **own, "Origin": "https://evil.example"}, 403),
            (own, 401),
        ):
            assert (await client.get(address, headers=headers)).status_code == status, headers
        await client.aclose()


class Following:
    """A tail that somebody reads."""

    def __init__(self, client: httpx2.AsyncClient, address: str, headers: dict[str, str]) -> None:
        self.opened = asyncio.Event()
        self.records: list[dict[str, Any]] = []
        self._reading = asyncio.create_task(self._read(client, address, headers))

    async def _read(self, client: httpx2.AsyncClient, address: str, headers: dict[str, str]) -> None:
        async with client.stream("GET", address, headers=headers, timeout=30) as stream:
            assert stream.status_code == 200
            async for line in stream.aiter_lines():
                self.records.append(orjson.loads(line))
                self.opened.set()

    async def end(self) -> str:
        async with asyncio.timeout(20):
            await self._reading
        return str(self.records[-1]["reason"])

    @property
    def ended(self) -> bool:
        return self._reading.done()


async def test_signing_out_cuts_what_that_sign_in_opened_and_nothing_else(tmp_path: Path) -> None:
    async with serving(settings_in(tmp_path)) as ready:
        client, people, grant = await journey(ready)
        services = ready.services
        (services.data_dir / "logs" / "pay-api.log").write_text(f"{_now()} one line\n")
        address = f"{ready.url}/g/{grant}/logs?follow=true&since=1h"
        body = {"account": "alice@example.com", "password": PASSWORD}
        pair = (await client.post("/sign-in", json=body)).json()
        web = await services.sign_ins.web_sign_in("alice@example.com", PASSWORD, address="local")
        known = await services.credentials.cookie(web.cookie.text())
        code = await services.tokens.viewer_code(GrantId(grant), caller=known.caller, cookie=known.token)
        own = {"Cookie": f"loglease={web.cookie.text()}", "Sec-Fetch-Site": "same-origin"}
        label = {"label": "ci", "rights": ["logs.read"], "expires_in_s": 600}
        headers = {**people["alice"], "Idempotency-Key": "ci"}
        token = (await client.post("/tokens", json=label, headers=headers)).json()
        tails = {
            "kept": Following(client, address, people["alice"]),
            "cli": Following(client, address, {"Authorization": f"Bearer {pair['access_token']}"}),
            "viewer": Following(client, address, {"Authorization": f"Bearer {code.text()}", **own}),
            "token": Following(client, address, {"Authorization": f"Bearer {token['secret']}"}),
        }
        async with asyncio.timeout(20):
            for tail in tails.values():
                await tail.opened.wait()
        # Signing out comes with the newest token of the sign-in; the tail was opened with its first one.
        newer = (await client.post("/refresh", json={"refresh_token": pair["refresh_token"]})).json()
        out = await client.post("/sign-out", headers={"Authorization": f"Bearer {newer['access_token']}"})
        assert out.status_code == 204
        assert await tails["cli"].end() == "revoked"
        await services.sign_ins.sign_out(known.caller)
        assert await tails["viewer"].end() == "revoked"
        assert (await client.delete(f"/tokens/{token['token']['id']}", headers=people["alice"])).status_code == 204
        assert await tails["token"].end() == "revoked"
        assert not tails["kept"].ended
        await client.post("/sign-out", headers=people["alice"])
        assert await tails["kept"].end() == "revoked"
        await client.aclose()


def test_places_for_connections_are_what_is_set_or_what_there_are_descriptors_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for descriptors, most in ((4_096, 3_840), (256, 128), (resource.RLIM_INFINITY, None)):
        monkeypatch.setattr(resource, "getrlimit", lambda _, found=descriptors: (found, found))
        assert arrivals_of(LimitSettings()) == Arrivals(most=most, most_of_one=200)
    chosen = LimitSettings(connections=50, connections_per_address=7)
    assert arrivals_of(chosen) == Arrivals(most=50, most_of_one=7)
    assert arrivals_of(LimitSettings(enforced=False)) == Arrivals()


async def test_one_address_does_not_take_all_connections_of_a_server(tmp_path: Path) -> None:
    async with serving(settings_in(tmp_path, limits={"enforced": True, "connections_per_address": 2})) as ready:
        host, _, port = ready.url.removeprefix("http://").partition(":")
        held = [await asyncio.open_connection(host, int(port)) for _ in range(2)]
        reader, writer = await asyncio.open_connection(host, int(port))
        async with asyncio.timeout(20):
            assert (await reader.read()).startswith(b"HTTP/1.1 503")
        answer = await asyncio.to_thread(httpx2.get, f"{ready.health_url}/healthz", trust_env=False)
        assert answer.status_code == 200
        for one in (*(other for _, other in held), writer):
            one.close()


async def test_the_gateway_slows_down_who_guesses_and_nobody_else(tmp_path: Path) -> None:
    async with serving(settings_in(tmp_path)) as ready:
        client, people, grant = await journey(ready)
        services = ready.services
        limits = LimitSettings(address_burst=5, address_per_s=0.01)
        services.rates.settings = limits
        services.rates.__post_init__()
        address = f"{ready.url}/g/{grant}/logs"
        assert (await client.get(address, headers=people["alice"])).status_code == 200
        wrong = [new_secret("llp", services.random).text() for _ in range(6)]
        guesses = [{"Authorization": f"Bearer {one}", "Accept": "text/plain"} for one in wrong]
        answers = [await client.get(address, headers=one) for one in guesses]
        assert [one.status_code for one in answers] == [401] * 5 + [429]
        assert answers[-1].text.startswith("rate_limited: ")
        assert int(answers[-1].headers["retry-after"]) >= 1
        for value in ({}, {"Authorization": f"Bearer {new_secret('llv', services.random).text()}"}):
            assert (await client.get(address, headers=value)).status_code == 429
        assert (await client.get(address, headers=people["alice"])).status_code == 200
        await client.aclose()


@pytest.mark.attack("DS-05")
async def test_a_stopping_process_ends_its_tails_and_says_so(tmp_path: Path) -> None:
    lines: list[dict[str, Any]] = []
    opened = asyncio.Event()
    async with serving(settings_in(tmp_path)) as ready:
        client, people, grant = await journey(ready)
        (ready.services.data_dir / "logs" / "pay-api.log").write_text(f"{_now()} one line\n")

        async def tail() -> None:
            address = f"{ready.url}/g/{grant}/logs?follow=true"
            async with client.stream("GET", address, headers=people["alice"]) as stream:
                async for line in stream.aiter_lines():
                    lines.append(orjson.loads(line))
                    opened.set()

        tailing = asyncio.create_task(tail())
        async with asyncio.timeout(20):
            await opened.wait()
    async with asyncio.timeout(5):
        await tailing
    await client.aclose()
    assert lines[-1]["reason"] == "drain"
    assert lines[-1]["resume"]


@pytest.mark.attack("DS-05")
async def test_a_process_that_drains_is_not_ready(tmp_path: Path) -> None:
    async with serving(settings_in(tmp_path)) as ready:
        ready.services.standing.draining = True
        answer = await asyncio.to_thread(httpx2.get, f"{ready.health_url}/readyz", trust_env=False)
        assert answer.status_code == 503
        failed = [one["name"] for one in answer.json()["checks"] if not one["ok"]]
        assert failed == ["draining"]


def test_doctor_finds_what_is_wrong_with_a_remedy(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = tmp_path / "data"
    (tmp_path / "file").write_text("")
    [wrong] = [one for one in findings(data_dir=tmp_path / "file" / "data") if one.grade == "fail"]
    assert (wrong.name, wrong.detail) == (
        "data",
        f"{tmp_path / 'file' / 'data'} cannot be made in {tmp_path / 'file'}.",
    )
    assert doctor(data_dir=data) == 0
    lines = capsys.readouterr().out.splitlines()
    assert all(line.startswith(("ok", "warn", " ")) for line in lines)
    data.mkdir(mode=0o755)
    data.chmod(0o755)
    (data / "policy").mkdir()
    (data / "policy" / "p.yaml").write_text("api: loglease/v1\nkind: Nonsense\nid: x\n")
    (data / "loglease.toml").write_text(
        '[sources.app]\nwatches = [{root = "nowhere", pattern = "*.log", labels = {service = "app"}}]\n'
    )
    assert doctor(data_dir=data, as_json=True) == 3
    checks = {one["name"]: one for one in json.loads(capsys.readouterr().out)["checks"]}
    assert checks["data"]["grade"] == "fail"
    assert "chmod" in checks["data"]["remedy"]
    assert checks["source"]["grade"] == "warn"
    assert checks["policy"]["grade"] == "fail"
    (data / "loglease.toml").write_text(
        '[sources.shop]\nkind = "victorialogs"\naddress = "http://127.0.0.1:1"\ntrusted_labels = ["service"]\n'
    )
    [source] = [one for one in findings(data_dir=data) if one.name == "source"]
    assert (source.grade, source.detail) == ("warn", "shop: The source cannot be reached.")
    assert "http://127.0.0.1:1" in str(source.remedy)
    (data / "loglease.toml").write_text("[http]\nlisten = 5\n")
    assert [one.name for one in findings(data_dir=data) if one.grade == "fail"] == ["settings"]


def test_doctor_finds_a_clock_that_is_behind_what_was_written(tmp_path: Path) -> None:
    def found() -> tuple[str, str]:
        [clock] = [one for one in findings(data_dir=tmp_path) if one.name == "clock"]
        return clock.grade, clock.detail

    database = tmp_path / "loglease.db"
    database.touch()
    assert found()[0] == "ok"
    later_s = database.stat().st_mtime + 3_600
    os.utime(database, (later_s, later_s))
    grade, detail = found()
    assert (grade, "s behind the time at which loglease.db was written" in detail) == ("fail", True)


def test_serving_on_all_addresses_needs_tls_or_a_word(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from loglease.server.local import serve

    assert serve(data_dir=tmp_path / "data", listen="0.0.0.0:0") == 2
    said = capsys.readouterr().err
    assert "--insecure-http" in said
    assert not (tmp_path / "data").exists()


async def test_a_redactor_that_fails_its_test_stops_the_start_in_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(_pins: object, **_more: object) -> None:
        raise Withheld("selftest_failed")

    monkeypatch.setattr("loglease.server.engines.redactor_for", broken)
    with pytest.raises(RedactorBroken, match="fails its self-test: redaction withheld the text: selftest_failed") as it:
        await build(settings_in(tmp_path))
    assert "loglease doctor" in (it.value.next_step or "")


async def test_a_listener_that_fails_ends_the_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    failing = asyncio.Event()
    main_loop = uvicorn.Server.main_loop

    async def failed(server: uvicorn.Server) -> None:
        await failing.wait()
        server.should_exit = True
        await main_loop(server)
        raise LookupError

    monkeypatch.setattr(uvicorn.Server, "main_loop", failed)

    async def served_for_good() -> None:
        async with serving(settings_in(tmp_path)):
            failing.set()
            await asyncio.Event().wait()

    with pytest.raises(ExceptionGroup) as raised:
        await served_for_good()
    assert raised.group_contains(LookupError)


async def test_the_first_steps_are_told_until_somebody_has_taken_them(tmp_path: Path) -> None:
    async def announced() -> str:
        out = io.StringIO()
        async with serving(settings_in(tmp_path)) as ready:
            announce(ready, out)
            if ready.admin_password is None:
                return out.getvalue()
            client, _, grant = await journey(ready)
            await client.aclose()
            assert grant
        return out.getvalue()

    assert "Next      1. sign in" in await announced()
    again = await announced()
    assert "Address" in again
    assert re.search(r"^Log key   loglease\.local/\w+/1\+[0-9a-f]{8}\+\S{44}$", again, re.MULTILINE)
    assert "loglease audit checkpoint" in again
    assert "Next" not in again
