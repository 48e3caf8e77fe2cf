"""How far pseudonyms reach, on a real server: what people of one team read can be linked, and nothing beyond."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.attacks.test_reveal import read, revealing, use
from tests.fakes.stack import CONFIG, Person, Stack

HEAD = """
api: loglease/v1
kind: Catalog
id: main
names: {groups: [approvers], sources: [files]}
labels: {service: string, env: string}
redaction: {secrets: [], pii-default: [secrets], strict: [pii-default]}
"""
ONE = """
---
api: loglease/v1
kind: AccessPolicy
id: %(name)s-logs
who: {any_of: [group:everybody]}
scopes: [{sources: [files], labels: {service: %(name)s}, lookback: 24h, live: true}]
grant: {duration: {max: 1h}, redaction: pii-default, pseudonyms: %(scope)s, %(reveal)s}
approve:
  - otherwise: true
    stages: [{from: [group:approvers], need: 1}]
"""
REVEAL = "reveal: {classes: [pii], stages: [{from: [group:approvers], need: 1}]}"
SCOPES = {"own": "grant", "shop": "team-day", "pay": "team-day", "web": "deployment", "api": "deployment"}
LINE = '{"level":"info","msg":"mail to ann@example.com"}\n'
TOKEN = re.compile("⟦email:[a-z2-7]{10}⟧")


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    folder: Path = tmp_path_factory.mktemp("linked")
    (folder / "policy").mkdir()
    policies = (ONE % {"name": name, "scope": scope, "reveal": REVEAL} for name, scope in SCOPES.items())
    (folder / "policy" / "policy.yaml").write_text(HEAD + "".join(policies))
    made = Stack(folder, config=f'{CONFIG}\n[policy]\ndirectory = "{folder / "policy"}"\n')
    made.logs.mkdir()
    for name in SCOPES:
        (made.logs / f"{name}.log").write_text(LINE)
    made.start()
    for name, groups in (("alice", ()), ("mallory", ()), ("bob", ("approvers",))):
        made.add(name, *groups)
    yield made
    made.stop()


def granted(stack: Stack, name: str, service: str) -> tuple[Person, str, dict[str, Any]]:
    person, bob = stack.sign_in(name), stack.sign_in("bob")
    request = person.ask(f'{{service="{service}"}}')
    assert request["offer"]["pseudonyms"] == SCOPES[service]
    bob.decide(request)
    return person, person.grant_of(request), request


def token(person: Person, grant: str) -> str:
    (line,) = [one["line"] for one in person.lines(grant, "{}") if one["type"] == "line"]
    (found,) = TOKEN.findall(line)
    return str(found)


def test_tokens_are_equal_in_a_scope_and_nowhere_else(stack: Stack) -> None:
    places = [(name, service) for service in SCOPES for name in ("alice", "mallory")]
    tokens = {place: token(*granted(stack, *place)[:2]) for place in places}
    assert tokens["alice", "own"] != tokens["mallory", "own"]
    assert tokens["alice", "shop"] == tokens["mallory", "shop"]
    assert tokens["alice", "pay"] == tokens["mallory", "pay"]
    everywhere = {tokens[name, service] for service in ("web", "api") for name in ("alice", "mallory")}
    assert len(everywhere) == 1
    assert len(set(tokens.values())) == 2 + 1 + 1 + 1


def test_whoever_decides_is_told_what_becomes_linkable_and_bound_to_it(stack: Stack) -> None:
    alice, bob = stack.sign_in("alice"), stack.sign_in("bob")
    request = alice.ask('{service="shop"}')
    terms = bob.call("GET", f"/requests/{request['id']}/terms")
    assert '"pseudonyms":"team_day"' in terms["terms"]
    bob.decide(request)
    grant = alice.call("GET", f"/grants/{alice.grant_of(request)}")
    assert grant["pseudonyms"] == "team-day"


def test_a_value_is_revealed_by_the_key_that_grants_share(stack: Stack) -> None:
    for service in ("shop", "web"):
        alice, parent, _ = granted(stack, "alice", service)
        grant = revealing(alice, stack.sign_in("bob"), parent, read(alice, parent))
        assert use(alice, grant).json() == {"value": "ann@example.com"}
