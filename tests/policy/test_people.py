"""Whom a name means."""

from __future__ import annotations

from tests.policy.world import BOT, DIRECTORY, EVERYONE, LEE, MARIA, NOOR, OMAR, person

from loglease.model.ids import PrincipalId
from loglease.model.principal import EVERYBODY, Kind, directory_of
from loglease.policy.documents import ApproverSet, Who
from loglease.policy.people import MAX_GROUPS, People
from loglease.policy.problems import At

PEOPLE = People(DIRECTORY)


def test_groups_users_agents_and_services() -> None:
    assert PEOPLE.is_named("group:payments-eng", MARIA)
    assert not PEOPLE.is_named("group:sre", MARIA)
    assert PEOPLE.is_named("user:maria", MARIA)
    assert not PEOPLE.is_named("user:maria", LEE)
    assert PEOPLE.is_named("agent:bot", BOT)
    assert not PEOPLE.is_named("user:bot", BOT)
    assert not PEOPLE.is_named("service:bot", BOT)
    assert not PEOPLE.is_named("oncall:x", MARIA)
    assert not PEOPLE.is_named("maria", MARIA)


def test_everybody_is_human_and_enabled() -> None:
    name = f"group:{EVERYBODY}"
    assert PEOPLE.is_named(name, MARIA)
    assert not PEOPLE.is_named(name, BOT)
    assert not PEOPLE.is_named(name, person("gone", enabled=False))


def test_an_ambiguous_account_is_nobody_in_an_allowance_and_everybody_in_a_prohibition() -> None:
    twin = person("maria", "engineering", id=PrincipalId("prn_twin"), issuer="elsewhere")
    people = People(directory_of([*EVERYONE, twin]))
    assert not people.is_one_of(["user:maria"], [], MARIA)
    assert not people.is_one_of(["group:engineering"], ["user:maria"], MARIA)
    assert not people.is_one_of(["group:engineering"], ["user:maria"], twin)


def test_approver_sets_subtract() -> None:
    at = At("f", 1, 1)
    sets = {"s": ApproverSet(id="s", any_of=("group:payments-leads",), none_of=("group:privacy",), at=at)}
    people = People(DIRECTORY, sets)
    assert people.may_approve(["approvers:s"], OMAR)
    assert not people.may_approve(["approvers:s"], NOOR)
    assert not people.may_approve(["approvers:missing"], OMAR)


def test_kinds_and_too_many_groups() -> None:
    who = Who(any_of=("group:payments-eng",))
    assert PEOPLE.fits(who, MARIA)
    assert not PEOPLE.fits(who, BOT)
    assert PEOPLE.fits(Who(kinds=frozenset({Kind.AGENT}), any_of=("group:payments-eng",)), BOT)
    crowded = person("crowded", "payments-eng", *(f"g{number}" for number in range(MAX_GROUPS)))
    assert not PEOPLE.fits(who, crowded)
    assert not PEOPLE.fits(who, person("off", "payments-eng", enabled=False))
    assert not PEOPLE.fits(Who(any_of=()), MARIA)
