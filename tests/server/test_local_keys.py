"""The log's key is rotated on a stopped server: recorded once, by files that can be started from after each step."""

from __future__ import annotations

import asyncio
import io
import json
import os
import shutil
import signal
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import orjson
import pytest
from tests.api.world import World, settings_in, world_in

from loglease.audit.lost import LogBehind
from loglease.audit.note import SignedNote, SigningKey
from loglease.audit.sequencer import Sequencer
from loglease.audit.tiles import CHECKPOINT
from loglease.cli.main import run_command
from loglease.model.errors import DurationInvalid
from loglease.server import log_key_files
from loglease.server.databases import FILE
from loglease.server.local_keys import Rotated, overlap_of, rotate_log_key, rotated_log_key
from loglease.server.log_key import LOG_KEY, OVERLAP_S
from loglease.server.log_key_files import old_path, read_key
from loglease.server.publishing import LOG_FOLDER
from loglease.server.settings import SettingsInvalid
from loglease.store.interface import StoreUnavailable

pytestmark = pytest.mark.sqlite


async def stopped(directory: Path, **areas: Any) -> Path:
    """Run a server once and return its data directory."""
    async with world_in(directory, **areas) as world:
        await world.add("alice")
        return world.services.data_dir


async def rotate(directory: Path, **how: Any) -> Rotated:
    return await rotated_log_key(settings_in(directory), **how)


async def entries(world: World, kind: str) -> list[dict[str, Any]]:
    rows = await world.services.store.read(lambda tx: tx.entries.since(0, types=frozenset({kind})))
    return [orjson.loads(row.content)["data"] for row in rows]


def signers(place: Path) -> list[bytes]:
    note = SignedNote.parse((place / LOG_FOLDER / CHECKPOINT).read_bytes())
    return [one.key_id for one in note.signatures]


def verified(place: Path, *keys: object) -> int:
    words = ["audit", "verify", str(place / LOG_FOLDER), "--semantic", *(f"--key={key}" for key in keys)]
    return run_command(words, environment={}, stdin=io.StringIO(), stdout=io.StringIO(), stderr=io.StringIO())


def private_files(place: Path) -> dict[str, str]:
    """The key files, each of which only its owner may read."""
    found = {one.name: one for one in place.glob(f"{LOG_KEY}*")}
    assert all(stat.S_IMODE(one.stat().st_mode) == 0o600 for one in found.values())
    return {name: one.read_text() for name, one in found.items()}


async def test_both_keys_sign_after_a_rotation_and_each_is_enough_to_verify(tmp_path: Path) -> None:
    place = await stopped(tmp_path)
    before = read_key(place / LOG_KEY)
    assert before is not None
    rotated = await rotate(tmp_path)
    assert rotated.old == before.verifier
    assert rotated.new != rotated.old
    assert rotated.new.name == rotated.old.name
    after = read_key(place / LOG_KEY)
    assert after is not None
    assert after.verifier == rotated.new
    assert private_files(place) == {LOG_KEY: f"{after.text()}\n", f"{LOG_KEY}.old": f"{before.text()}\n"}
    for _ in range(2):
        async with world_in(tmp_path) as world:
            assert world.services.publishing.key == rotated.new
            [entry] = await entries(world, "key.rotated")
            assert (entry["old_id"], entry["new_id"]) == (rotated.old.key_id.hex(), rotated.new.key_id.hex())
            assert entry["vkey"] == str(rotated.new)
            assert rotated.until is not None
            assert world.services.publishing.overlap_until == rotated.until
            lasts_s = (rotated.until - world.services.clock.now()) / 1_000_000
            assert OVERLAP_S - 600 < lasts_s <= OVERLAP_S
        assert signers(place) == [rotated.new.key_id, rotated.old.key_id]
        for keys in ([rotated.old], [rotated.new], [rotated.old, rotated.new]):
            assert verified(place, *keys) == 0


async def test_it_needs_a_server_that_is_stopped_and_has_run(tmp_path: Path) -> None:
    with pytest.raises(SettingsInvalid, match="There is no database"):
        await rotate(tmp_path)
    async with world_in(tmp_path) as world:
        before = private_files(world.services.data_dir)
        with pytest.raises(StoreUnavailable, match="is in use by process"):
            await rotate(tmp_path)
        assert private_files(world.services.data_dir) == before


async def test_a_second_rotation_waits_for_the_end_of_the_first(tmp_path: Path) -> None:
    place = await stopped(tmp_path)
    first = await rotate(tmp_path)
    before = private_files(place)
    with pytest.raises(SettingsInvalid, match="was rotated already") as caught:
        await rotate(tmp_path)
    assert str(first.old) in caught.value.message
    assert str(first.new) in caught.value.message
    assert private_files(place) == before
    with pytest.raises(SettingsInvalid, match="The last 1 entries of the audit log are not signed yet"):
        await rotate(tmp_path, end_overlap=True)
    await stopped_again(tmp_path)
    second = await rotate(tmp_path, end_overlap=True)
    assert second.old == first.new
    async with world_in(tmp_path) as world:
        assert [one["vkey"] for one in await entries(world, "key.rotated")] == [str(first.new), str(second.new)]
        await world.services.publishing.check_all()
    assert signers(place) == [second.new.key_id, second.old.key_id]
    assert verified(place, second.new) == 0


