"""Promise 4, approved: "No grant exists without the approvals that the policy version in force demanded, from different
people, none of them the requester. An approval is bound to the digest of exactly what was asked."

Payments take two approvals, everything else one. After each attempt the database is asked whether there is a grant.
"""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.access.journey import reviewed, submitted
from tests.fakes.stack import Refused, Stack
from tests.fakes.world import POLICY, Runner, World, caller, principal, rules_of
from tests.promises.shared import crowd
from tests.store.fixtures import raw

from loglease.access.activate_grant import activate_grant
from loglease.access.caller import Caller
from loglease.access.open_session import open_session
from loglease.access.review_request import Reviewed, review_request
from loglease.access.watch import Watch
from loglease.model.access_request import AccessRequest
from loglease.model.errors import LogLeaseError
from loglease.model.grant import Grant, GrantState
from loglease.model.ids import PersonId
from loglease.model.instant import Interval
from loglease.model.principal import Kind, Principal
from loglease.model.review import Channel, Verdict
from loglease.model.rights import Right
from loglease.model.session import Front, SessionKind

APPROVERS = ("engineering", "approvers")
PEOPLE = {
    "alice": principal("alice"),
    "alice-two": principal("alice-two", person="per_alice", groups=APPROVERS),
    "alice-bot": principal("alice-bot", kind=Kind.AGENT, person="per_alice", groups=APPROVERS),
    "bob": principal("bob", groups=APPROVERS),
    "bob-two": principal("bob-two", person="per_bob", groups=APPROVERS),
    "carol": principal("carol", groups=APPROVERS),
    "mallory": principal("mallory", groups=()),
    "robot": principal("robot", kind=Kind.SERVICE, groups=APPROVERS),
}


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    made = await World(tmp_path).start()
    await made.add(*PEOPLE.values())
    yield made
    await made.stop()


def signed_in(world: World, name: str) -> Caller:
    return caller(PEOPLE[name], world.clock.now())


async def review(world: World, request: AccessRequest, who: Caller, digest: str | None = "") -> Reviewed:
    sent = request.digest if digest == "" else digest
    return await review_request(
        request.id, verdict=Verdict.APPROVE, digest=sent, comment="fine", caller=who, **world.ports
    )


async def grants(world: World) -> list[Grant]:
    return list(await world.store.read(lambda tx: tx.grants.live()))


async def activate(world: World, grant: Grant) -> Grant:
    ports = {key: value for key, value in world.ports.items() if key != "random"}
    ports["watch"] = Watch(world.store, world.clock, world.random)
    return await activate_grant(grant.id, caller=signed_in(world, "alice"), **ports)


async def open_one(world: World, grant: Grant) -> Any:
    now_ns = world.clock.now() * 1_000
    return await open_session(
        grant.id,
        kind=SessionKind.QUERY,
        front=Front.PLAIN,
        query="{}",
        interval=Interval(now_ns - 60 * 10**9, now_ns),
        limit=None,
        caller=signed_in(world, "alice"),
        replica="test",
        **world.ports,
    )


REFUSED: dict[str, tuple[Callable[[World], Caller], str]] = {
    "herself": (lambda w: signed_in(w, "alice"), "self_review"),
    "her second account": (lambda w: signed_in(w, "alice-two"), "same_person"),
    "her agent": (lambda w: signed_in(w, "alice-bot"), "reviewer_not_human"),
    "a service": (lambda w: signed_in(w, "robot"), "reviewer_not_human"),
    "somebody without the right": (lambda w: signed_in(w, "mallory"), "not_found"),
    "a token of an approver": (
        lambda w: Caller(principal=PEOPLE["bob"], channel=Channel.API, signed_in_at=None, rights=frozenset(Right)),
        "reviewer_not_human",
    ),
    "an approver who never signed in": (
        lambda w: Caller(principal=PEOPLE["bob"], channel=Channel.API, signed_in_at=None),
        "reviewer_not_human",
    ),
}


@pytest.mark.parametrize("who", REFUSED)
async def test_an_approval_by_the_wrong_one_makes_no_grant(world: World, who: str) -> None:
    by, code = REFUSED[who]
    request = await submitted(world)
    with pytest.raises(LogLeaseError) as refused:
        await review(world, request, by(world))
    assert refused.value.code in (code, "not_found", "reviewer_not_eligible")
    assert await grants(world) == []
    reviews = await world.store.read(lambda tx: tx.reviews.of_request(request.id))
    assert list(reviews) == []


