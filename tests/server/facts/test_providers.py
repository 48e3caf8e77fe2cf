from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from tests.fakes.clock import FakeClock
from tests.fakes.gateway import principal
from tests.fakes.http import Answer, Call, Server, serving

from loglease.access.facts import gather
from loglease.model.instant import Instant, after, parse_instant
from loglease.model.principal import Kind, Principal
from loglease.policy.conditions import ABSENT, BOOL, DURATION, Fault, Field, Record, Text, Type
from loglease.policy.documents import FactRule
from loglease.policy.observed import Observed, Question
from loglease.policy.problems import At
from loglease.server.facts.configuration import provider_configurations
from loglease.server.facts.http import HttpProvider
from loglease.server.facts.interface import Provider
from loglease.server.facts.providers import opened
from loglease.server.facts.rota import RotaProvider
from loglease.server.settings import FactSettings, Settings

NOW = parse_instant("2026-11-23T09:30:00Z")
INCIDENT = Record({"id": Field(Text()), "severity": Field(Text(words=frozenset({"SEV1", "SEV2"})))})
PEOPLE = {"maria": principal("maria", frozenset({"payments-eng"})), "lee": principal("lee", frozenset({"sre"}))}


async def known(issuer: str, account: str) -> Principal | None:
    return PEOPLE.get(account)


def provider(folder: Path, clock: FakeClock, **raw: Any) -> Any:
    settings = Settings(data_dir=folder, facts=FactSettings(providers={"it": raw}))
    [config] = provider_configurations(settings)
    return opened(config, known, clock)


def question(
    name: str = "ctx.on_call", kind: Type = BOOL, *, account: str = "maria", label: str | None = "pay-api", ticket: str | None = None,
    optional: bool = False, max_age_s: int = 120, issuer: str = "local",
) -> Question:  # fmt: skip
    rule = FactRule(name=name, type=kind, provider="it", optional=optional, max_age_s=max_age_s, at=At("f.yaml", 1, 1))
    return Question(rule, issuer, account, Kind.HUMAN, None if label is None else ("service", label), ticket)


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock(NOW)


# Values in the configuration


STATIC = {
    "kind": "static",
    "values": [
        {"fact": "ctx.on_call", "value": True, "accounts": ["maria"], "labels": ["pay-api", "pay-web"]},
        {"fact": "ctx.on_call", "value": True, "groups": ["sre", "sre-leads"]},
        {"fact": "ctx.on_call", "value": False},
        {"fact": "ctx.incident", "value": {"id": "I9", "severity": "SEV1"}, "labels": ["pay-api"]},
        {"fact": "ctx.tenure", "value": "30d", "accounts": ["maria"]},
        {"fact": "ctx.tenure", "value": "soon", "accounts": ["lee"]},
    ],
}


@pytest.mark.parametrize(
    ("asked", "value"),
    [
        (question(), True),
        (question(label="pay-vault"), False),
        (question(label=None), False),
        (question(account="lee", label=None), True),
        (question(account="nobody"), False),
        (question("ctx.incident", INCIDENT, optional=True), {"id": "I9", "severity": "SEV1"}),
        (question("ctx.incident", INCIDENT, optional=True, label="auth"), ABSENT),
        (question("ctx.incident", INCIDENT, label="auth"), Fault("no value is configured")),
        (question("ctx.tenure", DURATION), 30 * 86_400 * 1_000_000),
        (question("ctx.tenure", DURATION, account="lee"), Fault("duration expected")),
    ],
)
async def test_the_first_configured_value_that_is_for_a_question_answers_it(
    tmp_path: Path, clock: FakeClock, asked: Question, value: object
) -> None:
    found = provider(tmp_path, clock, **STATIC)
    assert await found.answer(asked) == Observed(value, "it", NOW)
    assert found.health().ok
    assert (await found.probe()).ok


# Values that an HTTP server says