async def stopped_again(directory: Path) -> None:
    async with world_in(directory):
        pass


async def test_without_an_overlap_the_old_key_signs_nothing_any_more(tmp_path: Path) -> None:
    place = await stopped(tmp_path)
    rotated = await rotate(tmp_path, overlap_s=0)
    assert rotated.until is None
    assert list(private_files(place)) == [LOG_KEY]
    async with world_in(tmp_path) as world:
        assert "overlap_until_at" not in (await entries(world, "key.rotated"))[0]
        await world.services.publishing.check_all()
    assert signers(place) == [rotated.new.key_id]
    assert verified(place, rotated.new) == 0
    assert verified(place, rotated.old) == 2


async def test_what_the_present_key_has_not_signed_is_signed_first(tmp_path: Path) -> None:
    place = await stopped(tmp_path)
    async with world_in(tmp_path) as world:
        # A copy of a running server is what a crash leaves: its last entries are not signed.
        await world.add("bob")
        for name in (FILE, f"{FILE}-wal"):
            shutil.copyfile(place / name, tmp_path / name)
        shutil.copytree(place / LOG_FOLDER, tmp_path / LOG_FOLDER)
    shutil.rmtree(place / LOG_FOLDER)
    shutil.copytree(tmp_path / LOG_FOLDER, place / LOG_FOLDER)
    for name in (FILE, f"{FILE}-wal"):
        shutil.copyfile(tmp_path / name, place / name)
    (place / "log.head").unlink()
    with pytest.raises(SettingsInvalid, match="are not signed yet") as caught:
        await rotate(tmp_path)
    assert "Start the server and stop it again" in str(caught.value.next_step)
    assert not old_path(place / LOG_KEY).exists()


async def test_an_older_database_is_not_gone_on_with(tmp_path: Path) -> None:
    place = await stopped(tmp_path)
    shutil.copyfile(place / FILE, tmp_path / FILE)
    async with world_in(tmp_path) as world:
        await world.add("bob")
    for stale in place.glob(f"{FILE}-*"):
        stale.unlink()
    shutil.copyfile(tmp_path / FILE, place / FILE)
    with pytest.raises(LogBehind, match="lacks entries that were signed"):
        await rotate(tmp_path)
    shutil.rmtree(place / LOG_FOLDER)
    with pytest.raises(LogBehind, match="older than this"):
        await rotate(tmp_path)
    assert not old_path(place / LOG_KEY).exists()


@pytest.mark.parametrize(
    ("key", "told"),
    [
        (SigningKey("elsewhere/1", b"e" * 32), "is the key of elsewhere/1"),
        (None, "is another key than"),
    ],
)
async def test_another_key_than_the_logs_is_not_rotated(tmp_path: Path, key: SigningKey | None, told: str) -> None:
    place = await stopped(tmp_path)
    own = read_key(place / LOG_KEY)
    assert own is not None
    wrong = key or SigningKey(own.verifier.name, b"e" * 32)
    (place / LOG_KEY).write_text(wrong.text())
    with pytest.raises(SettingsInvalid, match=told):
        await rotate(tmp_path)
    assert private_files(place) == {LOG_KEY: wrong.text()}


async def test_a_lost_key_is_not_rotated(tmp_path: Path) -> None:
    place = await stopped(tmp_path)
    (place / LOG_KEY).unlink()
    with pytest.raises(SettingsInvalid, match="is missing"):
        await rotate(tmp_path)
    assert private_files(place) == {}


@pytest.mark.parametrize("name", [f"{LOG_KEY}.new", f"{LOG_KEY}.old.new"])
async def test_a_place_that_cannot_be_written_changes_nothing(tmp_path: Path, name: str) -> None:
    place = await stopped(tmp_path)
    (place / name).mkdir()
    before = (place / LOG_KEY).read_bytes()
    with pytest.raises(SettingsInvalid, match=r"log\.key cannot be replaced: Is a directory"):
        await rotate(tmp_path)
    assert (place / LOG_KEY).read_bytes() == before
    (place / name).rmdir()
    async with world_in(tmp_path) as world:
        assert await entries(world, "key.rotated") == []
    await rotate(tmp_path)
    async with world_in(tmp_path) as world:
        assert len(await entries(world, "key.rotated")) == 1


