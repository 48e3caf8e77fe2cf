"""A server with conditions in its policies: what people get, why they do not, and what the time of day changes."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from tests.api.world import WISH, World, world_in

from loglease.policy.defaults import default_files
from loglease.server.clock import SystemClock

CALENDAR = """\
api: loglease/v1
kind: Facts
id: hours
calendars:
  soon_over: {zone: Etc/UTC, days: [DAYS], hours: ["HOURS"]}
---
"""
DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
STAGES = "stages: [{from: [group:approvers], need: 1}]"
APPROVE = f"approve:\n  - otherwise: true\n    {STAGES}"
CONDITIONS = f"""\
when: '!req.live || req.lookback <= duration("1h")'
approve:
  - if: '!req.live && req.lookback <= duration("10m")'
    auto: true
  - if: '!cal.soon_over'
    stages: [{{from: [group:approvers], need: 2}}]
  - otherwise: true
    {STAGES}"""


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    """Yield a server by whose calendar it is an hour that ends in the next one."""
    now = datetime.fromtimestamp(SystemClock().now() / 1_000_000, UTC)
    following = now + timedelta(hours=2)
    hours = f"{now:%H}:00-{following:%H}:00"
    calendar = CALENDAR.replace("DAYS", f"{DAYS[now.weekday()]}").replace("HOURS", hours)
    folder = tmp_path / "data" / "policy"
    folder.mkdir(parents=True)
    tmp_path.joinpath("data").chmod(0o700)
    for name, content in default_files(["files"]).items():
        if not name.endswith(".test.yaml"):
            (folder / Path(name).name).write_text(calendar + content.decode().replace(APPROVE, CONDITIONS))
    async with world_in(tmp_path) as made:
        yield made


def wish(lookback_s: int, **window: Any) -> dict[str, Any]:
    scope: dict[str, Any] = WISH["scopes"][0]
    return WISH | {"scopes": [scope | {"window": {"lookback_s": lookback_s, **window}}]}


async def test_an_automatic_route_gives_a_grant_at_once(world: World) -> None:
    alice = await world.add("alice@example.com")
    await world.add("bob@example.com", groups=("approvers",))
    short = (await world.created("/requests", wish(600), alice)).json()
    assert short["state"] == "approved"
    long = (await world.created("/requests", wish(3_600), alice)).json()
    assert (long["state"], long["offer"]["outcome"]) == ("pending", "review")


async def test_what_a_policy_demands_is_said_to_whom_it_refuses(world: World) -> None:
    alice = await world.add("alice@example.com")
    await world.add("bob@example.com", groups=("approvers",))
    answer = await world.created("/requests", wish(7_200, live=True), alice)
    problem = answer.json()
    assert (answer.status_code, problem["code"]) == (403, "policy_denied")
    assert 'demands !req.live || req.lookback <= duration("1h"), which does not hold' in problem["detail"]
    drafted = (await world.client.post("/offers", json=wish(7_200, live=True), headers=alice)).json()
    assert drafted["offers"] == []


@pytest.mark.parametrize(("later_s", "needed"), [(0, 1), (3 * 3_600, 2)])
async def test_after_hours_the_last_approval_asks_for_more(world: World, later_s: int, needed: int) -> None:
    alice = await world.add("alice@example.com")
    approvers = ("bob@example.com", "carol@example.com")
    for account in approvers:
        await world.add(account, groups=("approvers",))
    request = (await world.created("/requests", wish(3_600), alice)).json()
    world.clock.later_s = later_s
    grants = []
    for account in approvers[:needed]:
        answer = await world.created(
            f"/requests/{request['id']}/reviews",
            {"verdict": "approve"},
            await world.sign_in(account),
            **{"If-Match": f'"{request["digest"]}"'},
        )
        assert answer.status_code == 201
        grants.append(answer.json().get("grant"))
    assert [one is not None for one in grants] == [False] * (needed - 1) + [True]
