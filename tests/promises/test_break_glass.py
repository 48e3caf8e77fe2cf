"""What break-glass promises, on a real server: access at once in an emergency, which costs being seen and looked at.

Active without waiting, and told of in the same transaction; never unmasked, never outside its scope, never longer than
an hour; looked at afterwards by somebody else, who sees exactly what was served. Closed to whoever owes an answer, and
to nobody for an outage.
"""

from __future__ import annotations

import json
import os
import signal
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import psycopg
import pytest
from tests.fakes import postgres
from tests.fakes.signed import KEYS, put_bundle
from tests.fakes.stack import CONFIG, Person, Refused, Stack
from tests.promises.shared import LINE, followed, quick

from loglease.model.instant import Instant, after
from loglease.server.clock import SystemClock

POLICY = """
api: loglease/v1
kind: Catalog
id: main
names: {groups: [sre, leads, privacy], sources: [files], channels: [security]}
labels: {service: string, env: string}
redaction: {secrets: [], pii-default: [secrets], strict: [pii-default]}
---
api: loglease/v1
kind: Facts
id: main
facts:
  ctx.calm: {type: bool, from: incidents, max_age: 60s}
  ctx.net: {type: [home, other], from: gateway}
---
api: loglease/v1
kind: BreakGlass
id: on-fire
who: {any_of: [group:sre]}
scopes: [{sources: [files], labels: {service: [shop, web, open, vault]}, lookback: 24h, live: true}]
ask: {reason: {min: 10}}
step_up: {within: 5m}
when: ctx.net != "other"
grant: {duration: {default: 15m, max: 8h}, limits: {lines: 500}, redaction: pii-default}
notify: [channel:security, group:leads]
after_review: {from: [group:leads], need: 1, within: 24h}
rate: {per_person: 3, window: 7d, alarm_at: 100}
---
api: loglease/v1
kind: BreakGlass
id: soon-late
who: {any_of: [group:sre]}
scopes: [{sources: [files], labels: {service: late}, lookback: 24h, live: true}]
ask: {reason: {min: 10}}
step_up: {within: 5m}
grant: {duration: {default: 15m, max: 30m}, redaction: pii-default}
notify: [channel:security]
after_review: {from: [group:leads], need: 1, within: 1s}
rate: {per_person: 3, window: 7d, alarm_at: 100}
---
api: loglease/v1
kind: AccessPolicy
id: quick
who: {any_of: [group:sre]}
scopes: [{sources: [files], labels: {service: [auto, open, vault]}, lookback: 24h, live: true}]
grant: {duration: {max: 30m}, redaction: pii-default}
approve:
  - if: req.redaction != "strict"
    auto: true
  - otherwise: true
    stages: [{from: [group:leads], need: 1}]
---
api: loglease/v1
kind: AccessPolicy
id: calm
who: {any_of: [group:sre]}
scopes: [{sources: [files], labels: {service: shop}, lookback: 24h, live: true}]
when: ctx.calm
grant: {duration: {max: 30m}, redaction: pii-default}
approve:
  - otherwise: true
    stages: [{from: [group:leads], need: 1}]
---
api: loglease/v1
kind: Guardrail
id: few-lines
applies: {labels: {service: shop}}
caps: {lines: 40}
---
api: loglease/v1
kind: Guardrail
id: fewer-when-not-calm
applies: {labels: {service: shop}}
if: '!ctx.calm'
caps: {lines: 30}
---
api: loglease/v1
kind: Guardrail
id: privacy-looks
applies: {labels: {service: web}}
require: {stage: {from: [group:privacy], need: 1}}
---
api: loglease/v1
kind: Guardrail
id: never
applies: {labels: {service: vault}}
deny: true
help: Nobody reads the vault.
---
api: loglease/v1
kind: Guardrail
id: only-in-an-emergency
applies: {labels: {service: open}}
even_break_glass: false
deny: true
"""
SETTINGS = """
[policy]
directory = "{directory}"
[networks]
home = ["127.0.0.0/8"]
[facts.providers.incidents]
kind = "http"
url = "http://127.0.0.1:9/calm"
private_network = true
[facts.providers.incidents.facts."ctx.calm"]
"""
REASON = "production is on fire and nobody answers"
TABLES = ("requests", "grants", "after_reviews", "notices", "entries")