async def test_a_key_behind_a_link_is_left_to_whoever_keeps_it(tmp_path: Path) -> None:
    place = await stopped(tmp_path)
    (place / LOG_KEY).rename(tmp_path / "kept")
    (place / LOG_KEY).symlink_to(tmp_path / "kept")
    with pytest.raises(SettingsInvalid, match="is a link"):
        await rotate(tmp_path)
    assert (place / LOG_KEY).is_symlink()


def killed_after(steps: int, directory: Path) -> bool:
    """Rotate in a process that is killed after so many steps; say whether it was, or had come to its end."""
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

        async def commit(log: Any, *given: Any, **named: Any) -> Any:
            found = await whole(log, *given, **named)
            stepped()
            return found

        try:
            whole = Sequencer.commit
            Sequencer.commit = commit  # type: ignore[method-assign, assignment]
            log_key_files.flush = stepping(log_key_files.flush)  # type: ignore[attr-defined]
            Path.replace = stepping(Path.replace)  # type: ignore[method-assign]
            asyncio.run(rotate(directory))
        except BaseException:  # noqa: BLE001 - the parent sees that it is neither
            os._exit(1)
        os._exit(0)
    _, status = os.waitpid(child, 0)
    if os.WIFSIGNALED(status):
        assert os.WTERMSIG(status) == signal.SIGKILL
        return True
    assert os.waitstatus_to_exitcode(status) == 0
    return False


STEPS = 7
"""Two keys flushed, two renamed, the folder flushed after each of these, and the commit."""


@pytest.mark.parametrize("steps", range(1, STEPS + 2))
def test_killed_at_any_step_it_is_finished_by_repeating_it_or_by_a_start(tmp_path: Path, steps: int) -> None:
    place = asyncio.run(stopped(tmp_path))
    before = read_key(place / LOG_KEY)
    assert before is not None
    assert killed_after(steps, tmp_path) is (steps <= STEPS)
    shutil.copytree(place, tmp_path / "again" / "data")
    asyncio.run(started(tmp_path, before))
    try:
        asyncio.run(rotate(tmp_path / "again"))
    except SettingsInvalid as error:
        assert steps >= STEPS
        assert "was rotated already" in error.message
    assert asyncio.run(started(tmp_path / "again", before)) == 1


async def started(directory: Path, old: SigningKey) -> int:
    """Start a server where a rotation was cut off, check the log, and return how many rotations it has."""
    async with world_in(directory) as world:
        rotated = await entries(world, "key.rotated")
        key = world.services.publishing.key
        assert len(rotated) == (key != old.verifier)
    assert verified(directory / "data", old.verifier) == 0, "the old key is enough as long as both sign"
    assert verified(directory / "data", key) == 0
    return len(rotated)


async def test_a_rotation_that_was_begun_by_hand_is_finished(tmp_path: Path) -> None:
    place = await stopped(tmp_path)
    (place / LOG_KEY).rename(old_path(place / LOG_KEY))
    rotated = await rotate(tmp_path, overlap_s=86_400)
    async with world_in(tmp_path) as world:
        assert [one["vkey"] for one in await entries(world, "key.rotated")] == [str(rotated.new)]
    assert verified(place, rotated.old) == 0


@pytest.mark.parametrize(("text", "seconds"), [("0", 0), ("14d", 14 * 86_400), ("366d", 366 * 86_400)])
def test_overlaps(text: str, seconds: int) -> None:
    assert overlap_of(text) == seconds


@pytest.mark.parametrize("text", ["", "0d", "-1d", "30", "367d"])
def test_what_is_no_overlap(text: str) -> None:
    with pytest.raises((DurationInvalid, SettingsInvalid)):
        overlap_of(text)


async def in_thread(directory: Path, **how: Any) -> tuple[int, str]:
    out = io.StringIO()
    code = await asyncio.to_thread(rotate_log_key, data_dir=directory, out=out, **how)
    return code, out.getvalue()


@pytest.mark.parametrize("as_json", [True, False])
async def test_the_command_prints_both_keys_and_the_end_of_the_overlap(tmp_path: Path, as_json: bool) -> None:
    place = await stopped(tmp_path)
    code, text = await in_thread(place, overlap="14d", as_json=as_json)
    assert code == 0
    new = read_key(place / LOG_KEY)
    old = read_key(old_path(place / LOG_KEY))
    assert new is not None
    assert old is not None
    if as_json:
        body = json.loads(text)
        assert (body["use"], body["old_vkey"], body["new_vkey"]) == ("log", str(old.verifier), str(new.verifier))
        assert body["overlap_until_at"].endswith("Z")
    else:
        assert f"Old key   {old.verifier}\nNew key   {new.verifier}\nOverlap   both sign until 20" in text
    assert "PRIVATE" not in text


async def test_the_command_says_what_stops_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert await in_thread(tmp_path / "nowhere") == (2, "")
    assert "next: Name the directory of the server" in capsys.readouterr().err
    place = await stopped(tmp_path)
    assert await in_thread(place, overlap="soon") == (2, "")
    assert "is not a duration" in capsys.readouterr().err
