"""A log whose database or key was lost goes on: from a copy of what was published, or as its next generation."""

from __future__ import annotations

import asyncio
import io
import json
import os
import shutil
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import orjson
import pytest
from tests.api.world import World, settings_in, world_in
from tests.server.test_restore import backed_up, facts, journey, put_back

from loglease.audit.lost import LogBehind
from loglease.audit.note import SigningKey, VerifierKey
from loglease.audit.semantic import check
from loglease.cli.main import run_command
from loglease.server import local_restore
from loglease.server.local_restore import Begun, begun_generation, put_back_from, restore_log
from loglease.server.log_key import LOG_KEY
from loglease.server.log_key_files import read_key
from loglease.server.publishing import LOG_FOLDER
from loglease.server.settings import SettingsInvalid
from loglease.server.stopped import stopped_server
from loglease.server.wiring import HEAD, JOURNAL
from loglease.store.interface import StoreUnavailable
from loglease.store.sqlite import SqliteStore


def command(*words: str) -> tuple[int, str, str]:
    out, err = io.StringIO(), io.StringIO()
    code = run_command(list(words), environment={}, stdin=io.StringIO(), stdout=out, stderr=err)
    return code, out.getvalue(), err.getvalue()


def verified(folder: Path, key: VerifierKey, *more: str) -> tuple[int, str, str]:
    return command("audit", "verify", str(folder), f"--key={key}", *more)


async def whole(world: World) -> None:
    """Hold the log against the rules that entries keep together."""
    rows = await world.services.store.read(lambda tx: tx.entries.since(0, limit=10_000))
    found = check((row.index, bytes(row.content)) for row in rows)
    assert found.broken == frozenset(), [str(one) for one in found.breaches]
    await world.services.publishing.check_all()


async def size_in(directory: Path) -> int:
    """Return how many entries the database of a stopped server has."""
    async with stopped_server(settings_in(directory)) as server:
        return await server.store.read(lambda tx: tx.entries.size())


async def behind(directory: Path, *, signed: bool = False) -> tuple[str, str, Path]:
    """Leave a database that is older than its log, whose directory is elsewhere; return two grants and the directory."""
    async with world_in(directory) as world:
        alice, bob = await world.add("alice"), await world.add("bob", groups=("approvers",))
        kept = await world.approved(alice, bob)
        if signed:
            await world.services.publishing.integrator.finish()
        backed_up(world.services.data_dir, directory / "copy")
        lost = await world.approved(alice, bob)
        place = world.services.data_dir
    put_back(directory / "copy", place)
    (place / LOG_FOLDER).rename(directory / "elsewhere")
    return kept, lost, directory / "elsewhere"


async def test_entries_are_put_back_from_a_directory_elsewhere(tmp_path: Path) -> None:
    kept, lost, elsewhere = await behind(tmp_path)
    settings = settings_in(tmp_path)
    with pytest.raises(LogBehind):
        async with world_in(tmp_path):
            pass
    done = await put_back_from(settings, elsewhere)
    assert done.entries > 0
    assert done.suspended == 1
    assert (await put_back_from(settings, elsewhere)).suspended is None, "again, nothing is missing"
    async with world_in(tmp_path) as world:
        assert [(one["from"], one["suspended"]) for _, one in await facts(world, "log.restored")] == [("tiles", 1)]
        assert [one["grant"] for _, one in await facts(world, "grant.revoked")] == [lost]
        alice = await world.sign_in("alice")
        assert (await world.client.get(f"/grants/{kept}", headers=alice)).json()["state"] == "suspended"
        key = world.services.publishing.key
        await whole(world)
    older = (elsewhere / "checkpoint").read_bytes()
    (tmp_path / "head").write_bytes(older)
    assert verified(tmp_path / "data" / LOG_FOLDER, key, "--semantic", f"--since={tmp_path / 'head'}")[0] == 0


@pytest.mark.parametrize("again", [True, False], ids=["repeated", "started"])
async def test_cut_off_after_the_entries_it_is_known_that_the_database_was_older(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, again: bool
) -> None:
    kept, lost, elsewhere = await behind(tmp_path)

    async def cut_off(*_: Any, **__: Any) -> int | None:
        raise InterruptedError

    with monkeypatch.context() as patch:
        patch.setattr(local_restore, "suspend_restored", cut_off)
        with pytest.raises(InterruptedError):
            await put_back_from(settings_in(tmp_path), elsewhere)
    if again:
        assert (await put_back_from(settings_in(tmp_path), elsewhere)).suspended == 1
    async with world_in(tmp_path) as world:
        assert [(one["from"], one["suspended"]) for _, one in await facts(world, "log.restored")] == [("tiles", 1)]
        assert [one["grant"] for _, one in await facts(world, "grant.revoked")] == [lost]
        alice = await world.sign_in("alice")
        assert (await world.client.get(f"/grants/{kept}", headers=alice)).json()["state"] == "suspended"
        await whole(world)