def http(server: Server, folder: Path, clock: FakeClock, **more: Any) -> HttpProvider:
    raw = {
        "kind": "http",
        "url": f"{server.address}/services/{{label}}/incidents?of={{account}}",
        "private_network": True,
        "absent_when": [404, "missing"],
        "facts": {
            "ctx.incident": {"value": "/open/0", "observed_at": "/at", "reference": "/open/0/url"},
            "ctx.on_call": {"value": "/on"},
        },
    }
    found: HttpProvider = provider(folder, clock, **{**raw, **more})
    found._outgoing._within_s = 20  # how busy this machine is does not matter here
    return found


@asynccontextmanager
async def answering(answer: Callable[[Call], Any] | bytes, status: str = "200 OK") -> AsyncIterator[Server]:
    async def respond(call: Call, out: Answer) -> None:
        body = answer if isinstance(answer, bytes) else json.dumps(answer(call)).encode()
        await out.whole(body, "application/json", status=status, more="Location: /else\r\nConnection: close\r\n")

    async with serving(respond) as server:
        yield server


async def test_an_answer_becomes_a_fact(tmp_path: Path, clock: FakeClock) -> None:
    said = {
        "at": "2026-11-23T09:29:50Z",
        "on": True,
        "open": [{"id": "I9", "severity": "SEV1", "url": "https://incidents.example/I9", "more": {}}],
    }
    async with answering(lambda _: said) as server:
        found = http(server, tmp_path, clock)
        incident = await found.answer(question("ctx.incident", INCIDENT, optional=True))
        assert incident == Observed(
            {"id": "I9", "severity": "SEV1"}, "it", after(NOW, -10), "https://incidents.example/I9"
        )
        assert await found.answer(question()) == Observed(True, "it", NOW)
        assert [(one.path, one.query) for one in server.calls] == [("/services/pay-api/incidents", [("of", "maria")])]
        await found.aclose()


async def test_members_of_a_record_may_stand_elsewhere(tmp_path: Path, clock: FakeClock) -> None:
    async with answering(
        lambda _: {"key": "I9", "level": {"name": "SEV2"}, "seen": 1_795_426_190.5, "no": 7}
    ) as server:
        facts = {
            "ctx.incident": {
                "fields": {"id": "/key", "severity": "/level/name"},
                "observed_at": "/seen",
                "reference": "/no",
            }
        }
        found = http(server, tmp_path, clock, facts=facts)
        answer = await found.answer(question("ctx.incident", INCIDENT))
        assert answer.value == {"id": "I9", "severity": "SEV2"}
        assert (answer.observed_at, answer.reference) == (Instant(1_795_426_190_500_000), "7")
        elsewhere = {"ctx.incident": {"fields": {"id": "/none"}}}
        other = http(server, tmp_path, clock, facts=elsewhere)
        answer = await other.answer(question("ctx.incident", INCIDENT))
        assert answer.value == Fault("it: member id expected")
        await found.aclose()
        await other.aclose()


@pytest.mark.parametrize(
    ("body", "status", "value"),
    [
        (b"{}", "404 Not Found", ABSENT),
        (b'{"open": []}', "200 OK", ABSENT),
        (b'{"open": [null]}', "200 OK", ABSENT),
        (b"{}", "200 OK", ABSENT),
        (b"{}", "410 Gone", Fault("it answered 410")),
        (b"{}", "500 Oops", Fault("it answered 500")),
        (b"{}", "302 Found", Fault("it answered 302, and redirects are not followed")),
        (b"{}", "401 Unauthorized", Fault("it refuses the credentials of this server with 401")),
        (b"s3cret", "200 OK", Fault("it answered something that is no JSON")),
        (b"\xff", "200 OK", Fault("it answered something that is no JSON")),
        (b'{"open": NaN}', "200 OK", Fault("it answered something that is no JSON")),
        (b'{"open": 1, "open": 2}', "200 OK", Fault("it answered something that is no JSON")),
        (b"[" * 60_000, "200 OK", Fault("it answered something that is no JSON")),
        (b'{"open": [{"id": "I9", "severity": "SEV1"}]}', "200 OK", Fault("it does not say when it was true")),
        (b'{"open": ["s3cret"], "at": 1795426190}', "200 OK", Fault("it: record of id, severity expected")),
        (b" " * 70_000, "200 OK", Fault("it answered with more than 64 KiB")),
    ],
)  # fmt: skip
async def test_only_what_means_absent_is_absent(
    tmp_path: Path, clock: FakeClock, body: bytes, status: str, value: object
) -> None:
    async with answering(body, status) as server:
        found = http(server, tmp_path, clock)
        assert (await found.answer(question("ctx.incident", INCIDENT, optional=True))).value == value
        assert found.health().ok is not (
            isinstance(value, Fault) and value.reason.startswith(("it answered", "it refuses"))
        )
        if value is ABSENT:
            answer = await found.answer(question("ctx.incident", INCIDENT))
            assert answer.value == Fault("it does not know it")
        await found.aclose()


