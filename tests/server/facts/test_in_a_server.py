"""Providers of a whole server: at the start, in its health, read again at SIGHUP, and looked at by doctor."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from tests.api.world import World, settings_in, world_in

from loglease.model.principal import Kind
from loglease.policy.conditions import BOOL
from loglease.policy.documents import FactRule
from loglease.policy.observed import Question
from loglease.policy.problems import At
from loglease.server import loops
from loglease.server.health import checks
from loglease.server.local import findings
from loglease.server.loops import running
from loglease.server.reload import reload_rules
from loglease.server.settings import Settings, SettingsInvalid

STATIC = """
[[facts.providers.people.values]]
fact = "ctx.on_call"
value = {value}
groups = ["sre"]

[facts.providers.people]
kind = "static"
"""
ROTA = """
[facts.providers.rota]
kind = "icalendar"
domain = "example.com"
refresh_s = 5
rotas.sre.file = "sre.ics"
"""
ON_CALL = (
    "BEGIN:VCALENDAR\nVERSION:2.0\nBEGIN:VEVENT\nUID:1\nDTSTART:20200101T000000Z\nDURATION:P1D\nRRULE:FREQ=DAILY\n"
    "ATTENDEE:mailto:{}@example.com\nEND:VEVENT\nEND:VCALENDAR\n"
)


def configured(tmp_path: Path, text: str) -> None:
    (tmp_path / "data").mkdir(mode=0o700, exist_ok=True)
    (tmp_path / "data" / "loglease.toml").write_text(text)


def question(account: str, provider: str) -> Question:
    rule = FactRule(name="ctx.on_call", type=BOOL, provider=provider, max_age_s=60, at=At("f.yaml", 1, 1))
    return Question(rule, "local", account, Kind.HUMAN)


async def said(world: World, account: str, provider: str = "people") -> Any:
    return (await world.services.fact_providers[provider].answer(question(account, provider))).value


async def facts_checks(world: World) -> list[tuple[str, bool, str]]:
    return [(one.name, one.ok, one.detail) for one in await checks(world.services) if one.name.startswith("facts ")]


async def test_providers_are_there_from_the_start_and_show_in_health(tmp_path: Path) -> None:
    configured(tmp_path, STATIC.format(value="true") + ROTA)
    (tmp_path / "data" / "sre.ics").write_text(ON_CALL.format("lee"))
    async with world_in(tmp_path) as world:
        await world.add("maria", groups=("sre",))
        assert (await said(world, "maria"), await said(world, "lee", "rota")) == (True, True)
        assert await facts_checks(world) == [
            ("facts people", True, "1 values are configured."),
            ("facts rota", True, "1 rota is read."),
        ]
        (tmp_path / "data" / "sre.ics").unlink()
        world.clock.later_s = 30
        await world.services.facts.refresh()
        [_, (_, ok, detail)] = await facts_checks(world)
        assert (ok, "its file cannot be read" in detail) == (False, True)
        assert not any(one.decisive for one in await checks(world.services) if one.name.startswith("facts "))


async def test_a_loop_reads_calendars_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loops, "FACTS_EVERY_S", 0.01)
    configured(tmp_path, ROTA)
    path = tmp_path / "data" / "sre.ics"
    path.write_text(ON_CALL.format("lee"))
    async with world_in(tmp_path) as world:
        path.write_text(ON_CALL.format("kim"))
        world.clock.later_s = 6
        refresh, read = world.services.facts.refresh, asyncio.Event()

        async def refreshed() -> None:
            await refresh()
            read.set()

        monkeypatch.setattr(world.services.facts, "refresh", refreshed)
        async with running(world.services), asyncio.timeout(20):
            await read.wait()
        assert (await said(world, "kim", "rota"), await said(world, "lee", "rota")) == (True, False)


async def test_a_reload_reads_providers_again_and_keeps_the_last_good_ones(tmp_path: Path) -> None:
    configured(tmp_path, STATIC.format(value="true"))
    async with world_in(tmp_path) as world:
        await world.add("maria", groups=("sre",))
        before = dict(world.services.fact_providers)
        configured(tmp_path, STATIC.format(value="false") + '\n[http]\nlisten = "127.0.0.1:1"\n')
        assert await reload_rules(world.services)
        assert await said(world, "maria") is False
        assert world.services.fact_providers.keys() == before.keys()
        configured(tmp_path, STATIC.format(value="true").replace('"static"', '"s3cret"'))
        assert not await reload_rules(world.services)
        assert await said(world, "maria") is False
        [rules] = [one for one in await checks(world.services) if one.name == "rules"]
        assert "facts.providers.people.kind" in rules.detail
        assert "s3cret" not in rules.detail
        configured(tmp_path, STATIC.format(value="true").replace("[facts", "[fakts"))
        assert not await reload_rules(world.services)
        configured(tmp_path, "")
        assert await reload_rules(world.services)
        assert world.services.fact_providers == {}


async def test_a_slow_calendar_does_not_hold_up_the_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("loglease.server.facts.providers.READY_WITHIN_S", 0.05)

    async def silent(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await gone.wait()
        writer.close()

    gone = asyncio.Event()
    server = await asyncio.start_server(silent, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    rota = ROTA.replace("sre.file", "sre.url").replace('"sre.ics"', f'"http://127.0.0.1:{port}/"')
    configured(tmp_path, rota + "private_network = true\n")
    async with server, world_in(tmp_path) as world:
        [(_, ok, detail)] = await facts_checks(world)
        assert (ok, detail) == (False, "sre: it was not read yet; nobody is on call.")
        gone.set()


def test_doctor_looks_at_providers(tmp_path: Path) -> None:
    configured(tmp_path, STATIC.format(value="true") + ROTA)
    facts = [one for one in findings(data_dir=tmp_path / "data") if one.name == "facts"]
    assert [one.grade for one in facts] == ["ok", "warn"]
    assert "its file cannot be read" in facts[1].detail
    configured(tmp_path, STATIC.format(value="true").replace("static", "?"))
    [wrong] = [one for one in findings(data_dir=tmp_path / "data") if one.name == "facts"]
    assert (wrong.grade, "facts.providers.people.kind" in wrong.detail) == ("fail", True)


async def test_a_server_does_not_start_with_a_provider_that_is_none(tmp_path: Path) -> None:
    configured(tmp_path, '[facts.providers.people]\nkind = "magic"\n')
    with pytest.raises(SettingsInvalid) as refused:
        async with world_in(tmp_path):
            pass
    assert refused.value.faults[0].pointer == "facts.providers.people.kind"


def test_settings_without_a_file_stay_as_they_are(tmp_path: Path) -> None:
    settings = settings_in(tmp_path)
    assert settings.reread().model_dump() == settings.model_dump()
    made = Settings(data_dir=tmp_path)
    assert made.reread() is made