async def test_without_the_private_key_entries_are_put_back_all_the_same(tmp_path: Path) -> None:
    _, _, elsewhere = await behind(tmp_path, signed=True)
    (tmp_path / "data" / LOG_KEY).rename(tmp_path / "key")
    assert (await put_back_from(settings_in(tmp_path), elsewhere)).entries > 0
    (tmp_path / "key").rename(tmp_path / "data" / LOG_KEY)
    async with world_in(tmp_path) as world:
        await whole(world)


async def test_a_database_that_nobody_signed_needs_the_key(tmp_path: Path) -> None:
    _, _, elsewhere = await behind(tmp_path)
    (tmp_path / "data" / LOG_KEY).rename(tmp_path / "key")
    before = await size_in(tmp_path)
    with pytest.raises(LogBehind, match="no signed head yet, and the log's key is missing"):
        await put_back_from(settings_in(tmp_path), elsewhere)
    assert await size_in(tmp_path) == before
    assert (tmp_path / "data" / HEAD).exists()


async def test_a_copy_that_does_not_reach_or_is_of_another_log_is_refused(tmp_path: Path) -> None:
    async with world_in(tmp_path) as world:
        await world.add("alice")
        place = world.services.data_dir
        backed_up(place, tmp_path / "copy")
    shutil.copytree(place / LOG_FOLDER, tmp_path / "early")
    async with world_in(tmp_path) as world:
        await world.add("bob")
    put_back(tmp_path / "copy", place)
    before = await size_in(tmp_path)
    settings = settings_in(tmp_path)
    with pytest.raises(LogBehind, match=r"early has \d+ entries, and \d+ were signed"):
        await put_back_from(settings, tmp_path / "early")
    with pytest.raises(SettingsInvalid, match="There is no checkpoint in"):
        await put_back_from(settings, tmp_path / "nowhere")
    assert not (tmp_path / "nowhere").exists()
    async with world_in(tmp_path / "other") as other:
        await other.add("eve")
    with pytest.raises(SettingsInvalid, match="is no head of this log"):
        await put_back_from(settings, tmp_path / "other" / "data" / LOG_FOLDER)
    bundle = max((place / LOG_FOLDER / "tile" / "entries" / "000.p").iterdir(), key=lambda one: int(one.name))
    content = bundle.read_bytes()
    shutil.copytree(place / LOG_FOLDER, tmp_path / "torn")
    (tmp_path / "torn" / bundle.relative_to(place / LOG_FOLDER)).write_bytes(content.replace(b"local", b"lokal"))
    with pytest.raises(LogBehind, match="other entries than"):
        await put_back_from(settings, tmp_path / "torn")
    assert await size_in(tmp_path) == before
    assert (place / HEAD).exists(), "and it is still known how far the log was"


async def lost_key(directory: Path) -> tuple[str, str, SigningKey]:
    """Leave a server without its key; return a live grant, an undecided request, and the key."""
    async with world_in(directory) as world:
        grant, pending = await journey(world)
        place = world.services.data_dir
    key = read_key(place / LOG_KEY)
    assert key is not None
    (place / LOG_KEY).unlink()
    return grant, pending, key


async def resumed_and_whole(directory: Path, begun: Begun, grant: str, pending: str) -> None:
    """Start the next generation: nothing is used before somebody resumed it, and the log holds in itself."""
    async with world_in(directory) as world:
        alice, bob = await world.sign_in("alice"), await world.sign_in("bob")
        rows = await world.services.store.read(lambda tx: tx.entries.since(0, limit=100))
        types = [orjson.loads(row.content)["type"] for row in rows]
        assert types[0] == "service.started"
        [(_, restored)] = await facts(world, "log.restored")
        left = begun.left
        assert (restored["old_origin"], restored["old_size"], restored["old_root"]) == (
            left.origin,
            left.size,
            left.root,
        )
        assert restored["suspended"] == 1
        [(_, first)] = await facts(world, "service.started")
        assert restored["epoch"] > first["epoch"]
        assert (first["origin"], first["vkey"], first["after"]) == (begun.key.name, str(begun.key), "none")
        shown = (await world.client.get(f"/grants/{grant}", headers=alice)).json()
        assert shown["state"] == "suspended"
        assert [one["cause"] for one in shown["holds"]] == ["restore"]
        assert (await world.client.get(f"/requests/{pending}", headers=alice)).json()["cause"] == "restore"
        own = await world.client.post(f"/grants/{grant}/resume", json={"reason": "mine"}, headers=alice)
        assert own.status_code == 403
        resumed = await world.client.post(f"/grants/{grant}/resume", json={"reason": "still due"}, headers=bob)
        assert resumed.json()["state"] == "active", resumed.text
        assert await world.approved(alice, bob)
        await whole(world)
    async with world_in(directory) as world:
        assert len(await facts(world, "log.restored")) == 1, "the next start is an ordinary one"
        await whole(world)