class World:
    """A server for these tests; whoever breaks the glass in one is a person of that test."""

    def __init__(self, stack: Stack) -> None:
        self.stack = stack
        self.database = stack.folder / "data" / "loglease.db"
        self.admin = quick(stack.sign_in("admin"))
        self.leads = [quick(stack.add(name, "leads")) for name in ("lena", "lars")]
        self.privacy = quick(stack.add("priya", "privacy"))
        self._count = 0

    def somebody(self, *groups: str) -> Person:
        self._count += 1
        return quick(self.stack.add(f"sre{self._count}", "sre", *groups))

    def rows(self, query: str, *values: Any) -> list[tuple[Any, ...]]:
        if postgres.WANTED:
            with psycopg.connect(postgres.database_at(self.stack.folder)) as found:
                return found.execute(query.replace("?", "%s"), values).fetchall()
        with closing(sqlite3.connect(f"file:{self.database}?mode=ro", uri=True, timeout=10)) as found:
            return found.execute(query, values).fetchall()

    def counts(self) -> list[int]:
        return [self.rows(f"SELECT count(*) FROM {table}")[0][0] for table in TABLES]  # noqa: S608 - names of ours

    @contextmanager
    def held(self) -> Iterator[None]:
        """Keep the server from writing, as a disk does that hangs."""
        if postgres.WANTED:
            with psycopg.connect(postgres.database_at(self.stack.folder)) as found:
                found.execute("SELECT 1 FROM seq_head FOR UPDATE")
                yield
            return
        with closing(sqlite3.connect(self.database, isolation_level=None, timeout=10)) as found:
            found.execute("BEGIN IMMEDIATE")
            try:
                yield
            finally:
                found.execute("ROLLBACK")

    @contextmanager
    def refusing(self, table: str) -> Iterator[None]:
        """Let the database take no row of a table."""
        if postgres.WANTED:
            with psycopg.connect(postgres.database_at(self.stack.folder), autocommit=True) as found:
                found.execute(f"ALTER TABLE {table} ADD CONSTRAINT none CHECK (false) NOT VALID")
                try:
                    yield
                finally:
                    found.execute(f"ALTER TABLE {table} DROP CONSTRAINT none")
            return
        with closing(sqlite3.connect(self.database, isolation_level=None, timeout=10)) as found:
            found.execute(f"CREATE TRIGGER none BEFORE INSERT ON {table} BEGIN SELECT RAISE(ABORT, 'full'); END")
            try:
                yield
            finally:
                found.execute("DROP TRIGGER none")


def served_from(folder: Path, config: str, policy: str | None = POLICY) -> Stack:
    (folder / "policy").mkdir(parents=True, exist_ok=True)
    if policy is not None:
        (folder / "policy" / "policy.yaml").write_text(policy)
    stack = Stack(folder, config=f"{CONFIG}\n{config}")
    stack.logs.mkdir()
    for service in ("shop", "web", "late", "auto", "open", "vault"):
        (stack.logs / f"{service}.log").write_text(LINE * 60)
    return stack.start()


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    folder = tmp_path_factory.mktemp("emergencies")
    stack = served_from(folder, SETTINGS.replace("{directory}", str(folder / "policy")))
    yield World(stack)
    stack.stop()


def in_need(person: Person, service: str = "shop", **changes: Any) -> dict[str, Any]:
    return person.ask(f'{{service="{service}"}}', **({"break_glass": True, "reason": REASON} | changes))


def code_of(act: Any) -> str:
    with pytest.raises(Refused) as refused:
        act()
    return str(refused.value.problem["code"])


