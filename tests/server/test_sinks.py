"""A server that keeps the signed heads of its log elsewhere, and what it does when that fails."""

from __future__ import annotations

import asyncio
import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import orjson
import pytest
from tests.api.world import WISH, World, settings_in, world_in
from tests.fakes.grown_log import GrownLog

from loglease.audit.lost import LogBehind
from loglease.audit.note import SignedNote, VerifierKey
from loglease.audit.sinks.append_only import AppendOnlyFile
from loglease.audit.sinks.delivery import SinkState
from loglease.audit.sinks.interface import SinkFailed, record_of
from loglease.server.health import checks
from loglease.server.local_keys import rotated_log_key
from loglease.server.log_key import OVERLAP_S
from loglease.server.loops import running
from loglease.server.settings import SettingsInvalid


def sinks(directory: Path, **more: Any) -> dict[str, Any]:
    return {"sinks": {"tape": {"kind": "file", "path": str(directory / "tape"), **more}}}


async def sign(world: World) -> None:
    await world.services.publishing.integrator.finish()


async def health(world: World, name: str = "sink tape") -> tuple[bool, bool, str]:
    [found] = [one for one in await checks(world.services) if one.name == name]
    return found.ok, found.decisive, found.detail


def heads_in(file: Path) -> list[int]:
    return [int(json.loads(line)["audit_head"].split()[3]) for line in file.read_bytes().splitlines()]


async def signed_sizes(world: World) -> list[int]:
    return [one.size for one in await world.services.store.read(lambda tx: tx.checkpoints.since(0))]


async def test_each_signed_head_is_kept_while_the_server_runs(tmp_path: Path) -> None:
    async with world_in(tmp_path, audit=sinks(tmp_path)) as world:
        async with running(world.services):
            await world.add("alice")
            [tape] = world.services.sinks.deliveries
            size = await world.services.store.read(lambda tx: tx.entries.size())
            while tape.size < size:  # noqa: ASYNC110 - it is the loops that are tried
                await asyncio.sleep(0.02)
            ok, _, detail = await health(world)
            assert (ok, detail) == (True, f"It has kept the head of size {tape.size}.")
        await world.add("bob")
    async with world_in(tmp_path, audit=sinks(tmp_path)) as world:
        signed = await signed_sizes(world)
        kept = heads_in(tmp_path / "tape")
        assert kept == sorted(set(kept))
        assert kept == [size for size in signed if size >= kept[0]], "what was signed at the stop, too"
        note = json.loads((tmp_path / "tape").read_bytes().splitlines()[-1])["note"].encode()
        key: VerifierKey = world.services.publishing.key
        text = SignedNote.parse(note)
        assert key.holds(text.text, text.signatures[0].blob)


def git(*words: str) -> str:
    return subprocess.run(["git", *words], capture_output=True, text=True, check=True).stdout


async def test_several_kinds_at_once(tmp_path: Path) -> None:
    repository = tmp_path / "repository"
    git("init", "--quiet", "--bare", str(repository))
    audit = sinks(tmp_path)
    audit["sinks"]["vault"] = {"kind": "git", "path": str(repository)}
    async with world_in(tmp_path, audit=audit) as world:
        await world.add("alice")
    told = git("-C", str(repository), "log", "--format=%s", "audit-heads")
    assert [int(line.split()[3]) for line in told.splitlines()] == heads_in(tmp_path / "tape")[::-1]


@pytest.mark.parametrize("overlap_s", [OVERLAP_S, 0])
async def test_a_sink_goes_on_under_another_key_of_the_log(tmp_path: Path, overlap_s: int) -> None:
    async with world_in(tmp_path, audit=sinks(tmp_path)) as world:
        await world.add("alice")
        old = world.services.publishing.key
    rotated = await rotated_log_key(settings_in(tmp_path, audit=sinks(tmp_path)), overlap_s=overlap_s)
    assert rotated.old == old
    async with world_in(tmp_path, audit=sinks(tmp_path)) as world:
        await world.add("bob")
        await sign(world)
        [tape] = world.services.sinks.deliveries
        while await tape.step():
            pass
        assert tape.size == (await signed_sizes(world))[-1]
        found = await tape.newest()
        assert found is not None
        assert found.size == tape.size
    shutil.copytree(tmp_path / "data", tmp_path / "copy")
    async with world_in(tmp_path, audit=sinks(tmp_path)) as world:
        await world.add("carol")
    shutil.rmtree(tmp_path / "data")
    shutil.copytree(tmp_path / "copy", tmp_path / "data")
    with pytest.raises(LogBehind, match="The sink tape has a signed head"):
        async with world_in(tmp_path, audit=sinks(tmp_path)):
            pass


async def test_a_rollback_of_everything_here_is_found_in_the_sink(tmp_path: Path) -> None:
    async with world_in(tmp_path, audit=sinks(tmp_path)) as world:
        await world.add("alice")
    shutil.copytree(tmp_path / "data", tmp_path / "copy")
    async with world_in(tmp_path, audit=sinks(tmp_path)) as world:
        await world.add("bob")
    shutil.rmtree(tmp_path / "data")
    (tmp_path / "copy").rename(tmp_path / "data")
    with pytest.raises(LogBehind, match="tape has a signed head of"):
        async with world_in(tmp_path, audit=sinks(tmp_path)):
            raise AssertionError


async def test_a_sink_that_cannot_be_read_holds_up_no_start(tmp_path: Path) -> None:
    (tmp_path / "tape").mkdir()
    async with world_in(tmp_path, audit=sinks(tmp_path)) as world:
        await sign(world)
        [tape] = world.services.sinks.deliveries
        with pytest.raises(SinkFailed):
            await tape.step()
        ok, decisive, detail = await health(world)
        assert (ok, decisive) == (False, False)
        assert "Is a directory" in detail
        assert await world.add("alice")