async def test_a_lost_key_begins_the_next_generation_and_the_old_log_stays(tmp_path: Path) -> None:
    grant, pending, key = await lost_key(tmp_path)
    place = tmp_path / "data"
    with pytest.raises(SettingsInvalid, match="is missing"):
        async with world_in(tmp_path):
            pass
    begun = await begun_generation(settings_in(tmp_path))
    assert begun.left.origin == key.verifier.name
    assert begun.key.name == key.verifier.name.removesuffix("1") + "2"
    assert await begun_generation(settings_in(tmp_path)) == begun, "again, it has begun already"
    await resumed_and_whole(tmp_path, begun, grant, pending)
    old, new = place / "log-1", place / LOG_FOLDER
    assert verified(old, key.verifier, "--semantic")[0] == 0
    assert verified(new, begun.key, "--semantic", "--strict")[0] == 0
    code, _, err = verified(new, key.verifier)
    assert code == 2
    assert f"It is a later generation of {key.verifier.name}" in err
    head = (old / "checkpoint").read_text().splitlines()
    assert int(head[1]) == begun.left.size
    (tmp_path / "pin").write_text(f"audit head: {head[0]} {head[1]} {head[2]}\n")
    code, _, err = verified(new, begun.key, f"--since={tmp_path / 'pin'}")
    assert code == 2
    assert "A new generation of a log has a name of its own" in err
    assert (place / "log-1.db").stat().st_mode & 0o077 == 0


async def test_lost_entries_begin_the_next_generation_with_the_journals_revocations(tmp_path: Path) -> None:
    async with world_in(tmp_path) as world:
        grant, pending = await journey(world)
        backed_up(world.services.data_dir, tmp_path / "copy")
        alice, bob = await world.sign_in("alice"), await world.sign_in("bob")
        other = await world.approved(alice, bob)
        place = world.services.data_dir
        backed_up(place, tmp_path / "later")
        await world.client.post(f"/grants/{other}/revoke", json={"reason": "leak"}, headers=bob)
        assert (place / JOURNAL).exists()
    put_back(tmp_path / "copy", place)
    shutil.rmtree(place / LOG_FOLDER)
    known = json.loads((place / HEAD).read_bytes())
    begun = await begun_generation(settings_in(tmp_path))
    assert (begun.left.size, begun.left.root) == (known["signed_size"], known["signed_root"])
    assert (place / "log-1.key").exists(), "the key of the old generation is kept"
    await resumed_and_whole(tmp_path, begun, grant, pending)


async def test_a_log_that_can_go_on_does(tmp_path: Path) -> None:
    async with world_in(tmp_path) as world:
        with pytest.raises(StoreUnavailable, match="is in use"):
            await begun_generation(settings_in(tmp_path))
        place, key = world.services.data_dir, world.services.publishing.key
    with pytest.raises(SettingsInvalid, match="can go on"):
        await begun_generation(settings_in(tmp_path))
    (place / LOG_KEY).rename(place / "away")
    wrong = SigningKey("elsewhere/1", b"e" * 32)
    (place / LOG_KEY).write_text(wrong.text())
    (place / LOG_KEY).chmod(0o600)
    with pytest.raises(SettingsInvalid, match="is the key of elsewhere/1"):
        await begun_generation(settings_in(tmp_path))
    (place / "away").rename(place / LOG_KEY)
    async with world_in(tmp_path) as world:
        assert world.services.publishing.key == key
        assert await facts(world, "log.restored") == []
    assert not (place / "log-1").exists()


def killed_after(steps: int, directory: Path) -> bool:
    """Begin a generation in a process that is killed after so many steps; say whether it was."""
    child = os.fork()
    if child == 0:
        left = steps

        def stepped() -> None:
            nonlocal left
            left -= 1
            if left == 0:
                os.kill(os.getpid(), signal.SIGKILL)

        def stepping(function: Callable[..., Any]) -> Callable[..., Any]:
            def around(*given: Any, **named: Any) -> Any:
                found = function(*given, **named)
                stepped()
                return found

            return around

        def stepping_later(function: Callable[..., Any]) -> Callable[..., Any]:
            async def around(*given: Any, **named: Any) -> Any:
                found = await function(*given, **named)
                stepped()
                return found

            return around

        try:
            SqliteStore.copy = stepping_later(SqliteStore.copy)  # type: ignore[method-assign]
            SqliteStore.begin_generation = stepping_later(SqliteStore.begin_generation)  # type: ignore[method-assign]
            Path.replace = stepping(Path.replace)  # type: ignore[method-assign]
            Path.rename = stepping(Path.rename)  # type: ignore[method-assign]
            local_restore.write_first = stepping(local_restore.write_first)  # type: ignore[attr-defined]
            asyncio.run(begun_generation(settings_in(directory)))
        except BaseException:  # noqa: BLE001 - the parent sees that it is neither
            os._exit(1)
        os._exit(0)
    _, status = os.waitpid(child, 0)
    if os.WIFSIGNALED(status):
        assert os.WTERMSIG(status) == signal.SIGKILL
        return True
    assert os.waitstatus_to_exitcode(status) == 0
    return False