def refused(act: Any) -> bool:
    try:
        act()
    except Refused:
        return True
    return False


def verdict(person: Person, request: dict[str, Any], word: str) -> dict[str, Any]:
    body = {"verdict": word, "comment": "looked at it"}
    return dict(person.create(f"/requests/{request['id']}/after-review", body))


def texts(person: Person, grant: str, query: str, **parameters: str) -> list[str]:
    return [one["line"] for one in person.lines(grant, query, **parameters) if one["type"] == "line"]


# At once, and seen at once.


def test_it_is_active_and_told_of_in_one_transaction(world: World) -> None:
    eve = world.somebody()
    request = in_need(eve)
    grant = eve.call("GET", f"/grants/{request['grant']}")
    assert (request["state"], grant["state"], grant["basis"]) == ("approved", "active", "break_glass")
    assert texts(eve, request["grant"], "{}", limit="1")
    (document, valid_from) = world.rows("SELECT document, valid_from FROM grants WHERE id = ?", request["grant"])[0]
    scheduled = json.loads(document)["scheduled_at"]
    told = world.rows("SELECT event, recipient, at FROM notices WHERE about = ?", request["id"])
    used = {recipient for event, recipient, at in told if event == "breakglass.used" and at == scheduled}
    assert scheduled == valid_from
    assert "channel:security" in used
    assert world.rows("SELECT opened_at FROM after_reviews WHERE request_id = ?", request["id"]) == [(scheduled,)]


@pytest.mark.attack("BG-01")
@pytest.mark.parametrize("table", ["notices", "entries"])
def test_what_cannot_be_told_or_recorded_is_not_given(world: World, table: str) -> None:
    eve = world.somebody()
    before = world.counts()
    with world.refusing(table):
        # No disk refuses one table: to the server this is a fault of its own, and whoever asks gets nothing.
        assert code_of(lambda: in_need(eve)) == "internal"
        assert world.counts() == before
        assert eve.call("GET", "/grants?mine=true")["items"] == []
    assert in_need(eve)["state"] == "approved"


@pytest.mark.attack("BG-01")
def test_nothing_is_given_while_the_database_takes_nothing(world: World) -> None:
    eve = world.somebody()
    before = world.counts()
    with world.held():
        assert code_of(lambda: in_need(eve)) in ("audit_unavailable", "store_unavailable")
        assert world.counts() == before
    followed(lambda: not refused(lambda: in_need(eve)))


def test_a_channel_that_does_not_work_raises_an_alarm_and_stops_nobody(world: World) -> None:
    eve = world.somebody()
    request = in_need(eve)
    assert texts(eve, request["grant"], "{}", limit="1")

    def buried() -> list[dict[str, Any]]:
        found = world.admin.call("GET", "/notices?state=dead")["items"]
        return [one for one in found if one["about"] == request["id"] and one["channel"] == "security"]

    assert all(one["error"] for one in followed(buried))
    assert "notices_without_channel" in (world.stack.folder / "stderr.log").read_text()


# No more than an emergency needs.


def test_scope_redaction_and_an_hour_stay_whatever_is_asked_or_written(world: World) -> None:
    eve = world.somebody()
    assert code_of(lambda: in_need(eve, "auto")) == "policy_denied"
    assert code_of(lambda: in_need(eve, "shop", scope={"window": {"lookback_s": 25 * 3_600}})) == "policy_denied"
    assert code_of(lambda: eve.ask('{env="test"}', break_glass=True, reason=REASON)) == "guardrail_denied"
    assert code_of(lambda: in_need(eve, scope={"profile": "raw"})) == "policy_denied"
    request = in_need(eve, duration_s=8 * 3_600)
    grant = eve.call("GET", f"/grants/{request['grant']}")
    assert grant["duration_s"] == 3_600
    for query in ('{service="shop"}', '{service=~".+"}', "{}"):
        found = texts(eve, request["grant"], query, limit="3")
        assert len(found) == 3
        assert all("ann@example.com" not in one and "4111111111111111" not in one for one in found)
    assert code_of(lambda: texts(eve, request["grant"], '{service="web"}')) == "not_permitted"


