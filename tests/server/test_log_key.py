"""The log's key and name belong together: made once, never replaced, and a start says what is wrong."""

from __future__ import annotations

import stat
from pathlib import Path

import orjson
import pytest
from tests.api.world import World, settings_in, world_in
from tests.fakes.clock import FakeRandom

from loglease.audit.note import COSIGNATURE, SignedNote, SigningKey
from loglease.audit.tiles import CHECKPOINT
from loglease.server.lifecycle import ORIGIN
from loglease.server.log_key import LOG_KEY, OVERLAP_S, log_keys
from loglease.server.log_key_files import old_path
from loglease.server.publishing import LOG_FOLDER
from loglease.server.settings import SettingsInvalid

NAME = "logs.example.com/loglease/1"


def key_in(place: Path, *, wanted: str | None = None, known: str | None = None) -> SigningKey:
    return log_keys(place / LOG_KEY, wanted=wanted, known=known, random=FakeRandom()).key


def put(place: Path, key: SigningKey) -> None:
    (place / LOG_KEY).write_text(key.text() + "\n")
    (place / LOG_KEY).chmod(0o600)


def test_the_first_start_makes_a_key_and_draws_a_name(tmp_path: Path) -> None:
    key = key_in(tmp_path)
    name = key.verifier.name
    assert name.startswith("loglease.local/")
    assert name.endswith("/1")
    assert len(name.split("/")[1]) == 10
    assert stat.S_IMODE((tmp_path / LOG_KEY).stat().st_mode) == 0o600
    assert (tmp_path / LOG_KEY).read_text() == f"{key.text()}\n"
    assert [path.name for path in tmp_path.iterdir()] == [LOG_KEY]
    assert key_in(tmp_path, known=name).text() == key.text()


def test_a_name_of_the_settings_is_taken(tmp_path: Path) -> None:
    assert key_in(tmp_path, wanted=NAME).verifier.name == NAME


def test_a_key_that_was_put_there_names_a_new_log(tmp_path: Path) -> None:
    put(tmp_path, SigningKey(NAME, b"s" * 32))
    assert key_in(tmp_path).verifier.name == NAME


def test_what_a_crash_left_of_a_key_is_no_key(tmp_path: Path) -> None:
    (tmp_path / f"{LOG_KEY}.new").write_text("PRIVATE+KE")
    key = key_in(tmp_path)
    assert (tmp_path / LOG_KEY).read_text() == f"{key.text()}\n"


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660])
def test_a_key_that_others_may_use_is_refused(tmp_path: Path, mode: int) -> None:
    key_in(tmp_path)
    (tmp_path / LOG_KEY).chmod(mode)
    with pytest.raises(SettingsInvalid, match="open to others") as caught:
        key_in(tmp_path)
    assert "chmod 600" in str(caught.value.next_step)


def test_a_lost_key_is_never_replaced(tmp_path: Path) -> None:
    with pytest.raises(SettingsInvalid, match=f"missing, the key of the audit log {NAME}") as caught:
        key_in(tmp_path, known=NAME)
    assert "Put log.key back" in str(caught.value.next_step)
    assert not (tmp_path / LOG_KEY).exists()


@pytest.mark.parametrize(("wanted", "known"), [(None, NAME), (NAME, None), (NAME, NAME)])
def test_the_key_of_another_log_is_refused(tmp_path: Path, wanted: str | None, known: str | None) -> None:
    put(tmp_path, SigningKey("elsewhere/1", b"s" * 32))
    with pytest.raises(SettingsInvalid, match="is the key of elsewhere/1"):
        key_in(tmp_path, wanted=wanted, known=known)


def test_a_log_is_never_renamed(tmp_path: Path) -> None:
    put(tmp_path, SigningKey(NAME, b"s" * 32))
    with pytest.raises(SettingsInvalid, match="name never changes"):
        key_in(tmp_path, wanted="other/1", known=NAME)


@pytest.mark.parametrize("content", ["", "nonsense", "PRIVATE+KEY+a+00000000+AAAA", "PRIVATE+KEY+é"])
def test_what_is_no_key_is_refused_without_being_shown(tmp_path: Path, content: str) -> None:
    (tmp_path / LOG_KEY).write_text(content)
    (tmp_path / LOG_KEY).chmod(0o600)
    with pytest.raises(SettingsInvalid, match="is no key") as caught:
        key_in(tmp_path)
    assert not content or content not in str(caught.value)


def test_the_key_of_a_witness_signs_no_log(tmp_path: Path) -> None:
    put(tmp_path, SigningKey(NAME, b"s" * 32, COSIGNATURE))
    with pytest.raises(SettingsInvalid, match="of a witness"):
        key_in(tmp_path)


@pytest.mark.parametrize(
    "origin",
    [
        "https://logs.example.com/1",
        "logs.example.com",
        "logs example.com/1",
        "a+b/1",
        "/1",
        "a/0",
        "a/01",
        "a/1/",
        "é/1",
    ],
)
def test_names_that_no_log_can_have(tmp_path: Path, origin: str) -> None:
    with pytest.raises(SettingsInvalid):
        settings_in(tmp_path, audit={"origin": origin})


