from __future__ import annotations

import pytest
from tests.fakes.gateway import principal

from loglease.access.caller import Caller
from loglease.model.instant import MICROSECONDS, Instant, after, parse_instant
from loglease.model.review import Channel
from loglease.policy import Outside
from loglease.policy.conditions import DURATION, INT, Fault, Text, Type
from loglease.policy.documents import Catalog, FactRule
from loglease.policy.names import Names
from loglease.policy.observed import Observed
from loglease.policy.problems import At, Problems
from loglease.server.facts.presence import network_of, networks_named, presence, presence_types

NOW = parse_instant("2026-11-23T09:30:00Z")
NETWORKS = networks_named({"vpn": ["10.8.0.0/16", "2001:db8:1::/48"], "corp": ["10.0.0.0/8", "192.0.2.7"]})
AT = At("facts.yaml", 3, 3)


def rule(name: str, provider: str, kind: Type = DURATION) -> FactRule:
    return FactRule(name=name, type=kind, provider=provider, at=AT)


RULES = (
    rule("ctx.mfa_age", "identity"),
    rule("ctx.net", "gateway", Text(words=frozenset({"corp", "vpn", "other"}))),
    rule("ctx.on_call", "rota"),
)


def caller(signed_in_at: Instant | None = NOW) -> Caller:
    return Caller(principal=principal("maria"), channel=Channel.WEB, signed_in_at=signed_in_at)


def test_a_call_answers_its_own_facts_and_leaves_those_of_providers() -> None:
    found = presence(RULES, caller(after(NOW, -300)), "10.8.3.4", NETWORKS, NOW)
    assert found == {
        ("ctx.mfa_age", None): Observed(300 * MICROSECONDS, "identity", NOW),
        ("ctx.net", None): Observed("vpn", "gateway", NOW),
    }
    reviewer = presence([rule("approver.mfa_age", "identity")], caller(), "10.8.3.4", NETWORKS, NOW)
    assert reviewer == {("approver.mfa_age", None): Observed(0, "identity", NOW)}


@pytest.mark.parametrize(
    ("signed_in_at", "age"),
    [
        (NOW, 0),
        (after(NOW, 5), 0),
        (after(NOW, 5.1), Fault("the sign-in lies in the future")),
        (after(NOW, -86_400), 86_400 * MICROSECONDS),
        (Instant(0), Fault("the sign-in is more than ten years old")),
        (None, Fault("the call has a token and no sign-in")),
    ],
)
def test_a_sign_in_has_an_age_and_a_token_has_none(signed_in_at: Instant | None, age: object) -> None:
    found = presence(RULES[:1], caller(signed_in_at), None, NETWORKS, NOW)
    assert found["ctx.mfa_age", None].value == age


@pytest.mark.parametrize(
    ("address", "name"),
    [
        ("10.8.3.4", "vpn"),
        ("10.9.0.1", "corp"),
        ("::ffff:10.9.0.1", "corp"),
        ("2001:db8:1::5", "vpn"),
        ("2001:db8:2::5", "other"),
        ("fe80::1%eth0", "other"),
        ("192.0.2.7", "corp"),
        ("192.0.2.8", "other"),
    ],
)
def test_the_first_network_that_holds_the_address_counts(address: str, name: str) -> None:
    assert presence(RULES[1:2], caller(), address, NETWORKS, NOW)["ctx.net", None].value == name


@pytest.mark.parametrize("address", [None, "local", ""])
def test_an_address_that_is_not_known_is_in_no_network_not_even_in_the_other(address: str | None) -> None:
    found = presence(RULES[1:2], caller(), address, NETWORKS, NOW)["ctx.net", None]
    assert found.value == Fault("the address of the caller is not known")


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("10.8.3.4", "vpn"),
        ("::ffff:10.9.0.1", "corp"),
        ("2001:db8:1::5", "vpn"),
        ("192.0.2.8", "192.0.2.8"),
        ("::ffff:192.0.2.8", "192.0.2.8"),
        ("192.0.2.8:443", "192.0.2.8"),
        ("2001:db8:2::5", "2001:db8:2::/64"),
        ("2001:db8:2:0:ffff::1", "2001:db8:2::/64"),
        ("2001:db8:2:1::1", "2001:db8:2:1::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        (None, None),
        ("local", None),
        ("", None),
    ],
)
def test_what_a_grant_is_bound_to_is_never_the_rest_of_the_world(address: str | None, network: str | None) -> None:
    assert network_of(address, NETWORKS) == network
    assert network_of(address, {}) != "other"


def problems_with(asked: FactRule, providers: frozenset[str] | None = None) -> list[tuple[str, str]]:
    problems = Problems()
    outside = Outside(presence=presence_types(NETWORKS), providers=providers)
    Names(problems, Catalog(), (), outside).fact(asked)
    return [(one.code, one.message) for one in problems.found()]


def test_a_bundle_declares_facts_of_a_call_as_the_server_has_them() -> None:
    words = frozenset({"corp", "vpn", "other"})
    for kept in (*RULES, rule("approver.net", "gateway", Text()), rule("ctx.net", "gateway", Text(longest=20))):
        assert problems_with(kept) == []
    assert problems_with(rule("ctx.net", "gateway", Text(words=words - {"vpn"})))[0][0] == "P330"
    assert problems_with(rule("ctx.net", "gateway", Text(words=words | {"guest"})))[0][0] == "P330"
    assert problems_with(rule("ctx.mfa_age", "identity", INT))[0][0] == "P330"
    assert problems_with(rule("ctx.device", "identity"))[0][0] == "P330"
    assert problems_with(rule("ctx.mfa_age", "gateway"))[0][0] == "P330"


def test_a_provider_has_to_be_one_of_the_server() -> None:
    assert problems_with(rule("ctx.on_call", "rota"), frozenset({"rota"})) == []
    assert problems_with(rule("ctx.mfa_age", "identity"), frozenset()) == []
    assert problems_with(rule("ctx.on_call", "rotas"), frozenset({"rota"}))[0][0] == "P331"


def test_what_a_server_does_not_say_is_believed() -> None:
    problems = Problems()
    for one in RULES:
        Names(problems, Catalog(), (), Outside()).fact(one)
    assert problems.found() == []