STEPS = 5
"""The copy, its name, the new key, the old directory aside, and the transaction."""


@pytest.mark.parametrize("steps", range(1, STEPS + 2))
def test_killed_at_any_step_it_is_repeated(tmp_path: Path, steps: int) -> None:
    grant, pending, key = asyncio.run(lost_key(tmp_path))
    assert killed_after(steps, tmp_path) is (steps <= STEPS)
    begun = asyncio.run(begun_generation(settings_in(tmp_path)))
    asyncio.run(resumed_and_whole(tmp_path, begun, grant, pending))
    assert verified(tmp_path / "data" / "log-1", key.verifier, "--semantic")[0] == 0
    assert verified(tmp_path / "data" / LOG_FOLDER, begun.key, "--semantic")[0] == 0


async def test_a_sink_takes_the_heads_of_the_next_generation(tmp_path: Path) -> None:
    audit = {"sinks": {"tape": {"kind": "file", "path": str(tmp_path / "tape")}}}
    async with world_in(tmp_path, audit=audit) as world:
        await world.add("alice")
        [tape] = world.services.sinks.deliveries
        while await tape.step():
            pass
    (tmp_path / "data" / LOG_KEY).unlink()
    begun = await begun_generation(settings_in(tmp_path, audit=audit))
    for account in ("bob", "carol"):
        async with world_in(tmp_path, audit=audit) as world:
            await world.add(account)
            await world.services.publishing.integrator.finish()
            [tape] = world.services.sinks.deliveries
            while await tape.step():
                pass
            newest = await tape.newest()
            assert newest is not None
            assert newest.origin == begun.key.name
            assert newest.size == tape.size > 0
    heads = [json.loads(line)["audit_head"].split()[2] for line in (tmp_path / "tape").read_bytes().splitlines()]
    assert set(heads) == {begun.left.origin, begun.key.name}


async def test_a_place_that_is_taken_is_named(tmp_path: Path) -> None:
    grant, pending, _ = await lost_key(tmp_path)
    (tmp_path / "data" / "log-1").mkdir()
    with pytest.raises(SettingsInvalid, match=r"cannot begin: File exists, .*log-1\."):
        await begun_generation(settings_in(tmp_path))
    (tmp_path / "data" / "log-1").rmdir()
    begun = await begun_generation(settings_in(tmp_path))
    await resumed_and_whole(tmp_path, begun, grant, pending)


async def test_the_command_asks_for_a_yes_and_tells_what_it_did(tmp_path: Path) -> None:
    await lost_key(tmp_path)
    place = tmp_path / "data"
    words = ["audit", "restore", "--next-generation", "--data-dir", str(place)]
    code, _, err = command(*words)
    assert code == 2
    assert "repeat it with --yes" in err
    assert command("audit", "restore", "--data-dir", str(place))[0] == 2
    assert not (place / LOG_KEY).exists()
    out = io.StringIO()
    assert await asyncio.to_thread(restore_log, data_dir=place, out=out) == 0
    key = read_key(place / LOG_KEY)
    assert key is not None
    assert f"Begins    {key.verifier.name}\nKey       {key.verifier}\n" in out.getvalue()
    assert "PRIVATE" not in out.getvalue()
    again = io.StringIO()
    assert await asyncio.to_thread(restore_log, data_dir=place, out=again, as_json=True) == 0
    body = json.loads(again.getvalue())
    assert (body["origin"], body["vkey"]) == (key.verifier.name, str(key.verifier))


async def test_entries_by_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    _, _, elsewhere = await behind(tmp_path)
    out = io.StringIO()
    assert await asyncio.to_thread(restore_log, data_dir=tmp_path / "data", source=elsewhere, out=out) == 0
    assert "Waiting   1 grants" in out.getvalue()
    out = io.StringIO()
    assert await asyncio.to_thread(restore_log, data_dir=tmp_path / "data", source=elsewhere, out=out) == 0
    assert "Nothing is missing" in out.getvalue()
    assert await asyncio.to_thread(restore_log, data_dir=tmp_path / "x", source=elsewhere, out=out) == 2
    assert "There is no database" in capsys.readouterr().err