@pytest.mark.answers_lost("resumption.record_resumption")
async def test_a_required_sink_that_lags_stops_what_needs_a_record(tmp_path: Path) -> None:
    audit = sinks(tmp_path, required=True, max_lag_s=60)
    async with world_in(tmp_path, audit=audit) as world:
        services = world.services
        alice, bob = await world.add("alice"), await world.add("bob", groups=("approvers",))
        grant = await world.approved(alice, bob)
        await sign(world)
        [tape] = services.sinks.deliveries
        await tape.step()
        (tmp_path / "tape").rename(tmp_path / "elsewhere")
        await world.add("carol")
        await sign(world)
        for later in (0, 59):
            world.clock.later_s = later
            with pytest.raises(SinkFailed, match="was removed"):
                await tape.step()
            await services.sinks.look()
            assert (await world.created("/requests", WISH, alice)).status_code in (200, 201)
        world.clock.later_s = 62
        await services.sinks.look()
        refused = await world.created("/requests", WISH, alice)
        assert (refused.status_code, refused.json().get("code")) == (503, "audit_unavailable")
        again = await world.client.post(f"/grants/{grant}/activate", headers=alice)
        assert again.json() == {
            **refused.json(),
            "instance": again.json()["instance"],
            "trace_id": again.json()["trace_id"],
        }
        assert (await health(world))[:2] == (False, True)
        revoked = await world.client.post(f"/grants/{grant}/revoke", json={"reason": "leak"}, headers=bob)
        assert revoked.status_code == 200, "revocations go on"
        (tmp_path / "elsewhere").rename(tmp_path / "tape")
        await sign(world)
        await tape.step()
        await services.sinks.look()
        assert (await world.created("/requests", WISH, alice)).status_code == 201
        rows = await services.store.read(lambda tx: tx.entries.since(0, types=frozenset({"audit.resumed"})))
        [resumed] = [orjson.loads(row.content)["data"] for row in rows]
        assert (resumed["refused"], resumed["late"]) == (2, 0)
        assert resumed["from_at"] <= resumed["until_at"]
        await services.sinks.look()
        rows = await services.store.read(lambda tx: tx.entries.since(0, types=frozenset({"audit.resumed"})))
        assert len(rows) == 1


async def test_a_sink_that_is_not_required_stops_nothing(tmp_path: Path) -> None:
    async with world_in(tmp_path, audit=sinks(tmp_path, max_lag_s=60)) as world:
        await sign(world)
        [tape] = world.services.sinks.deliveries
        (tmp_path / "tape").mkdir()
        with pytest.raises(SinkFailed):
            await tape.step()
        world.clock.later_s = 3_600
        await world.services.sinks.look()
        assert await world.add("alice")
        ok, decisive, detail = await health(world)
        assert (ok, decisive) == (False, False)
        assert re.search(r"A head has waited for 36\d\d s\.", detail)


@pytest.mark.answers_lost("sink_states.StoredHeads.keep")
async def test_how_far_a_sink_is_outlives_the_process(tmp_path: Path) -> None:
    async with world_in(tmp_path, audit=sinks(tmp_path)) as world:
        await sign(world)
        [tape] = world.services.sinks.deliveries
        await tape.step()
        kept = await world.services.store.read(lambda tx: tx.sinks.find("tape"))
        assert kept is not None
        assert SinkState(kept.size, kept.since) == SinkState(tape.size)


async def test_a_sink_with_heads_of_others_is_told(tmp_path: Path) -> None:
    async with world_in(tmp_path, audit=sinks(tmp_path)) as world:
        origin = world.services.publishing.key.name
        await sign(world)
        [tape] = world.services.sinks.deliveries
        await tape.step()
    with (tmp_path / "tape").open("ab") as file:
        file.write(record_of(GrownLog(origin=origin, seed=9).note(200)) + b"\n")
    async with world_in(tmp_path, audit=sinks(tmp_path)) as world:
        [tape] = world.services.sinks.deliveries
        with pytest.raises(SinkFailed, match="not signed by this log's key"):
            await tape.step()
    assert AppendOnlyFile(tmp_path / "tape").newest() == GrownLog(origin=origin, seed=9).note(200)


@pytest.mark.parametrize(
    ("sink", "told"),
    [
        ({"kind": "paper"}, "kind"),
        ({"kind": "file"}, "has a path"),
        ({"kind": "git"}, "has a path"),
        ({"kind": "syslog"}, "has a host"),
        ({"kind": "file", "path": "x", "host": "y"}, "host: not for a sink"),
        ({"kind": "git", "path": "x", "branch": "--upload-pack=x"}, "no plain name"),
        ({"kind": "git", "path": "x", "remote": "-x"}, "no plain name"),
        ({"kind": "syslog", "host": "x", "certificate": "y"}, "belong together"),
        ({"kind": "file", "path": "x", "max_lag_s": 1}, "max_lag_s"),
        ({"kind": "file", "path": "x", "colour": "red"}, "colour"),
    ],
)
def test_mistakes_are_told(tmp_path: Path, sink: dict[str, Any], told: str) -> None:
    with pytest.raises(SettingsInvalid) as refused:
        settings_in(tmp_path, audit={"sinks": {"tape": sink}})
    fault = refused.value.faults[0]
    assert told in f"{fault.pointer} {fault.detail}"


def test_names_are_plain_words(tmp_path: Path) -> None:
    with pytest.raises(SettingsInvalid):
        settings_in(tmp_path, audit={"sinks": {"A b": {"kind": "file", "path": "x"}}})
