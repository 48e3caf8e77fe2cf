"""Break-glass over REST on a real server: it leaves a record before it leaves data, and nobody clears their own name."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.fakes.stack import CONFIG, Person, Refused, Stack

POLICY = """
api: loglease/v1
kind: Catalog
id: main
names: {groups: [sre, leads], sources: [files], channels: [security]}
labels: {service: string, env: string}
redaction: {secrets: [], pii-default: [secrets], strict: [pii-default]}
---
api: loglease/v1
kind: BreakGlass
id: on-fire
who: {any_of: [group:sre]}
scopes: [{sources: [files], labels: {service: shop}, lookback: 24h, live: true}]
ask: {reason: {min: 10}}
step_up: {within: 5m}
grant: {duration: {default: 15m, max: 8h}, limits: {lines: 500}, redaction: pii-default}
notify: [channel:security, group:leads]
after_review: {from: [group:leads], need: 1, within: 24h}
rate: {per_person: 3, window: 7d, alarm_at: 2}
---
api: loglease/v1
kind: AccessPolicy
id: quick
who: {any_of: [group:sre]}
scopes: [{sources: [files], labels: {service: web}, lookback: 24h, live: true}]
grant: {duration: {max: 30m}, redaction: pii-default}
approve:
  - if: req.redaction != "strict"
    auto: true
    after_review: {from: [group:leads], need: 1, within: 24h}
  - otherwise: true
    stages: [{from: [group:leads], need: 1}]
"""
LINE = '{"level":"info","msg":"paid by ann@example.com"}\n'
REASON = "production is on fire and nobody answers"


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    folder: Path = tmp_path_factory.mktemp("glass")
    (folder / "policy").mkdir()
    (folder / "policy" / "policy.yaml").write_text(POLICY)
    made = Stack(folder, config=f'{CONFIG}\n[policy]\ndirectory = "{folder / "policy"}"\n')
    made.logs.mkdir()
    for service in ("shop", "web"):
        (made.logs / f"{service}.log").write_text(LINE * 20)
    made.start()
    yield made
    made.stop()


def code_of(act: Any) -> str:
    with pytest.raises(Refused) as refused:
        act()
    return str(refused.value.problem["code"])


def in_need(person: Person, **changes: Any) -> dict[str, Any]:
    return person.ask(**({"break_glass": True, "reason": REASON} | changes))


def verdict(person: Person, request: dict[str, Any], word: str) -> dict[str, Any]:
    body = {"verdict": word, "comment": "looked at it"}
    return dict(person.create(f"/requests/{request['id']}/after-review", body))


@pytest.mark.attack("BG-03")
def test_from_the_emergency_to_its_review(stack: Stack) -> None:
    eve, bob = stack.add("eve", "sre", "leads"), stack.add("bob", "leads")
    draft = {"scopes": [{"source": "files", "selector": '{service="shop"}', "window": {"lookback_s": 3_600}}]}
    assert eve.call("POST", "/offers", {**draft, "reason": REASON})["offers"] == []
    (offer,) = eve.call("POST", "/offers", {**draft, "reason": REASON, "break_glass": True})["offers"]
    assert (offer["outcome"], offer["need"]) == ("break_glass", 0)
    request = in_need(eve, duration_s=8 * 3_600)
    assert (request["state"], request["after_review"]["state"]) == ("approved", "open")
    grant = eve.call("GET", f"/grants/{request['grant']}")
    assert (grant["state"], grant["basis"], grant["duration_s"]) == ("active", "break_glass", 3_600)
    lines = [
        one["line"]
        for one in eve.lines(request["grant"], '{service="shop"} |= "paid"', limit="7")
        if one["type"] == "line"
    ]
    assert len(lines) == 7
    assert all("ann@example.com" not in one for one in lines)

    assert code_of(lambda: verdict(eve, request, "justified")) == "self_review"
    waiting = bob.call("GET", "/after-reviews?undone=true&needs=my-review")["items"]
    assert [one["id"] for one in waiting] == [request["id"]]
    found = bob.call("GET", f"/requests/{request['id']}/exposure")
    assert (found["lines"], found["sessions"], found["complete"]) == (7, 1, True)
    assert [one["text"] for one in found["queries"]] == ['{service="shop"} |= "paid"']
    (read,) = found["streams"]
    assert (read["labels"]["service"], read["lines"]) == ("shop", 7)
    assert sum(found["masked"].values()) >= 7
    assert "ann@example.com" not in str(found)
    assert "paid by" not in str(found)

    done = verdict(bob, request, "justified")
    assert (done["state"], done["opinions"][0]["by"], done["may_review"]) == ("justified", "bob", False)
    assert bob.call("GET", "/after-reviews?undone=true")["items"] == []
    steps = [one["text"] for one in bob.call("GET", f"/requests/{request['id']}/timeline")["items"]]
    assert "reviewed afterwards: justified" in steps


@pytest.mark.attack("BG-02")
def test_what_nobody_gets_by_calling_it_an_emergency(stack: Stack) -> None:
    frank, mallory = stack.add("frank", "sre"), stack.add("mallory")
    stack.add("lou", "leads")
    assert code_of(lambda: in_need(mallory)) == "policy_denied"
    assert code_of(lambda: in_need(frank, selector='{service="web"}')) == "policy_denied"
    assert code_of(lambda: in_need(frank, scope={"profile": "raw"})) == "policy_denied"
    assert code_of(lambda: in_need(frank, reason="fire")) == "reason_required"
    assert code_of(lambda: in_need(frank, break_glass="yes")) == "invalid_field"
    body = {"kind": "personal", "label": "old", "rights": ["requests.read", "requests.write"], "expires_in_s": 3_600}
    token = Person(stack.url, "frank", frank.create("/tokens", body)["secret"])
    assert code_of(lambda: in_need(token)) == "step_up_required"
    request = in_need(frank)
    assert code_of(lambda: mallory.call("GET", f"/requests/{request['id']}/exposure")) == "not_found"
    assert code_of(lambda: verdict(mallory, request, "justified")) == "not_found"


def test_not_justified_closes_and_somebody_else_reopens(stack: Stack) -> None:
    gina, ivo, judy = stack.add("gina", "sre"), stack.add("ivo", "leads"), stack.add("judy", "leads")
    request = in_need(gina)
    missing = {"verdict": "not_justified"}
    assert code_of(lambda: ivo.create(f"/requests/{request['id']}/after-review", missing)) == "reason_required"
    assert verdict(ivo, request, "not_justified")["closes"] is True
    assert code_of(lambda: in_need(gina)) == "policy_denied"
    assert gina.ask('{service="web"}')["state"] == "pending"
    assert code_of(lambda: verdict(ivo, request, "justified")) == "same_person"
    assert verdict(judy, request, "justified")["closes"] is False
    auto = gina.ask('{service="web"}')
    assert (auto["state"], auto["after_review"]["basis"]) == ("approved", "auto")
    in_need(gina)
    in_need(gina)
    assert code_of(lambda: in_need(gina)) == "policy_denied"
    assert gina.ask('{service="web"}')["state"] == "pending"


def test_the_servers_own_log_tells_and_raises_an_alarm(stack: Stack) -> None:
    hugo = stack.add("hugo", "sre")
    stack.add("leo", "leads")
    in_need(hugo)
    in_need(hugo)
    told = (stack.folder / "stderr.log").read_text()
    assert "glass_broken" in told
    assert "glass_broken_too_often" in told
    assert REASON not in told
