"""Grants that are bound to a network: fixed when they are asked for, looked at whenever they are used."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.access.journey import reviewed
from tests.fakes.world import POLICY, World, caller, principal, rules_of, wish

from loglease.access.activate_grant import activate_grant
from loglease.access.binding import require_network
from loglease.access.caller import Caller
from loglease.access.errors import NotPermitted, PolicyDenied
from loglease.access.extension_draft import ExtensionDraft
from loglease.access.open_session import Opened, open_session
from loglease.access.recheck_grants import recheck_grants
from loglease.access.return_grant import return_grant
from loglease.access.submit_request import submit_request
from loglease.access.watch import Watch
from loglease.model.access_request import AccessRequest
from loglease.model.grant import EndWhy, Grant, GrantState
from loglease.model.instant import Interval
from loglease.model.session import Front, SessionKind

BOUND = POLICY.replace(b"  redaction: pii-default\n", b"  redaction: pii-default\n  bind: [network]\n")
ROUTE = POLICY.replace(b"  - otherwise: true\n", b"  - otherwise: true\n    grant: {bind: [network]}\n")
RAIL = b"---\napi: loglease/v1\nkind: Guardrail\nid: rail\napplies: {all_streams: true}\nadd: {bind: [network]}\n"
ELSEWHERE = ("vpn", "203.0.113.7", "2001:db8::/64", "", None)


def knowing(world: World, policy: bytes) -> None:
    """Have rules that take the address of a call for its network."""
    world.rules = replace(rules_of(policy), network_of=lambda who: who.address)


def alice(world: World, network: str | None) -> Caller:
    return replace(caller(principal("alice"), world.clock.now()), address=network)


async def asked(world: World, network: str | None, **changes: Any) -> AccessRequest:
    return await submit_request(wish(**changes), caller=alice(world, network), offer=None, **world.ports)


async def granted(world: World, network: str | None = "corp") -> Grant:
    """Return a grant that is asked for from a network, and approved from another one."""
    done = await reviewed(world, await asked(world, network))
    assert done.grant is not None
    return done.grant


async def activated(world: World, grant: Grant, network: str | None) -> Grant:
    ports = {name: port for name, port in world.ports.items() if name != "random"}
    watch = Watch(world.store, world.clock, world.random)
    return await activate_grant(grant.id, caller=alice(world, network), watch=watch, **ports)


async def opened(world: World, grant: Grant, network: str | None, kind: SessionKind = SessionKind.QUERY) -> Opened:
    now = world.clock.now()
    return await open_session(
        grant.id,
        kind=kind,
        front=Front.PLAIN,
        query="",
        interval=Interval(now * 1_000 - 10**9, None if kind is SessionKind.TAIL else now * 1_000),
        limit=None,
        caller=alice(world, network),
        replica="one",
        **world.ports,
    )


async def entries(world: World, *types: str) -> list[dict[str, Any]]:
    rows = await world.store.read(lambda tx: tx.entries.since(0, types=frozenset(types)))
    return [orjson.loads(row.content)["data"] for row in rows]


@pytest.mark.parametrize("policy", [BOUND, ROUTE, POLICY + RAIL], ids=["policy", "route", "guardrail"])
async def test_it_can_be_used_from_where_it_was_asked_for_and_nowhere_else(world: World, policy: bytes) -> None:
    knowing(world, policy)
    grant = await granted(world)
    assert (grant.shape.network_bound, grant.network) == (True, "corp")
    for elsewhere in ELSEWHERE:
        for use in (activated, opened):
            with pytest.raises(NotPermitted, match="network corp") as refused:
                await use(world, grant, elsewhere)
            assert (refused.value.rule, "--like" in (refused.value.next_step or "")) == ("network of the grant", True)
    stored = await world.store.read(lambda tx: tx.grants.find(grant.id))
    assert stored == grant, "who may not use it starts no clock and spends nothing"
    assert not await entries(world, "grant.activated", "session.opened")
    assert (await activated(world, grant, "corp")).state is GrantState.ACTIVE
    for elsewhere in ELSEWHERE:
        for kind in (SessionKind.QUERY, SessionKind.TAIL, SessionKind.NAMES):
            with pytest.raises(NotPermitted):
                await opened(world, grant, elsewhere, kind)
    await opened(world, grant, "corp")
    assert len(await entries(world, "session.opened")) == 1


async def test_it_is_not_bound_where_nothing_binds_it(world: World) -> None:
    knowing(world, POLICY + RAIL.replace(b"applies:", b"mode: observe\napplies:"))
    grant = await granted(world)
    assert not grant.shape.network_bound
    await opened(world, grant, "vpn")
    await opened(world, grant, None)
    assert all("network_c" not in one for one in await entries(world, "request.submitted", "session.opened"))


@pytest.mark.parametrize("policy", [BOUND, ROUTE, POLICY + RAIL])
async def test_from_where_nobody_knows_nothing_bound_is_asked_for(world: World, policy: bytes) -> None:
    knowing(world, policy)
    with pytest.raises(PolicyDenied, match="is not known") as refused:
        await asked(world, None)
    assert (refused.value.rule, bool(refused.value.next_step)) == ("one-approval", True)
    assert not await entries(world, "request.submitted")


async def test_what_is_approved_and_recorded_names_the_network_and_shows_it_to_nobody_else(world: World) -> None:
    knowing(world, BOUND)
    request = await asked(world, "203.0.113.7")
    terms = orjson.loads(request.terms_bytes)
    assert terms["offer"]["bind"] == ["network"]
    done = await reviewed(world, request)
    assert done.grant is not None
    await opened(world, done.grant, "203.0.113.7")
    await opened(world, done.grant, "203.0.113.7", SessionKind.TAIL)
    found = await entries(world, "request.submitted", "grant.scheduled", "session.opened")
    assert [one["network_c"] for one in found] == [terms["wish"]["network_c"]] * 4
    rows = await world.store.read(lambda tx: tx.entries.since(0))
    assert not any(b"203.0.113.7" in row.content for row in rows)
    other = await asked(world, "vpn")
    assert orjson.loads(other.terms_bytes)["wish"]["network_c"] != terms["wish"]["network_c"]


async def test_what_was_bound_stays_bound_under_a_policy_that_binds_nothing(world: World) -> None:
    knowing(world, BOUND)
    grant = await granted(world)
    knowing(world, POLICY)
    with pytest.raises(NotPermitted):
        await opened(world, grant, "vpn")
    await opened(world, grant, "corp")


@pytest.mark.parametrize(("policy", "cut"), [(POLICY + RAIL, True), (BOUND, False)])
async def test_rules_that_begin_to_bind_hold_for_grants_that_were_not(world: World, policy: bytes, cut: bool) -> None:
    knowing(world, POLICY)
    grant, unknown = await granted(world), await granted(world, None)
    await opened(world, grant, "vpn", SessionKind.TAIL)
    watch, cuts = Watch(world.store, world.clock, world.random), []
    watch.subscribe(cuts.append)
    await watch.poll()
    before = world.rules
    knowing(world, policy)
    await recheck_grants(before, **world.ports)
    await watch.poll()
    assert [one.grant for one in cuts] == ([grant.id] if cut else [])  # a policy is for the next session to see
    with pytest.raises(NotPermitted):
        await opened(world, grant, "vpn", SessionKind.TAIL)
    again = await opened(world, grant, "corp")
    assert again.grant.shape.network_bound
    assert "network_c" in (await entries(world, "session.opened"))[-1]
    for network in ("corp", None):
        with pytest.raises(NotPermitted, match="that is not known"):
            await opened(world, unknown, network)


async def test_rules_that_begin_to_bind_before_the_last_approval_make_a_bound_grant(world: World) -> None:
    knowing(world, POLICY)
    request = await asked(world, "corp")
    knowing(world, POLICY + RAIL)
    done = await reviewed(world, request)
    assert done.grant is not None
    assert done.grant.shape.network_bound
    with pytest.raises(NotPermitted):
        await activated(world, done.grant, "vpn")


@pytest.mark.parametrize("elsewhere", ELSEWHERE)
async def test_it_is_extended_from_its_own_network_alone(world: World, elsewhere: str | None) -> None:
    knowing(world, BOUND.replace(b"  bind:", b"  extend: {times: 1, by: 30m}\n  bind:"))
    grant = await granted(world)
    await activated(world, grant, "corp")
    draft = ExtensionDraft(grant=grant.id, reason="the second node shows the same fault")
    with pytest.raises(NotPermitted, match="only from network corp"):
        await submit_request(draft, caller=alice(world, elsewhere), offer=None, **world.ports)
    request = await submit_request(draft, caller=alice(world, "corp"), offer=None, **world.ports)
    assert request.network == "corp"


async def test_it_can_be_given_back_from_anywhere(world: World) -> None:
    knowing(world, BOUND)
    grant = await granted(world)
    done = await return_grant(grant.id, caller=alice(world, "vpn"), log=world.log, new_id=world.new_id)
    assert done.ended_why is EndWhy.RETURNED


_NETWORKS = st.sampled_from(["corp", "vpn", "203.0.113.7", "2001:db8::/64", "", None])


@given(asked_from=_NETWORKS, used_from=_NETWORKS, made_bound=st.booleans(), bound_now=st.booleans())
def test_only_equal_and_known_networks_are_one(
    asked_from: str | None, used_from: str | None, made_bound: bool, bound_now: bool
) -> None:
    shape = SimpleNamespace(network_bound=made_bound)
    grant: Any = SimpleNamespace(id="grt_1", request="req_1", shape=shape, network=asked_from)
    rules: Any = SimpleNamespace(network=used_from)
    may_use = not (made_bound or bound_now) or (asked_from == used_from and used_from is not None)
    try:
        require_network(grant, rules, bound=bound_now)
    except NotPermitted:
        assert not may_use
    else:
        assert may_use