@pytest.mark.parametrize("origin", ["a/1", NAME, "loglease.local/a2c4e6g8i0/12"])
def test_names_that_a_log_can_have(tmp_path: Path, origin: str) -> None:
    assert settings_in(tmp_path, audit={"origin": origin}).audit.origin == origin


async def test_the_log_says_itself_what_it_is_called_and_checked_with(tmp_path: Path) -> None:
    async with world_in(tmp_path, audit={"origin": NAME}) as world:
        services = world.services
        assert await services.store.read(lambda tx: tx.values.find(ORIGIN)) == NAME
        first = (await services.store.read(lambda tx: tx.entries.since(0, limit=1)))[0].content.decode()
        assert f'"vkey":"{services.publishing.key}"' in first
        assert f'"origin":"{NAME}"' in first
        assert "PRIVATE" not in first


async def test_a_server_does_not_start_without_its_key(tmp_path: Path) -> None:
    async with world_in(tmp_path) as world:
        place = world.services.data_dir
    (place / LOG_KEY).unlink()
    with pytest.raises(SettingsInvalid, match="missing"):
        async with world_in(tmp_path):
            pass


async def test_a_server_does_not_start_with_another_key_of_the_same_name(tmp_path: Path) -> None:
    async with world_in(tmp_path) as world:
        place, name = world.services.data_dir, world.services.publishing.key.name
    put(place, SigningKey(name, b"x" * 32))
    with pytest.raises(SettingsInvalid, match="is another key than"):
        async with world_in(tmp_path):
            pass


def lines(world: World) -> list[bytes]:
    """Return the ids of the keys that signed the head in the directory."""
    note = SignedNote.parse((world.services.data_dir / LOG_FOLDER / CHECKPOINT).read_bytes())
    return [one.key_id for one in note.signatures]


async def published(world: World) -> None:
    await world.services.publishing.integrator.finish()
    await world.services.publishing.publisher.publish()


async def rotations(world: World) -> list[dict[str, str]]:
    rows = await world.services.store.read(lambda tx: tx.entries.since(0, types=frozenset({"key.rotated"})))
    return [orjson.loads(row.content)["data"] for row in rows]


async def test_a_key_that_was_put_aside_is_rotated_and_signs_on_for_a_month(tmp_path: Path) -> None:
    async with world_in(tmp_path) as world:
        place, first = world.services.data_dir, world.services.publishing.key
    (place / LOG_KEY).rename(old_path(place / LOG_KEY))
    for _ in range(2):
        async with world_in(tmp_path) as world:
            publishing = world.services.publishing
            second = publishing.key
            await published(world)
            assert lines(world) == [second.key_id, first.key_id]
            assert second.name == first.name
            assert [(one["old_id"], one["new_id"], one["vkey"]) for one in await rotations(world)] == [
                (first.key_id.hex(), second.key_id.hex(), str(second))
            ], "it is recorded once"
            await publishing.check_all()
            assert publishing.checked_at is not None, "what the first key alone has signed still counts"
    async with world_in(tmp_path) as world:
        world.clock.later_s = OVERLAP_S + 60
        await world.services.publishing.check_all()
        await world.add("alice")
        await published(world)
        assert lines(world) == [second.key_id]
    old_path(place / LOG_KEY).unlink()
    async with world_in(tmp_path) as world:
        await world.services.publishing.check_all()
        assert world.services.publishing.checked_at is not None


async def test_the_rotation_is_named_before_the_start_that_uses_it(tmp_path: Path) -> None:
    async with world_in(tmp_path) as world:
        place = world.services.data_dir
    (place / LOG_KEY).rename(old_path(place / LOG_KEY))
    async with world_in(tmp_path) as world:
        rows = await world.services.store.read(lambda tx: tx.entries.since(0))
        types = [orjson.loads(row.content)["type"] for row in rows]
        assert types.index("key.rotated") + 1 == len(types) - 1 - types[::-1].index("service.started")


async def test_a_new_key_needs_the_old_one_to_vouch_for_it(tmp_path: Path) -> None:
    async with world_in(tmp_path) as world:
        place, name = world.services.data_dir, world.services.publishing.key.name
    put(place, SigningKey(name, b"x" * 32))
    old_path(place / LOG_KEY).write_text(SigningKey(name, b"y" * 32).text())
    old_path(place / LOG_KEY).chmod(0o600)
    with pytest.raises(SettingsInvalid, match="is another key than"):
        async with world_in(tmp_path):
            pass


def test_the_old_key_of_another_log_is_refused(tmp_path: Path) -> None:
    put(tmp_path, SigningKey("elsewhere/1", b"s" * 32))
    (tmp_path / LOG_KEY).rename(old_path(tmp_path / LOG_KEY))
    with pytest.raises(SettingsInvalid, match="is the key of elsewhere/1"):
        key_in(tmp_path, known=NAME)
    assert not (tmp_path / LOG_KEY).exists()