async def test_without_leave_nothing_is_absent(tmp_path: Path, clock: FakeClock) -> None:
    async with answering(lambda _: {"open": []}) as server:
        found = http(server, tmp_path, clock, absent_when=[])
        answer = await found.answer(question("ctx.incident", INCIDENT, optional=True))
        assert answer.value == Fault("the answer of it has no value")
        await found.aclose()


async def test_what_a_question_lacks_is_not_asked(tmp_path: Path, clock: FakeClock) -> None:
    async with answering(lambda _: {"state": "open"}) as server:
        state = Record({"state": Field(Text())})
        found = http(server, tmp_path, clock, url=f"{server.address}/tickets/{{ticket}}", facts={"ctx.ticket": {}})
        ticket = question("ctx.ticket", state, optional=True)
        assert (await found.answer(ticket)).value is ABSENT
        assert (await found.answer(question("ctx.ticket", state))).value == Fault("the request has no ticket")
        odd = await found.answer(question("ctx.ticket", state, ticket="../x"))
        assert odd.value == Fault("the request has a name that cannot stand in an address")
        other = await found.answer(question("ctx.incident", INCIDENT))
        assert other.value == Fault("it is not configured for it")
        assert server.calls == []
        named = await found.answer(question("ctx.ticket", state, optional=True, ticket="PAY-7"))
        assert named.value == {"state": "open"}
        await found.aclose()


async def test_secrets_travel_in_headers_and_questions_in_the_body(
    tmp_path: Path, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "token").write_text("s3cret\n")
    (tmp_path / "token").chmod(0o600)
    monkeypatch.setenv("INCIDENTS_KEY", "k3y")
    async with answering(lambda _: {"on": False}) as server:
        found = http(
            server, tmp_path, clock, url=f"{server.address}/ask", method="POST",
            body='{"service": "{label}", "user": "{account}"}',
            headers={
                "Authorization": {"file": "token", "prefix": "Bearer "}, "X-Key": {"env": "INCIDENTS_KEY"},
                "Accept": "application/vnd.x+json",
            },
        )  # fmt: skip
        assert (await found.answer(question())).value is False
        [call] = server.calls
        assert (call.headers["authorization"], call.headers["x-key"]) == ("Bearer s3cret", "k3y")
        assert call.headers["accept"] == "application/vnd.x+json"
        assert json.loads(call.form[0][0]) == {"service": "pay-api", "user": "maria"}
        assert (await found.probe()).detail == "It answers, 200 where nothing was asked."
        assert "authorization" not in server.calls[-1].headers
        await found.aclose()


async def test_questions_at_once_share_a_call_and_its_answer_for_a_moment(tmp_path: Path, clock: FakeClock) -> None:
    async with answering(lambda call: {"on": dict(call.query)["of"] == "maria"}) as server:
        found = http(server, tmp_path, clock)
        answers = await asyncio.gather(
            *(found.answer(question()) for _ in range(20)), found.answer(question(account="lee"))
        )
        assert [one.value for one in answers] == [True] * 20 + [False]
        assert len(server.calls) == 2
        clock.advance(4.9)
        assert (await found.answer(question())).observed_at == NOW
        assert len(server.calls) == 2
        assert (await found.answer(question(max_age_s=3))).observed_at == after(NOW, 4.9)
        clock.advance(5.1)
        assert (await found.answer(question())).observed_at == after(NOW, 10)
        assert len(server.calls) == 4
        await found.aclose()


