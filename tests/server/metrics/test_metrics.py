"""What a server tells its monitoring: true numbers, and nothing of anybody."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client import Metric
from prometheus_client.parser import text_string_to_metric_families
from tests.api.world import World, world_in

from loglease.audit.interface import AuditUnavailable
from loglease.server.health import health_app
from loglease.server.metrics.families import table
from loglease.server.services import Services
from loglease.store.interface import StoreUnavailable

ROOT = Path(__file__).parents[3]
NAME = re.compile(r"\bloglease_[a-z_]+")


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with world_in(tmp_path) as found:
        yield found


async def told(services: Services, path: str = "/metrics") -> tuple[int, str, str]:
    sent: list[dict[str, Any]] = []

    async def send(message: Any) -> None:
        sent.append(message)

    async def receive() -> Any:
        raise AssertionError("nothing here reads a body")

    await health_app(services)({"type": "http", "method": "GET", "path": path}, receive, send)
    kind = dict(sent[0]["headers"])[b"content-type"].decode()
    return sent[0]["status"], kind, sent[1]["body"].decode()


async def numbers(services: Services) -> dict[tuple[str, ...], float]:
    status, kind, text = await told(services)
    assert (status, kind.partition(";")[0]) == (200, "text/plain")
    found: dict[tuple[str, ...], float] = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            found[sample.name.removeprefix("loglease_"), *(sample.labels[name] for name in sorted(sample.labels))] = (
                sample.value
            )
    return found


async def test_a_journey_is_counted(world: World) -> None:
    before = await numbers(world.services)
    alice, bob = await world.add("alice"), await world.add("bob", groups=("approvers",))
    grant = await world.approved(alice, bob)
    await world.created("/requests", {"scopes": []}, alice)
    answer = await world.client.get(f"/grants/{grant}", headers=alice)
    assert answer.status_code == 200
    after = await numbers(world.services)
    assert after["requests_total", "submitted"] == after["requests_total", "approved"] == 1
    assert after["requests_pending",] == after["grants_active",] == 0
    assert after["auth_total", "succeeded"] == 2
    assert after["audit_entries_total",] > before["audit_entries_total",]
    assert after["audit_append_seconds_count",] > before["audit_append_seconds_count",]
    assert after["api_requests_total", "200", "/api/v1/grants/{grant_id}"] == 1
    assert after["api_request_seconds_count",] >= 5
    assert after["policy_bundle_revision",] == world.services.rules.current.bundle.revision
    assert after["source_up", "files"] == 1
    assert 0 < after["gateway_lease_seconds",] <= 2


async def test_what_waits_and_ends_shows(world: World) -> None:
    alice, bob = await world.add("alice"), await world.add("bob", groups=("approvers",))
    grant = await world.approved(alice, bob)
    wish = {
        "scopes": [{"source": "files", "selector": '{service="x"}', "window": {"lookback_s": 60}}],
        "reason": "it fails since nine",
    }
    assert (await world.created("/requests", wish, alice)).status_code == 201
    assert (await world.created(f"/grants/{grant}/return", {}, alice)).is_success
    found = await numbers(world.services)
    assert found["requests_pending",] == 1
    assert found["grants_ended_total", "returned"] == 1


async def test_numbers_of_a_database_that_cannot_be_read_are_none(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert (await numbers(world.services))["requests_pending",] == 0

    async def failing(*_: object, **__: object) -> None:
        raise StoreUnavailable("no")

    monkeypatch.setattr(world.services.store, "read", failing)
    found = await numbers(world.services)
    assert found["requests_pending",] != found["requests_pending",]
    assert found["clock_suspect",] == 0


async def test_what_could_not_be_recorded_is_counted(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    async def failing(*_: object, **__: object) -> None:
        raise AuditUnavailable("no")

    monkeypatch.setattr(world.services.log._log._log, "commit", failing)  # type: ignore[attr-defined]
    with pytest.raises(AuditUnavailable):
        await world.services.log.commit(lambda _tx, _now: None)  # type: ignore[arg-type,return-value]
    assert (await numbers(world.services))["audit_append_failures_total",] == 1


async def test_nobody_and_nothing_that_was_asked_for_is_named(world: World) -> None:
    canary = "canary-9f3a"
    alice = await world.add(canary)
    bob = await world.add("bob", groups=("approvers",))
    await world.approved(alice, bob)
    for path in (f"/requests/{canary}", f"/{canary}", f"/sources/{canary}"):
        await world.client.get(path, headers=alice)
    await world.client.post("/sign-in", json={"account": canary, "password": canary})
    _, _, text = await told(world.services)
    assert canary not in text
    assert not re.search(r"(req|grt|ses|prn|per|sub)_[0-9A-Za-z]{8}", text)


async def test_health_and_the_rest_of_the_listener_are_as_before(world: World) -> None:
    assert (await told(world.services, "/healthz"))[:2] == (200, "application/json")
    assert (await told(world.services, "/nothing"))[0] == 404


def test_the_page_has_every_metric() -> None:
    assert table() in (ROOT / "docs/reference/metrics.md").read_text()


async def test_alerts_and_dashboard_name_what_there_is(world: World) -> None:
    _, _, text = await told(world.services)
    families: list[Metric] = list(text_string_to_metric_families(text))
    known = {f"{one.name}{end}" for one in families for end in ("", "_total", "_bucket", "_count", "_sum")}
    rules = yaml.safe_load((ROOT / "deploy/prometheus/loglease.rules.yaml").read_text())
    dashboard = json.loads((ROOT / "deploy/grafana/loglease.json").read_text())
    alerts = [rule for group in rules["groups"] for rule in group["rules"]]
    asked = [rule["expr"] for rule in alerts]
    asked += [target["expr"] for panel in dashboard["panels"] for target in panel["targets"]]
    named = {name for expression in asked for name in NAME.findall(expression)}
    assert len(named) > 15
    assert named <= known
    for rule in alerts:
        assert (ROOT / rule["annotations"]["runbook"]).is_file()
