"""The table of refusals in docs/reference/gateway.md, row by row: each code is met on a real socket, with its status.

`test_loki_refusals.py` asks further what each route says; here nothing is left out and nothing is made up.
"""

from __future__ import annotations

import json
import re
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path

import pytest
from tests.gateway.test_loki_refusals import LINES, READING, address, asked, sent
from tests.gateway.test_reveal import TEXT, approved, tokens, use
from tests.gateway.world import T0, TOKEN, Answer, World, call, line, world

from loglease.access.errors import ClockSuspect, Locked, PolicyDenied
from loglease.audit.interface import AuditBusy, AuditUnavailable, Recorded
from loglease.gateway import GatewaySettings
from loglease.gateway.admission import MAX_TOGETHER
from loglease.model.errors import LogLeaseError
from loglease.model.hold import SuspendCause, Suspension
from loglease.model.limits import Limits
from loglease.redaction import Withheld
from loglease.server.problems import TokenExpired
from loglease.sources.interface import SourceTimeout, SourceUnavailable
from loglease.store.interface import StoreUnavailable

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "gateway.md"
RANGE = "query_range"

Met = Callable[[World, pytest.MonkeyPatch], Awaitable[Answer]]


def documented() -> dict[str, list[int]]:
    """Return the codes of the page, each with its statuses."""
    rows = PAGE.read_text().partition("## Refusals")[2].partition("\n\nRefused calls")[0].splitlines()
    matches = [match for row in rows if (match := re.fullmatch(r"\| ([0-9, ]+) \| ([^|]*) \| .* \|", row))]
    return {
        code: [int(one) for one in match[1].split(", ")]
        for match in matches
        for code in re.findall(r"`(\w+)`", match[2])
    }


def parameter(route: str = RANGE, **more: object) -> Met:
    async def met(w: World, _: pytest.MonkeyPatch) -> Answer:
        return await call(w, address(await w.grant(), route, **more))

    return met


def opening(error: LogLeaseError) -> Met:
    """Return a call that is refused where its session is opened; the causes have tests of their own in tests/access."""

    async def met(w: World, patch: pytest.MonkeyPatch) -> Answer:
        async def refused(*_: object, **__: object) -> None:
            raise error

        patch.setattr("loglease.gateway.sessions.open_session", refused)
        return await call(w, asked(await w.grant(), RANGE))

    return met


def source(error: LogLeaseError) -> Met:
    async def met(w: World, _: pytest.MonkeyPatch) -> Answer:
        w.reader.failure = error
        return await call(w, asked(await w.grant(), RANGE))

    return met


async def cursor(w: World, _: pytest.MonkeyPatch) -> Answer:
    return await call(w, f"/g/{(await w.grant()).id}/logs?start=0", TOKEN, "Last-Event-ID: made-up")


async def no_token(w: World, _: pytest.MonkeyPatch) -> Answer:
    return await call(w, asked(await w.grant(), RANGE), None)


async def expired_token(w: World, patch: pytest.MonkeyPatch) -> Answer:
    class Expired(dict):
        def __getitem__(self, _: str) -> None:
            raise TokenExpired("The token has expired.")

    patch.setattr(w, "callers", Expired(w.callers))
    return await call(w, asked(await w.grant(), RANGE))


async def no_grant(w: World, _: pytest.MonkeyPatch) -> Answer:
    return await call(w, asked("", RANGE))


async def suspended(w: World, _: pytest.MonkeyPatch) -> Answer:
    grant, now = await w.grant(), w.clock.now()
    suspension = Suspension(grant=grant.id, cause=SuspendCause.RESTORE, reason="a test", since=now)
    await w.log.commit(lambda tx, _now: Recorded(tx.holds.insert_suspension(suspension)))
    return await call(w, asked(grant, RANGE))


async def ended(w: World, _: pytest.MonkeyPatch) -> Answer:
    grant = await w.grant()
    await w.revoke(grant)
    return await call(w, asked(grant, RANGE))


async def foreign(w: World, _: pytest.MonkeyPatch) -> Answer:
    return await call(w, asked(await w.grant(holder=w.bob), RANGE))


async def deleting(w: World, _: pytest.MonkeyPatch) -> Answer:
    return await call(w, asked(await w.grant(), RANGE), method="DELETE")


async def html(w: World, _: pytest.MonkeyPatch) -> Answer:
    return await call(w, f"/g/{(await w.grant()).id}/logs", TOKEN, "Accept: text/html")


async def large_form(w: World, _: pytest.MonkeyPatch) -> Answer:
    return await sent(w, f"/g/{(await w.grant()).id}/loki/api/v1/labels", b"x=" + b"y" * (256 * 1024))


async def json_form(w: World, _: pytest.MonkeyPatch) -> Answer:
    return await sent(w, f"/g/{(await w.grant()).id}/loki/api/v1/labels", b"{}", "application/json")


async def many_grants(w: World, _: pytest.MonkeyPatch) -> Answer:
    for _number in range(MAX_TOGETHER + 1):
        await w.grant()
    return await call(w, asked("", RANGE))


async def too_much(w: World, patch: pytest.MonkeyPatch) -> Answer:
    patch.setattr(w.gateway._sessions, "_settings", GatewaySettings(scan_lines=1))
    return await call(w, asked(await w.grant(), RANGE))


async def too_often(w: World, _: pytest.MonkeyPatch) -> Answer:
    grant = await w.grant(limits=Limits(queries_per_min=1))
    await call(w, asked(grant, RANGE))
    return await call(w, asked(grant, RANGE))


async def no_queries_left(w: World, _: pytest.MonkeyPatch) -> Answer:
    grant = await w.grant(limits=Limits(queries=1))
    await call(w, asked(grant, RANGE))
    await w.entries("session.closed")
    return await call(w, asked(grant, RANGE))