@pytest.mark.attack("AP-06")
async def test_two_accounts_of_one_person_are_one_approval(world: World) -> None:
    request = await submitted(world, app="pay")
    assert (await review(world, request, signed_in(world, "bob"))).grant is None
    repeated = await review(world, request, signed_in(world, "bob"))
    assert repeated.grant is None
    try:
        assert (await review(world, request, signed_in(world, "bob-two"))).grant is None
    except LogLeaseError as refused:
        assert refused.code in ("same_person", "reviewer_not_eligible", "stage_not_open")
    assert await grants(world) == []
    assert (await review(world, request, signed_in(world, "carol"))).grant is not None
    assert len(await grants(world)) == 1


@pytest.mark.parametrize("digest", [None, "0" * 64, "other"])
async def test_an_approval_of_other_terms_counts_for_nothing(world: World, digest: str | None) -> None:
    request, other = await submitted(world), await submitted(world, duration_s=700)
    assert request.digest != other.digest
    with pytest.raises(LogLeaseError) as refused:
        await review(world, request, signed_in(world, "bob"), other.digest if digest == "other" else digest)
    assert refused.value.code == ("precondition_required" if digest is None else "digest_mismatch")
    assert await grants(world) == []


async def test_the_digest_is_that_of_the_bytes_that_are_shown(world: World) -> None:
    one = await submitted(world)
    assert hashlib.sha256(one.terms_bytes).hexdigest() == one.digest
    changes: list[dict[str, Any]] = [
        {"app": "web-2"},
        {"duration_s": 300},
        {"reason": "another reason"},
        {"ticket": "T-1"},
    ]
    digests = {one.digest} | {(await submitted(world, **change)).digest for change in changes}
    assert len(digests) == len(changes) + 1


async def test_terms_that_somebody_edited_in_the_database_are_refused_by_it(world: World) -> None:
    request = await submitted(world)
    for column, value in (("terms_bytes", "x'7b7d'"), ("digest", f"'{'0' * 64}'"), ("requester", "'prn_mallory'")):
        with pytest.raises(world.store.library.module.IntegrityError, match="never change"):
            raw(world.store, f"UPDATE requests SET {column} = {value}")  # noqa: S608 - the test's own words
    after = await world.store.read(lambda tx: tx.requests.find(request.id))
    assert after is not None
    assert (after.digest, after.terms_bytes) == (request.digest, request.terms_bytes)


async def test_an_approval_that_comes_late_makes_no_grant(world: World) -> None:
    request = await submitted(world, app="pay")
    await review(world, request, signed_in(world, "bob"))
    world.clock.advance(2 * 3_600)
    with pytest.raises(LogLeaseError) as refused:
        await review(world, request, signed_in(world, "carol"))
    assert refused.value.code == "request_not_pending"
    assert await grants(world) == []


@pytest.mark.attack("AP-02")
async def test_who_became_an_approver_after_the_submit_does_not_count(world: World) -> None:
    request = await submitted(world)
    late = replace(PEOPLE["mallory"], groups=frozenset(APPROVERS))
    await world.change(late)
    with pytest.raises(LogLeaseError) as refused:
        await review(world, request, caller(late, world.clock.now()))
    assert refused.value.code in ("reviewer_not_eligible", "not_found")
    assert await grants(world) == []


@pytest.mark.parametrize("loss", ["left the group", "disabled", "became the requester"])
async def test_who_lost_the_right_before_the_last_approval_does_not_count(world: World, loss: str) -> None:
    request = await submitted(world, app="pay")
    await review(world, request, signed_in(world, "bob"))
    await world.change(_without_right(PEOPLE["bob"], loss))
    done = await review(world, request, signed_in(world, "carol"))
    assert done.grant is None
    assert await grants(world) == []


@pytest.mark.parametrize("loss", ["left the group", "disabled", "became the requester"])
async def test_who_lost_the_right_before_activation_makes_the_grant_unusable(world: World, loss: str) -> None:
    done = await reviewed(world, await submitted(world))
    assert done.grant is not None
    await world.change(_without_right(PEOPLE["bob"], loss))
    for use in (activate, open_one):
        with pytest.raises(LogLeaseError):
            await use(world, done.grant)
    found = await world.store.read(lambda tx: tx.grants.find(done.grant.id) if done.grant else None)
    assert found is not None
    assert found.state is GrantState.SCHEDULED


