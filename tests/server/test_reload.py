"""Rule packs and profiles of an operator: at the start, and again while the server runs."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
from pathlib import Path
from types import SimpleNamespace

import httpx2
import orjson
import pytest
from tests.api.world import World, settings_in, world_in
from tests.server.test_process import served

from loglease.model.ids import GrantId
from loglease.model.instant import Instant
from loglease.model.key_scope import KeyScope
from loglease.policy.defaults import default_files
from loglease.redaction import Plugin, RedactionError
from loglease.redaction.plugins import Extensions
from loglease.server import redaction_rules
from loglease.server.health import checks
from loglease.server.local import findings
from loglease.server.reading import Redactors
from loglease.server.redaction_rules import RedactionRulesInvalid, library_of
from loglease.server.reload import reload_rules
from loglease.server.settings import SettingsInvalid

PACK = """\
pack: shop
version: {version}
format: loglease-rules/1
rules:
  - id: shop.code
    class: secret.code
    label: code
    pattern: '\\b{word}_[0-9]{{6}}'
    examples: ['use «{word}_123456»']
"""
PROFILE = "profile: shop\nversion: {version}\npacks: [shop@{version}]\n"


def rules_in(folder: Path, *, version: int = 1, word: str = "acs") -> None:
    rules = folder / "data" / "rules"
    rules.mkdir(parents=True, exist_ok=True)
    (folder / "data").chmod(0o700)
    (rules / f"shop-{version}.yaml").write_text(PACK.format(version=version, word=word))
    (rules / f"profile-{version}.yaml").write_text(PROFILE.format(version=version))


async def entries(world: World, kind: str) -> list[dict]:
    def query(tx):
        return [orjson.loads(one.content)["data"] for one in tx.entries.page(types=frozenset({kind}))]

    return await world.services.store.read(query)


async def rules_check(world: World):
    [found] = [one for one in await checks(world.services) if one.name == "rules"]
    return found


class Terms:
    def __init__(self, pin: str) -> None:
        self.scopes = [type("Scope", (), {"profile": pin})()]


class Grant:
    """As much of a grant as a redactor needs."""

    def __init__(self, name: str, pin: str) -> None:
        self.id, self.key_salt, self.terms = GrantId(name), bytes(32), Terms(pin)
        self.shape = SimpleNamespace(pseudonyms=KeyScope.GRANT)
        self.policy, self.scheduled_at, self.shared_salt = "policy", Instant(0), None


def masked(redactor, line: str) -> str:
    return redactor.open().feed(line.encode() + b"\n").out.decode().rstrip("\n")


async def test_rules_are_in_force_from_the_start(tmp_path: Path) -> None:
    rules_in(tmp_path)
    async with world_in(tmp_path) as world:
        assert world.services.rules.current.profiles["shop"].pinned == "shop@1"
        redactors = Redactors(bytes(32), world.services.engines)
        assert masked(redactors.of(Grant("one", "shop@1")), "use acs_123456") == "use ⟦code⟧"
        assert (await rules_check(world)).ok


@pytest.mark.attack("RD-09")
async def test_a_reload_serves_new_sessions_and_leaves_running_ones(tmp_path: Path) -> None:
    rules_in(tmp_path)
    async with world_in(tmp_path) as world:
        redactors = Redactors(bytes(32), world.services.engines)
        running = redactors.of(Grant("one", "shop@1"))
        rules_in(tmp_path, version=2, word="neu")
        assert await reload_rules(world.services)
        assert masked(running, "acs_123456 neu_123456") == "⟦code⟧ neu_123456"
        assert masked(redactors.of(Grant("two", "shop@2")), "acs_123456 neu_123456") == "acs_123456 ⟦code⟧"
        assert masked(redactors.of(Grant("one", "shop@1")), "acs_123456") == "⟦code⟧", "a grant keeps its version"
        assert world.services.rules.current.profiles["shop"].pinned == "shop@2"
        [entry] = await entries(world, "config.changed")
        assert entry["keys"] == ["redaction.rules"]
        assert entry["before_sha256"] != entry["after_sha256"]
        assert await reload_rules(world.services)
        assert len(await entries(world, "config.changed")) == 1, "the same set again is no change"


@pytest.mark.attack("RD-09")
@pytest.mark.parametrize("bad", ["pack: [", PACK.format(version=3, word="x+"), PROFILE.format(version=9)])
async def test_a_bad_reload_leaves_the_last_good_set_and_says_so(tmp_path: Path, bad: str) -> None:
    rules_in(tmp_path)
    async with world_in(tmp_path) as world:
        before = (world.services.library.current, world.services.rules.current)
        file = tmp_path / "data" / "rules" / "bad.yaml"
        file.write_text(bad)
        assert not await reload_rules(world.services)
        assert (world.services.library.current, world.services.rules.current) == before
        check = await rules_check(world)
        assert (check.ok, check.decisive, "bad.yaml:" in check.detail) == (False, False, True)
        [entry] = await entries(world, "policy.refused")
        assert entry["error"] == "rules_invalid"
        file.unlink()
        assert await reload_rules(world.services)
        assert (await rules_check(world)).ok


async def test_a_version_means_the_same_for_ever(tmp_path: Path) -> None:
    rules_in(tmp_path)
    async with world_in(tmp_path) as world:
        rules_in(tmp_path, word="neu")
        assert not await reload_rules(world.services)
        assert "The content of pack shop@1 changed" in (await rules_check(world)).detail
    with pytest.raises(RedactionRulesInvalid, match="pack shop@1"):
        async with world_in(tmp_path):
            pass
    rules_in(tmp_path)
    async with world_in(tmp_path) as world:
        assert (await rules_check(world)).ok


async def test_a_reload_that_takes_a_profile_from_a_policy_is_refused(tmp_path: Path) -> None:
    rules_in(tmp_path)
    async with world_in(tmp_path) as world:
        policies = tmp_path / "data" / "policy"
        policies.mkdir()
        for name, content in default_files(["files"]).items():
            if name.endswith(".test.yaml"):
                continue
            text = content.decode().replace("redaction: {secrets: []", "redaction: {shop: [], secrets: []")
            text = text.replace("  redaction: pii-default", "  redaction: shop@1")
            text = text.replace("redaction: pii-default}", "redaction: shop}")
            (policies / Path(name).name).write_text(text)
        assert await reload_rules(world.services), world.services.standing.reload_fault
        assert "shop" in world.services.rules.current.bundle.catalog.redaction
        for file in (tmp_path / "data" / "rules").iterdir():
            file.unlink()
        assert not await reload_rules(world.services)
        assert "shop" in world.services.rules.current.profiles
        [entry] = await entries(world, "policy.refused")
        assert entry["error"] == "policy_invalid"


async def test_a_guardrail_that_comes_with_a_reload_acts_on_grants_in_use(tmp_path: Path) -> None:
    async with world_in(tmp_path) as world:
        alice = await world.add("alice@example.com")
        bob = await world.add("bob@example.com", groups=("approvers",))
        grant = await world.approved(alice, bob)
        assert (await world.created(f"/grants/{grant}/activate", {}, alice)).status_code == 200
        policies = tmp_path / "data" / "policy"
        policies.mkdir()
        for name, content in default_files(["files"]).items():
            if not name.endswith(".test.yaml"):
                (policies / Path(name).name).write_bytes(content)
        rail = "api: loglease/v1\nkind: Guardrail\nid: stop\napplies: {all_streams: true}\ndeny: true\n"
        (policies / "stop.yaml").write_text(rail)
        assert await reload_rules(world.services)
        shown = (await world.client.get(f"/grants/{grant}", headers=alice)).json()
        assert shown["state"] == "suspended"
        assert await entries(world, "grant.suspended") == [{"cause": "guardrail"}]
        (policies / "stop.yaml").unlink()
        assert await reload_rules(world.services)
        assert (await world.client.get(f"/grants/{grant}", headers=alice)).json()["state"] == "active"


async def test_a_grant_whose_profile_is_gone_is_not_served(tmp_path: Path) -> None:
    rules_in(tmp_path)
    async with world_in(tmp_path) as world:
        redactors = Redactors(bytes(32), world.services.engines)
        for file in (tmp_path / "data" / "rules").iterdir():
            file.unlink()
        assert await reload_rules(world.services)
        with pytest.raises(RedactionError, match="shop@1"):
            redactors.of(Grant("one", "shop@1"))


@pytest.mark.attack("RD-09")
def test_bad_rules_refuse_the_start_and_doctor_says_why(tmp_path: Path) -> None:
    rules_in(tmp_path, word="a+")
    with pytest.raises(RedactionRulesInvalid) as found:
        library_of(settings_in(tmp_path))
    assert [one.pointer for one in found.value.faults] == ["shop-1.yaml:8:18"]
    told = [one for one in findings(data_dir=tmp_path / "data") if one.grade == "fail"]
    assert "shop-1.yaml:8:18: shop.code: an unbounded repeat" in told[0].detail


def test_a_directory_elsewhere_is_named_by_the_configuration(tmp_path: Path) -> None:
    rules_in(tmp_path / "elsewhere")
    folder = tmp_path / "elsewhere" / "data" / "rules"
    assert library_of(settings_in(tmp_path, redaction={"rules_dir": str(folder)})).own == {"shop@1"}
    with pytest.raises(RedactionRulesInvalid, match="no directory"):
        library_of(settings_in(tmp_path, redaction={"rules_dir": str(folder / "no")}))


def test_a_plugin_that_is_not_there_refuses_the_start(tmp_path: Path) -> None:
    with pytest.raises(SettingsInvalid, match="plug-in shop"):
        library_of(settings_in(tmp_path, plugins=["shop"]))


async def test_plugins_stand_in_the_record_of_the_start(tmp_path: Path, monkeypatch) -> None:
    plugin = Plugin(name="shop", version="1.2", digest="ab", validators={"check": bool})
    monkeypatch.setattr(redaction_rules, "load_plugins", lambda names: Extensions([plugin] if names else []))
    async with world_in(tmp_path, plugins=["shop"]) as world:
        [entry] = await entries(world, "service.started")
        assert entry["plugins"] == ["shop 1.2 sha256:ab"]


def test_a_signal_reloads_a_running_server(tmp_path: Path) -> None:
    directory = tmp_path / "data"
    with served(directory) as (process, printed):

        def ready() -> str:
            found = httpx2.get(printed["Health"]).json()["checks"]
            return next(one["detail"] for one in found if one["name"] == "rules")

        assert ready().startswith("0 packs")
        rules_in(tmp_path)
        _signal(process, ready, "2 packs")
        (directory / "rules" / "bad.yaml").write_text("pack: [")
        _signal(process, ready, "The newest rules are refused")
        assert process.poll() is None


def _signal(process: subprocess.Popen[str], ready, beginning: str) -> None:
    os.kill(process.pid, signal.SIGHUP)
    for _ in range(600):
        if ready().startswith(beginning):
            return
        asyncio.run(asyncio.sleep(0.1))
    raise AssertionError(ready())