def test_guardrails_apply_unless_they_say_that_they_do_not(world: World) -> None:
    eve = world.somebody()
    request = in_need(eve)
    # One of the two cannot be told, so it applies: the smaller number wins.
    assert eve.call("GET", f"/grants/{request['grant']}")["limits"]["lines"] == 30
    assert code_of(lambda: in_need(eve, "vault")) == "guardrail_denied"
    assert code_of(lambda: eve.ask('{service="open"}')) == "guardrail_denied"
    assert in_need(eve, "open")["state"] == "approved"


def test_only_a_person_who_has_just_signed_in_breaks_the_glass(world: World) -> None:
    eve = world.somebody()
    body = {"kind": "personal", "label": "old", "rights": ["requests.read", "requests.write"], "expires_in_s": 3_600}
    token = quick(Person(world.stack.url, eve.name, eve.create("/tokens", body)["secret"]))
    assert code_of(lambda: in_need(token)) == "step_up_required"


# Looked at by somebody else.


@pytest.mark.attack("BG-03")
def test_somebody_else_looks_at_exactly_what_was_served(world: World) -> None:
    eve, (lena, lars) = world.somebody("leads"), world.leads
    request = in_need(eve, "shop")
    path = f"/requests/{request['id']}"
    assert lena.call("GET", path)["after_review"]["state"] == "open"
    nothing = lena.call("GET", f"{path}/exposure")
    assert (nothing["lines"], nothing["sessions"], nothing["queries"], nothing["streams"]) == (0, 0, [], [])
    queries = ['{service="shop"} |= "paid"', '{service="shop"} != "paid"', '{service="shop"}']
    served = [texts(eve, request["grant"], query, limit=str(number)) for number, query in enumerate(queries, 4)]
    assert [len(one) for one in served] == [4, 0, 6]

    def settled() -> dict[str, Any] | None:
        found = lena.call("GET", f"{path}/exposure")
        return dict(found) if found["lines"] == 10 else None

    found = followed(settled)
    assert [one["text"] for one in found["queries"]] == queries
    assert (found["sessions"], found["lines"], found["uncertain_lines"], found["complete"]) == (3, 10, 0, True)
    assert found["bytes"] == eve.call("GET", f"/grants/{request['grant']}/usage")["spent"]["bytes"]
    (stream,) = found["streams"]
    assert (stream["labels"]["service"], stream["lines"]) == ("shop", 10)
    assert sum(found["masked"].values()) == 2 * 10, "an address and a card number in each line"

    assert code_of(lambda: verdict(eve, request, "justified")) == "self_review"
    assert code_of(lambda: verdict(world.privacy, request, "justified")) in ("not_found", "reviewer_not_eligible")
    assert verdict(lars, request, "justified")["state"] == "justified"


def test_a_stage_that_a_guardrail_demands_joins_the_after_review(world: World) -> None:
    eve, (lena, _) = world.somebody(), world.leads
    request = in_need(eve, "web")
    assert request["state"] == "approved"
    assert verdict(lena, request, "justified")["state"] == "open"
    assert verdict(world.privacy, request, "justified")["state"] == "justified"


# Closed to whoever owes an answer, and to nobody else.


def closed(person: Person) -> bool:
    """Say whether break-glass and automatic routes are closed to somebody; ordinary requests never are."""
    ordinary = person.ask('{service="auto"}')
    if ordinary["state"] == "pending":
        person.call("POST", f"/requests/{ordinary['id']}/cancel")
    draft = {"scopes": [{"source": "files", "selector": '{service="shop"}', "window": {"lookback_s": 60}}]}
    offers = person.call("POST", "/offers", {**draft, "reason": REASON, "break_glass": True})
    assert (offers["offers"] == []) == (ordinary["state"] == "pending"), "both are closed, or neither is"
    if not offers["offers"]:
        assert code_of(lambda: in_need(person)) == "policy_denied"
    return ordinary["state"] == "pending"