def _without_right(who: Principal, loss: str) -> Principal:
    match loss:
        case "left the group":
            return replace(who, groups=frozenset({"engineering"}))
        case "disabled":
            return replace(who, enabled=False)
        case _:
            return replace(who, person=PersonId("per_alice"))


@pytest.mark.attack("PO-01")
async def test_the_stricter_of_two_policy_versions_applies(world: World) -> None:
    request = await submitted(world)
    world.rules = rules_of(POLICY.replace(b"need: 1", b"need: 2"))
    first = None
    try:
        first = (await review(world, request, signed_in(world, "bob"))).grant
        if first is not None:
            await activate(world, first)
    except LogLeaseError as refused:
        assert refused.code in ("policy_denied", "stage_not_open", "offer_changed")
    active = [one for one in await grants(world) if one.state is GrantState.ACTIVE]
    assert active == []


@settings(max_examples=25, deadline=None, database=None, suppress_health_check=list(HealthCheck))
@given(acts=st.lists(st.tuples(st.sampled_from(sorted(PEOPLE)), st.sampled_from(["", "0" * 64])), max_size=6))
def test_whoever_approves_in_whatever_order_two_people_are_needed(
    tmp_path_factory: pytest.TempPathFactory, acts: list[tuple[str, str]]
) -> None:
    run, made = Runner(), World(tmp_path_factory.mktemp("approved"))
    run(made.start())
    try:
        run(made.add(*PEOPLE.values()))
        request = run(submitted(made, app="pay"))
        people: set[str] = set()
        for who, digest in acts:
            try:
                run(review(made, request, signed_in(made, who), digest))
            except LogLeaseError:
                continue
            people.add(PEOPLE[who].person)
        found = run(grants(made))
        assert "per_alice" not in people
        assert people <= {"per_bob", "per_carol"}
        assert len(found) == (1 if len(people) == 2 else 0)
        assert all(len(set(grant.reviews)) == 2 for grant in found)
    finally:
        run(made.stop())
        run.close()


@pytest.mark.attack("AP-01")
def test_no_door_of_the_server_makes_a_grant_of_ones_own_request(server: Stack) -> None:
    people = crowd(server)
    bob, carol = people["bob"], people["carol"]
    request = bob.ask()
    for path, body in (
        (f"/requests/{request['id']}/reviews", {"verdict": "approve", "comment": "mine"}),
        (f"/requests/{request['id']}/reviews", {"verdict": "approve", "comment": "mine", "person": "carol"}),
    ):
        with pytest.raises(Refused) as refused:
            bob.create(path, body, if_match=f'"{request["digest"]}"')
        assert refused.value.problem["code"] in ("self_review", "unknown_field")
    state = bob.call("GET", f"/requests/{request['id']}")
    assert state["state"] == "pending"
    assert "grant" not in state
    token = carol.create("/tokens", {"label": "t", "rights": ["requests.read", "requests.write"], "expires_in_s": 600})
    bearer = replace(carol, token=token["secret"])
    other = people["alice"].ask()
    with pytest.raises(Refused) as refused:
        bearer.decide(other)
    assert refused.value.problem["code"] in ("reviewer_not_human", "not_permitted")


def test_every_grant_of_a_server_names_its_approvals(server: Stack) -> None:
    """Whatever other tests did with this server: each grant's reviews are approvals by others, of the right digest."""
    auditor = crowd(server)["sam"]
    entries: list[dict[str, Any]] = []
    cursor = ""
    while True:
        page = auditor.call("GET", f"/audit/entries?limit=200{cursor}")
        entries += page["items"]
        if "next" not in page:
            break
        cursor = f"&cursor={page['next']}"
    entries.reverse()
    by_type: Callable[[str], list[dict[str, Any]]] = lambda kind: [one for one in entries if one["type"] == kind]  # noqa: E731
    submitted_by = {one["ref"]["request"]: one for one in by_type("request.submitted")}
    reviews = {one["ref"]["review"]: one for one in by_type("review.given")}
    for grant in by_type("grant.scheduled"):
        request = submitted_by[grant["ref"]["request"]]
        given = [reviews[name] for name in grant["data"]["reviews"]]
        assert given
        for one in given:
            assert one["ref"]["request"] == grant["ref"]["request"]
            assert one["data"]["verdict"] == "approve"
            assert one["data"]["digest_sha256"] == request["data"]["digest_sha256"] == grant["data"]["digest_sha256"]
            assert one["actor"] != request["actor"]
            assert one["index"] < grant["index"]
        assert len({one["actor"] for one in given}) == len(given)