async def test_one_that_gives_up_takes_nothing_from_the_others_and_closing_waits(
    tmp_path: Path, clock: FakeClock
) -> None:
    go = asyncio.Event()

    async def slowly(_call: Call, out: Answer) -> None:
        await go.wait()
        await out.whole(b'{"on": true}', "application/json")

    async with serving(slowly) as server:
        found = http(server, tmp_path, clock, timeout_s=2)
        first, second = (asyncio.ensure_future(found.answer(question())) for _ in range(2))
        await server.until(lambda: bool(server.calls))
        first.cancel()
        closing = asyncio.ensure_future(found.aclose())
        await asyncio.sleep(0)
        go.set()
        assert (await second).value is True
        await closing
        assert len(server.calls) == 1


async def test_a_server_that_is_gone_is_a_fault_and_seen_in_health(tmp_path: Path, clock: FakeClock) -> None:
    async with answering(lambda _: {"on": True}) as server:
        found = http(server, tmp_path, clock)
        assert found.health().detail == "It was not asked yet."
        await found.answer(question())
        assert found.health().detail == "It answered the last time."
    clock.advance(60)
    assert (await found.answer(question())).value == Fault("it cannot be connected to")
    assert (found.health().ok, found.health().detail) == (False, "It cannot be connected to.")
    assert (await found.probe()).detail == "It cannot be connected to."
    clock.advance(1)
    facts = await gather([question()], {"it": found}, clock)
    assert facts["ctx.on_call", "pay-api"].value == Fault("it cannot be connected to")
    await found.aclose()


# Rotas


def ics(folder: Path, name: str, *people: str, day: str = "20261123") -> Path:
    path = folder / name
    attendees = "".join(f"ATTENDEE:mailto:{one}\n" for one in people)
    path.write_text(
        "BEGIN:VCALENDAR\nVERSION:2.0\nBEGIN:VEVENT\nUID:1\n"
        f"DTSTART:{day}T080000Z\nDTEND:{day}T160000Z\nRRULE:FREQ=DAILY\nSUMMARY:{people[0] if people else ''}\n{attendees}"
        "END:VEVENT\nEND:VCALENDAR\n"
    )
    return path


ROTAS: dict[str, Any] = {
    "kind": "icalendar",
    "people": {"Maria@Example.com": "maria", "Lee Smith": "lee"},
    "domain": "corp.example",
    "rotas": {
        "payments": {"file": "payments.ics", "labels": {"service": ["pay-*", "billing"]}},
        "sre": {"file": "sre.ics", "by": "summary", "labels": {"service": ["auth"]}},
    },
}


async def rotas(folder: Path, clock: FakeClock, **more: Any) -> RotaProvider:
    found: RotaProvider = provider(folder, clock, **{**ROTAS, **more})
    await found.refresh()
    return found


async def on_call(found: Provider, label: str | None, account: str = "maria", **more: Any) -> object:
    return (await found.answer(question(label=label, account=account, **more))).value


async def test_who_is_on_call_for_what(tmp_path: Path, clock: FakeClock) -> None:
    ics(tmp_path, "payments.ics", "maria@example.com", "kim@CORP.example", "stranger@else.example")
    ics(tmp_path, "sre.ics", "Lee Smith", "maria@example.com")
    found = await rotas(tmp_path, clock)
    assert found.rotas == {"payments", "sre"}
    assert [await on_call(found, one) for one in ("pay-api", "billing", "auth", "billing2", None)] == [
        True,
        True,
        False,
        False,
        True,
    ]
    assert [await on_call(found, one, "lee") for one in ("pay-api", "auth", None)] == [False, True, True]
    assert await on_call(found, "pay-api", "kim") is True
    assert await on_call(found, "pay-api", "stranger") is False
    assert await on_call(found, "pay-api", "maria", issuer="elsewhere") is False
    assert await found.answer(question()) == Observed(True, "it", NOW, "payments")
    assert await on_call(found, "pay-api", kind=INCIDENT) == Fault("it says true or false only")
    assert found.on_call() == {"payments": {"maria", "kim"}, "sre": {"lee"}}
    assert found.health().detail == "2 rotas are read. 1 on call is no account here: see people."
    clock.advance(8 * 3_600)
    assert await on_call(found, "pay-api") is False
    assert found.on_call() == {"payments": frozenset(), "sre": frozenset()}