@pytest.mark.attack("BG-02")
def test_beyond_the_rate_it_is_closed(world: World) -> None:
    eve, other, (lena, _) = world.somebody(), world.somebody(), world.leads
    for _ in range(3):
        assert not closed(eve)
        verdict(lena, in_need(eve), "justified")
    assert closed(eve)
    assert not closed(other)


@pytest.mark.attack("BG-02")
def test_with_a_late_after_review_of_ones_own_it_is_closed_until_it_is_done(world: World) -> None:
    eve, (lena, _) = world.somebody(), world.leads
    request = in_need(eve, "late")
    followed(lambda: lena.call("GET", f"/requests/{request['id']}")["after_review"]["late"])
    assert closed(eve)
    verdict(lena, request, "justified")
    assert not closed(eve)


def test_what_was_not_justified_closes_it_until_somebody_else_reopens_it(world: World) -> None:
    eve, (lena, lars) = world.somebody(), world.leads
    request = in_need(eve)
    assert verdict(lena, request, "not_justified")["closes"] is True
    assert closed(eve)
    assert code_of(lambda: verdict(lena, request, "justified")) == "same_person"
    assert closed(eve)
    verdict(lars, request, "justified")
    assert not closed(eve)


# Outages.


def test_with_every_provider_down_it_works_and_other_ways_do_not(world: World) -> None:
    eve = world.somebody()
    assert code_of(lambda: eve.ask('{service="shop"}')) == "policy_undecided"
    assert texts(eve, in_need(eve)["grant"], "{}", limit="2")


def _is_logged(stack: Stack, text: str) -> bool:
    return text in (stack.folder / "stderr.log").read_text().replace(" ", "")


def test_there_is_none_after_the_bundle_has_expired(tmp_path: Path) -> None:
    """Where nobody renews the policy, nobody can say any more who may break the glass."""
    documents = {"policy.yaml": POLICY.partition("---\napi: loglease/v1\nkind: Facts")[0].encode()}
    emergency = "api: loglease/v1\nkind: BreakGlass" + POLICY.split("kind: BreakGlass")[1].partition("---")[0]
    documents["emergency.yaml"] = emergency.replace('when: ctx.net != "other"\n', "").encode()
    directory = put_bundle(tmp_path / "policy", 1, documents=documents)
    keys = "\n".join(f'{name} = ["{key}"]' for name, (key,) in KEYS.items())
    config = f'[policy]\ntrust = "signed"\nneeded = 2\ndirectory = "{directory}"\n[policy.keys]\n{keys}\n'
    stack = served_from(tmp_path, config, policy=None)
    try:
        admin, eve = quick(stack.sign_in("admin")), quick(stack.add("eve", "sre"))
        stack.add("lena", "leads")
        request = in_need(eve)
        assert request["state"] == "approved"
        assert stack.process is not None
        for revision, seconds in enumerate((4, 20, 60), 2):
            expires = Instant(after(SystemClock().now(), seconds))
            put_bundle(directory, revision, documents=documents, expires=expires)
            os.kill(stack.process.pid, signal.SIGHUP)
            read = f'"revision":{revision}'
            followed(partial(_is_logged, stack, read), 60)
            if admin.call("GET", "/policies")["revision"] == revision:
                break
        followed(lambda: SystemClock().now() >= expires, 90)
        with pytest.raises(Refused) as refused:
            in_need(eve)
        assert (refused.value.problem["code"], refused.value.problem["rule"]) == ("policy_denied", "bundle")
        assert texts(eve, request["grant"], "{}", limit="1"), "what is active is read to its end"
    finally:
        stack.stop()