async def no_redactor(w: World, patch: pytest.MonkeyPatch) -> Answer:
    patch.setattr(w, "redactor_failure", Withheld("selftest_failed"))
    return await call(w, asked(await w.grant(), RANGE))


async def no_lease(w: World, patch: pytest.MonkeyPatch) -> Answer:
    grant = await w.grant()
    # On the class, since a renewal that is under way would set it again.
    patch.setattr(type(w.watch), "lease_until_ns", property(lambda _: 0, lambda *_: None), raising=False)
    return await call(w, asked(grant, RANGE))


async def clock_back(w: World, patch: pytest.MonkeyPatch) -> Answer:
    grant = await w.grant()
    patch.setattr(w.watch, "require_ready", _clock_is_suspect)
    return await call(w, asked(grant, RANGE))


def _clock_is_suspect() -> None:
    raise ClockSuspect


async def full(w: World, patch: pytest.MonkeyPatch) -> Answer:
    patch.setattr(w.gateway._sessions, "_settings", GatewaySettings(queries=0))
    return await call(w, asked(await w.grant(), RANGE))


async def stopping(w: World, _: pytest.MonkeyPatch) -> Answer:
    grant = await w.grant()
    await w.gateway.drain(within_s=0)
    return await call(w, asked(grant, RANGE))


def revealing(token: str = TOKEN, **forged: object) -> Met:
    """Return a call that asks for a masked value; what else is refused so stands in `test_reveal.py`."""

    async def met(w: World, _: pytest.MonkeyPatch) -> Answer:
        w.reader.add(line(T0 + 50, TEXT, service="a"))
        w.callers["llp_old"] = replace(w.callers[TOKEN], signed_in_at=None)
        parent = await w.grant(profile="pii-default@1")
        answer = await call(w, f"/g/{parent.id}/logs?start=0")
        record = next(one for one in answer.records if one.get("ts") == str(T0 + 50))
        return await use(w, await approved(w, parent, record, tokens(record)[0], "pii.email", forged=forged), token)

    return met


MET: dict[str, Met] = {
    "malformed": parameter(limit=0, query="{}"),
    "query_invalid": parameter(query="{"),
    "unknown_parameter": parameter(query="{}", regexp="x"),
    "invalid_cursor": cursor,
    "not_authenticated": no_token,
    "token_expired": expired_token,
    "step_up_required": revealing("llp_old"),
    "line_not_available": revealing(line_sha256="0" * 64),
    "not_permitted": no_grant,
    "grant_not_active": suspended,
    "grant_ended": ended,
    "locked": opening(Locked("A lock stops this for now.")),
    "policy_denied": opening(PolicyDenied("The policy in force forbids this.")),
    "not_found": foreign,
    "method_not_allowed": deleting,
    "not_acceptable": html,
    "too_large": large_form,
    "unsupported_media_type": json_form,
    "grant_ambiguous": many_grants,
    "query_limit": too_much,
    "rate_limited": too_often,
    "budget_used": no_queries_left,
    "source_failed": source(SourceUnavailable("The source cannot be reached.")),
    "source_timeout": source(SourceTimeout("The source did not answer in time.")),
    "audit_unavailable": opening(AuditUnavailable("The log is full.")),
    "audit_busy": opening(AuditBusy("Too much waits.")),
    "redaction_unavailable": no_redactor,
    "store_unavailable": opening(StoreUnavailable("The database cannot be reached.")),
    "index_stale": no_lease,
    "clock_suspect": clock_back,
    "overload": full,
    "draining": stopping,
}


def test_no_row_of_the_page_is_missing_here():
    assert MET.keys() == documented().keys()


@pytest.mark.parametrize("code", sorted(MET))
async def test_a_code_has_its_status_its_form_and_no_secret(tmp_path, monkeypatch, code):
    async with world(tmp_path, lines=LINES) as w:
        answer = await MET[code](w, monkeypatch)
        monkeypatch.undo()
        text = answer.body.decode()
        assert (answer.status, text.partition(":")[0]) == (documented()[code][0], code), answer.raw
        assert answer.header("content-type") == "text/plain; charset=utf-8"
        assert answer.header("cache-control") == "no-store"
        assert (answer.header("www-authenticate") is not None) == (answer.status == 401)
        assert (answer.header("allow") is not None) == (answer.status == 405)
        assert not any(one.text.decode() in text for one in LINES)


async def test_an_address_that_is_too_long_is_a_414_of_the_same_form(tmp_path):
    async with world(tmp_path) as w:
        answer = await call(w, f"/loki/api/v1/query_range?query={'y' * 70_000}")
        assert (answer.status, answer.body.partition(b":")[0]) == (documented()["too_large"][1], b"too_large")


@pytest.mark.parametrize("route", sorted(READING))
@pytest.mark.parametrize(
    ("accept", "is_json"),
    [
        ("application/json", True),
        ("application/json, application/x-ndjson", True),
        ("application/json;q=0.9", True),
        ("application/json, text/plain", False),
        ("*/*", False),
        ("text/html", False),
        ("", False),
    ],
)
async def test_a_message_is_json_for_clients_that_name_nothing_else(tmp_path, route, accept, is_json):
    async with world(tmp_path) as w:
        answer = await call(w, asked("/g/grt_01HF7YAT00000000000000000A", route), TOKEN, f"Accept: {accept}")
        assert answer.status == 404
        if is_json:
            assert answer.header("content-type") == "application/json"
            found = json.loads(answer.body)
            assert (found["code"], bool(found["message"])) == ("not_found", True)
        else:
            assert answer.body.startswith(b"not_found: ")