async def test_calendars_are_read_again_when_it_is_time(tmp_path: Path, clock: FakeClock) -> None:
    ics(tmp_path, "payments.ics", "maria@example.com")
    ics(tmp_path, "sre.ics", "Lee Smith")
    found = await rotas(tmp_path, clock)
    ics(tmp_path, "payments.ics", "kim@corp.example")
    clock.advance(59)
    await found.refresh()
    assert await on_call(found, "pay-api") is True
    clock.advance(1)
    await found.refresh()
    assert (await on_call(found, "pay-api"), await on_call(found, "pay-api", "kim")) == (False, True)
    for _ in range(5):  # shifts are worked out again before they run out
        clock.advance(20 * 3_600 + 1_800)
        await found.refresh()
        in_shift = 8 <= (clock.now() // 3_600_000_000) % 24 < 16
        assert await on_call(found, "pay-api", "kim") is in_shift


async def test_what_cannot_be_read_keeps_the_last_shifts_until_they_are_too_old(
    tmp_path: Path, clock: FakeClock
) -> None:
    path = ics(tmp_path, "payments.ics", "maria@example.com")
    found = await rotas(tmp_path, clock)
    assert await on_call(found, "auth") == Fault("the calendar of sre could not be read")
    assert await on_call(found, None) is True
    assert "sre: its file cannot be read; nobody is on call." in found.health().detail
    ics(tmp_path, "sre.ics", "Lee Smith")
    path.write_text("s3cret")
    clock.advance(600)
    await found.refresh()
    answer = await found.answer(question())
    assert (answer.value, answer.observed_at) == (True, NOW)
    assert found.on_call() == {"payments": {"maria"}, "sre": {"lee"}}
    assert found.health().detail == "payments: it is no iCalendar file; read 10m ago, that still counts."
    clock.advance(301)
    assert found.on_call() == {"payments": frozenset(), "sre": {"lee"}}
    assert found.health().detail == "payments: it is no iCalendar file; read 15m1s ago, nobody of it may approve."
    ics(tmp_path, "payments.ics", "maria@example.com")
    assert (await found.probe()).ok
    assert found.on_call() == {"payments": {"maria"}, "sre": {"lee"}}


async def test_calendars_may_have_an_address(tmp_path: Path, clock: FakeClock) -> None:
    body = ics(tmp_path, "x.ics", "maria@example.com").read_bytes()
    status = "200 OK"

    async def respond(call: Call, out: Answer) -> None:
        if call.headers.get("authorization") != "Bearer s3cret":
            await out.whole(b"", "text/plain", status="403 Forbidden")
            return
        await out.whole(body, "text/calendar", status=status)

    (tmp_path / "token").write_text("s3cret")
    (tmp_path / "token").chmod(0o600)
    async with serving(respond) as server:
        (tmp_path / "address").write_text(f"{server.address}/private-s3cret/payments.ics\n")
        (tmp_path / "address").chmod(0o600)
        found = await rotas(
            tmp_path, clock, rotas={"payments": {"url": {"file": "address"}}}, private_network=True,
            headers={"Authorization": {"file": "token", "prefix": "Bearer "}},
        )  # fmt: skip
        assert found.on_call() == {"payments": {"maria"}}
        assert server.calls[0].headers["accept"].startswith("text/calendar")
        assert server.calls[0].path == "/private-s3cret/payments.ics"
        status = "503 Busy"
        clock.advance(60)
        await found.refresh()
        assert found.health().detail == "payments: it answered 503; read 1m ago, that still counts."
        body = bytes(1 << 20) + b"x"
        status = "200 OK"
        clock.advance(60)
        await found.refresh()
        assert "it answered with more than 1024 KiB" in found.health().detail
        await found.aclose()
